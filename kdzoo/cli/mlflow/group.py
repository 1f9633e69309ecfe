"""`kdzoo ui` and `kdzoo mlflow`: the MLflow server's page, and what it has not got yet."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

import click

from kdzoo.cli.browse import is_server, serve
from kdzoo.cli.lazy import DefaultGroup
from kdzoo.cli.options import zoo_option
from kdzoo.errors import TrackingError

if TYPE_CHECKING:
    from kdzoo.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to serve on.")
def ui(host: str, port: int) -> None:
    """Open the MLflow UI on kdzoo's runs.

    With MLFLOW_TRACKING_URI at a server, that server's page is opened; else the embedded file is served here.

    \b
    Examples:
      kdzoo ui
      kdzoo ui --port 5001
    """
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if is_server(settings.mlflow_uri):
        click.echo(f"MLflow is at {_shown(settings.mlflow_uri)}", err=True)
        webbrowser.open(settings.mlflow_uri)
        return
    serve(settings.mlflow_uri, settings.mlflow_artifacts, host=host, port=port)


@click.group(cls=DefaultGroup, default="sync")
def mlflow() -> None:
    """Bring MLflow up to what sweeps did and to what the zoo holds.

    \b
    Example:
      kdzoo mlflow sync
    """


@mlflow.command()
@zoo_option
def sync(zoo: str | None) -> None:
    """Send MLflow what sweeps kept on disk while it was down, and bring its model registry up to the zoo.

    Nothing is sent twice. Releases of runs that this MLflow does not have are left out of its registry. A sweep that is
    running sends its own records.

    \b
    Examples:
      kdzoo mlflow sync
      kdzoo mlflow sync --zoo s3://plant/zoo
    """
    from kdzoo.search.record.folder import SweepFolder
    from kdzoo.settings import Settings
    from kdzoo.tracking import replay

    settings = Settings.from_environment()
    sent, troubles = 0, []
    for spool in sorted(settings.sweeps.glob("*/mlflow.jsonl")):
        if SweepFolder(spool.parent).state() == "running":
            click.echo(f"Note: the sweep {spool.parent.name} is running, and sends its own records", err=True)
            continue
        try:
            sent += replay(spool, settings.mlflow_uri, artifacts=settings.mlflow_artifacts)
        except TrackingError as error:
            # One sweep's trouble must not keep the others' records back.
            troubles.append(f"{spool.parent.name}: {error}")
    click.echo(f"{sent} records sent to {_shown(settings.mlflow_uri)}")
    if troubles:
        raise TrackingError("; ".join(troubles), hint="run `kdzoo mlflow sync` again later")
    _mirror(settings, zoo)


def _mirror(settings: Settings, zoo: str | None) -> None:
    """Brings the model registry up to the zoo, where there are both."""
    from kdzoo.cli.zoo.opening import open_zoo
    from kdzoo.mirror import mirror
    from kdzoo.tracking.environment import sqlite_path
    from zoo_registry.errors import ZooNotFoundError

    path = sqlite_path(settings.mlflow_uri)
    if path is not None and not path.exists():
        return  # a file that was never made has no runs that a version could be of
    registry = open_zoo(zoo)
    try:
        done = mirror(settings, registry)
    except ZooNotFoundError:
        if zoo is not None:
            raise
        return  # nothing was ever published
    click.echo(f"{done.versions} versions made in the model registry, the champion of {len(done.moved)} entries moved")
    if done.strange:
        click.echo(
            f"Note: {len(done.strange)} releases came from no run of this MLflow: {_some(done.strange)}", err=True
        )
    if done.damaged:
        raise TrackingError(
            f"{len(done.damaged)} releases could not be read: {_some(list(done.damaged))}",
            hint="kdzoo zoo fsck explains each",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _shown(uri: str) -> str:
    """A tracking URI without its password."""
    from kdzoo.tracking.records import without_credentials

    return without_credentials(uri)
