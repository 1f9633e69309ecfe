"""`kdzoo mlflow sync`: MLflow gets what it has not got yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import zoo_option
from kdzoo.cli.say import say
from kdzoo.cli.zoos import open_zoo
from kdzoo.errors import TrackingError

if TYPE_CHECKING:
    from kdzoo.settings import Settings


@click.command()
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
    from kdzoo.addresses import sqlite_path
    from kdzoo.search.record.folder import SweepFolder
    from kdzoo.settings import Settings
    from kdzoo.tracking import replay
    from kdzoo.tracking.environment import prepare_mlflow
    from zoo_registry.addresses import without_credentials

    settings = Settings.from_environment()
    path = sqlite_path(settings.mlflow_uri)
    if path is not None and path.exists():
        prepare_mlflow()
        from kdzoo.tracking.database import prepare_database

        prepare_database(path)  # what is wrong with the file is no single sweep's trouble
    sent, troubles = 0, []
    for spool in sorted(settings.sweeps.glob("*/mlflow.jsonl")):
        if SweepFolder(spool.parent).state() == "running":
            tell_note(f"the sweep {spool.parent.name} is running, and sends its own records")
            continue
        try:
            sent += replay(spool, settings.mlflow_uri, artifacts=settings.mlflow_artifacts)
        except TrackingError as error:
            # One sweep's trouble must not keep the others' records back.
            troubles.append(f"{spool.parent.name}: {error}")
    say(f"{sent} records sent to {without_credentials(settings.mlflow_uri)}")
    if troubles:
        raise TrackingError("; ".join(troubles), hint="run `kdzoo mlflow sync` again later")
    _mirror(settings, zoo)


def _mirror(settings: Settings, zoo: str | None) -> None:
    """Brings the model registry up to the zoo, where there are both."""
    from kdzoo.addresses import sqlite_path
    from kdzoo.mirror import mirror
    from zoo_registry.addresses import without_credentials
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
    moved = f": {_some(done.moved)}" if done.moved else ""
    say(f"{done.versions} versions made in the model registry, the champion of {len(done.moved)} entries moved{moved}")
    if done.renewed:
        say(f"{done.renewed} versions now name the zoo where it is: {without_credentials(registry.uri)}")
    if done.apart and (done.versions or done.moved):
        tell_note(f"the plain names are another zoo's: this one's models are {_some(done.apart)}")
    if done.strange:
        tell_note(f"{len(done.strange)} releases came from no run of this MLflow: {_some(done.strange)}")
    if done.damaged:
        raise TrackingError(
            f"{len(done.damaged)} releases could not be read: {_some(list(done.damaged))}",
            hint="kdzoo zoo fsck explains each",
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
