"""`kdzoo data`: look at data sets."""

from __future__ import annotations

import click

from kdzoo.cli.lazy import LazyGroup

_COMMANDS = {
    "preview": ("kdzoo.cli.data_preview", "preview", "Draw images of a category with synthetic anomalies."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def data() -> None:
    """Look at data sets.

    \b
    Example:
      kdzoo data preview --synthesis nsa --dataset demo --category milled --out sheet.png
    """
