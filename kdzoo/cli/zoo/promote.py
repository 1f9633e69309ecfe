"""`kdzoo zoo promote`: another release becomes champion."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.zoo.moves import expiry, log_options, mover, tell_mlflow, tell_move
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo


@click.command()
@entry_argument
@click.argument("release", type=click.IntRange(1))
@click.option("--force", is_flag=True, help="Also if it is not known to be better than the champion.")
@click.option("--alias", default="champion", show_default=True, help="The alias to move.")
@log_options
@zoo_option
@json_option
def promote(
    entry: str,
    release: int,
    force: bool,
    alias: str,
    why: str,
    who: str | None,
    expires: str | None,
    zoo: str | None,
    as_json: bool,
) -> None:
    """Make a release champion, which `kdzoo.load` follows, or move another alias to it.

    A champion is beaten by a better objective under the same protocol and split, on the same data at the same input
    size and way of resizing, where the images that both have judged tell the two apart; or by other thresholds on its
    own weights. Other aliases are free.

    \b
    Examples:
      kdzoo zoo promote aand/demo/weave 2
      kdzoo zoo promote aand/demo/weave 1 --force --why "2 alarms on line 3"
      kdzoo zoo promote aand/demo/weave 2 --alias staging
    """
    from kdzoo.champions import point
    from zoo_registry import EntryName

    name = EntryName.parse(entry)
    registry = open_zoo(zoo)
    moved = point(registry, name, alias, release, force=force, who=mover(who), why=why, expires=expiry(expires))
    tell_move(name, alias, moved, as_json=as_json)
    tell_mlflow(registry, name, alias)
