"""`kdzoo ui` and `kdzoo mlflow`: the MLflow server's page, and what it has not got yet."""

from __future__ import annotations

import os
import subprocess
import sys
import webbrowser

import click

from kdzoo.cli.lazy import DefaultGroup
from kdzoo.errors import TrackingError


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
    if settings.mlflow_uri.startswith(("http://", "https://")):
        click.echo(f"MLflow is at {_shown(settings.mlflow_uri)}", err=True)
        webbrowser.open(settings.mlflow_uri)
        return
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    click.echo(f"MLflow UI at http://{host}:{port} (Ctrl-C stops it)", err=True)
    command = [sys.executable, "-m", "mlflow", "ui"]
    command += ["--default-artifact-root", settings.mlflow_artifacts.as_uri(), "--host", host, "--port", str(port)]
    # In the environment, not among the arguments, which every user of the machine can read: it may hold a password.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    status = subprocess.run([*command, "--workers", "1"], env=environment, check=False).returncode
    if status not in (0, -2, 130):
        raise TrackingError(
            f"the MLflow UI ended with status {status}", hint=f"is port {port} in use? choose another with --port"
        )


@click.group(cls=DefaultGroup, default="sync")
def mlflow() -> None:
    """What MLflow has not got yet.

    \b
    Example:
      kdzoo mlflow sync
    """


@mlflow.command()
def sync() -> None:
    """Send MLflow what sweeps kept on disk while it was down; nothing is sent twice."""
    from kdzoo.settings import Settings
    from kdzoo.tracking import replay

    settings = Settings.from_environment()
    sent, troubles = 0, []
    for spool in sorted(settings.sweeps.glob("*/mlflow.jsonl")):
        try:
            sent += replay(spool, settings.mlflow_uri, artifacts=settings.mlflow_artifacts)
        except TrackingError as error:
            # A sweep that is running now must not keep the others' records back.
            troubles.append(f"{spool.parent.name}: {error}")
    click.echo(f"{sent} records sent to {_shown(settings.mlflow_uri)}")
    if troubles:
        raise TrackingError("; ".join(troubles), hint="run `kdzoo mlflow sync` again later")


def _shown(uri: str) -> str:
    """A tracking URI without its password."""
    from kdzoo.tracking.records import without_credentials

    return without_credentials(uri)
