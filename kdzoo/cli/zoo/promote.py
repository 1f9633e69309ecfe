"""`kdzoo zoo promote`: another release becomes champion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.zoo.moves import expiry, log_options, mover, tell_move, tell_others
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo
from kdzoo.methods.registry import BEST

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry


@click.command()
@entry_argument
@click.argument("release", type=click.IntRange(1))
@click.option("--force", is_flag=True, help="Also if it is not known to be better than the champion.")
@click.option("--alias", default="champion", show_default=True, help="The alias to move.")
@click.option("--over-methods", "over", is_flag=True, help="Have it lead its category over all methods, too.")
@log_options
@zoo_option
@json_option
def promote(
    entry: str,
    release: int,
    force: bool,
    alias: str,
    over: bool,
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
      kdzoo zoo promote aand/demo/weave 2 --over-methods --force
    """
    from kdzoo.champions import CHAMPION, point
    from zoo_registry import EntryName

    name = EntryName.parse(entry)
    if over and (alias != CHAMPION or name.method == BEST):
        raise click.UsageError("--over-methods is for a method's champion: give METHOD/DATASET/CATEGORY and no --alias")
    registry = open_zoo(zoo)
    moved = point(registry, name, alias, release, force=force, who=mover(who), why=why, expires=expiry(expires))
    tell_move(name, alias, moved, as_json=as_json)
    if over:
        _lead(registry, name, release, force=force, who=mover(who), why=why)
    tell_others(registry, name, alias)


def _lead(registry: Registry, name: EntryName, release: int, *, force: bool, who: str | None, why: str) -> None:
    """Has the release lead its category over all methods.

    Raises:
        PromotionError: it is no better than what leads, or cannot be compared.
    """
    from kdzoo.errors import PromotionError
    from kdzoo.over_methods import lead

    standing = lead(registry, registry.resolve(name, release), who=who, force=force, why=why)
    if not standing.leads:
        raise PromotionError(
            f"release {release} of {name} does not lead over all methods: {standing.note}",
            hint=f"to do it all the same: kdzoo zoo promote {name} {release} --over-methods --force",
        )
    tell_note(f"over all methods {name.dataset}/{name.category} is that release now")
