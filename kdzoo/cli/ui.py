"""`kdzoo ui`: MLflow's own pages on kdzoo's runs."""

from __future__ import annotations

import webbrowser

import click

from kdzoo.cli.browse import is_server, serve
from kdzoo.cli.say import tell


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
        from zoo_registry.addresses import without_credentials

        tell(f"MLflow is at {without_credentials(settings.mlflow_uri)}")
        webbrowser.open(settings.mlflow_uri)
        return
    serve(settings.mlflow_uri, settings.mlflow_artifacts, host=host, port=port)
