"""`kdzoo mlflow`: what MLflow has not got yet."""

from __future__ import annotations

import click

from kdzoo.cli.groups import DefaultGroup
from kdzoo.cli.mlflow.sync import sync


@click.group(cls=DefaultGroup, default="sync", called="mlflow command")
def mlflow() -> None:
    """Bring MLflow up to what sweeps did and to what the zoo holds.

    \b
    Example:
      kdzoo mlflow sync
    """


mlflow.add_command(sync)
