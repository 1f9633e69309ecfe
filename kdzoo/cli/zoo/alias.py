"""`kdzoo zoo alias`: the movable names of an entry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.zoo.moves import expiry, log_options, mover, tell_move, tell_others, time_text
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry
    from zoo_registry.format.alias import Move


@click.command()
@entry_argument
@click.argument("name", required=False)
@click.argument("release", type=click.IntRange(1), required=False)
@click.option("--delete", "deletes", is_flag=True, help="Delete the alias; its history stays.")
@click.option("--force", is_flag=True, help="For champion: also if it is no better, and to delete it.")
@log_options
@zoo_option
@json_option
def alias(
    entry: str,
    name: str | None,
    release: int | None,
    deletes: bool,
    force: bool,
    why: str,
    who: str | None,
    expires: str | None,
    zoo: str | None,
    as_json: bool,
) -> None:
    """List the aliases of an entry, or show, set or delete one.

    \b
    Examples:
      kdzoo zoo alias aand/demo/weave
      kdzoo zoo alias aand/demo/weave staging 2 --why "on trial on line 3"
      kdzoo zoo alias aand/demo/weave champion 2 --expires 30d
      kdzoo zoo alias aand/demo/weave staging --delete
    """
    from kdzoo import champions
    from zoo_registry import EntryName

    parsed = EntryName.parse(entry)
    if deletes and (name is None or release is not None):
        raise click.UsageError("--delete takes the alias's NAME and no RELEASE")
    if deletes and expires:
        raise click.UsageError("--expires is for an alias that points at a release")
    if (release is None and not deletes) and (force or why or who or expires):
        raise click.UsageError("--force, --why, --who and --expires are for a move; give a RELEASE or --delete")
    registry, until = open_zoo(zoo), expiry(expires)
    if name is None:
        _list(registry, parsed, as_json=as_json)
        return
    if deletes:
        moved: Move = champions.delete(registry, parsed, name, force=force, who=mover(who), why=why)
    elif release is not None:
        moved = champions.point(registry, parsed, name, release, force=force, who=mover(who), why=why, expires=until)
    else:
        moved = registry.read_alias(parsed, name)
    tell_move(parsed, name, moved, as_json=as_json)
    if deletes or release is not None:
        tell_others(registry, parsed, name)


def _list(registry: Registry, entry: EntryName, *, as_json: bool) -> None:
    found = registry.aliases(entry)
    if not found and not registry.releases(entry):
        registry.read_alias(entry, "champion")  # says what there is instead
    if as_json:
        say_json([{"alias": alias, **move.fields()} for alias, move in found.items()])
        return
    if not found:
        tell(f"{entry} has no aliases; set one with: kdzoo zoo alias {entry} staging 1")
        return
    from kdzoo.cli.tables import Page, PlainTable

    table = PlainTable(None, ("alias", "release", "since", "who", "why"), numbers=("release",))
    for alias, move in found.items():
        table.add_row(alias, str(move.release), time_text(move), move.who or "–", move.why)
    Page().table(table)
