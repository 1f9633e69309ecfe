"""Which entry of the zoo a command is about, and which release of it."""

from __future__ import annotations

import click

from kdzoo.cli.options import F, digest_option


def entry_argument(command: F) -> F:
    """``METHOD/DATASET/CATEGORY``; without a method the category's entry over all methods."""
    return click.argument("entry", metavar="[METHOD/]DATASET/CATEGORY", callback=_full)(command)


def _full(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from kdzoo.category_entry import full_entry

    return full_entry(value)


def release_options(command: F) -> F:
    """``--release``, ``--digest`` and ``--alias``: which release of an entry."""
    command = click.option("--alias", default="champion", show_default=True, help="By alias.")(command)
    command = digest_option(command)
    return click.option("--release", type=click.IntRange(1), help="By number.")(command)
