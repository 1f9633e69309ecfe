"""`kdzoo data`: look at data sets."""

from __future__ import annotations

import click

from kdzoo.cli.groups import LazyGroup

_COMMANDS = {
    "list": ("kdzoo.cli.data.list", "list_datasets", "List every known data set, and whether it is there."),
    "verify": ("kdzoo.cli.data.verify", "verify", "Open every image and mask, and list what is wrong."),
    "show": ("kdzoo.cli.data.show", "show", "Draw a category's images with their masks or its foreground."),
    "add": ("kdzoo.cli.data.add", "add", "Give a folder or a table of images a name for --dataset."),
    "download": ("kdzoo.cli.data.download", "download", "Fetch a known data set, check it and unpack it."),
    "preview": ("kdzoo.cli.data.preview", "preview", "Draw images of a category with synthetic anomalies."),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS, default="list")
def data() -> None:
    """List, fetch, check and look at data sets.

    \b
    Examples:
      kdzoo data
      kdzoo data download visa
      kdzoo data add lids /mnt/line3/lids
      kdzoo data preview --synthesis nsa --dataset demo --category milled --out sheet.png
    """
