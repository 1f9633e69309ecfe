"""`kdzoo zoo rollback`: an alias goes back to the release before."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.zoo.moves import expiry, log_options, mover, tell_move, tell_others
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo


@click.command()
@entry_argument
@click.option("--alias", default="champion", show_default=True, help="The alias to move back.")
@log_options
@zoo_option
@json_option
def rollback(
    entry: str, alias: str, why: str, who: str | None, expires: str | None, zoo: str | None, as_json: bool
) -> None:
    """Point an alias at the release before the present one, by its log; twice goes back two releases.

    \b
    Example:
      kdzoo zoo rollback aand/demo/weave --why "misses scratches"
    """
    from kdzoo import champions
    from zoo_registry import EntryName

    name = EntryName.parse(entry)
    registry = open_zoo(zoo)
    moved = champions.rollback(registry, name, alias, who=mover(who), why=why, expires=expiry(expires))
    tell_move(name, alias, moved, as_json=as_json)
    tell_others(registry, name, alias)
