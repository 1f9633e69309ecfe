"""`kdzoo zoo alias` and `history`: the movable names of an entry, and every move they made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.zoo.opening import cell, entry_argument, log_options, mover, open_zoo, tell_mlflow, tell_move

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry
    from zoo_registry.format.alias import Move

_COLUMNS = ("alias", "move", "when", "who", "action", "from", "to", "why")


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
    zoo: str | None,
    as_json: bool,
) -> None:
    """List the aliases of an entry, or show, set or delete one.

    \b
    Examples:
      kdzoo zoo alias aand/demo/weave
      kdzoo zoo alias aand/demo/weave staging 2 --why "on trial on line 3"
      kdzoo zoo alias aand/demo/weave staging --delete
    """
    from kdzoo import champions
    from zoo_registry import EntryName

    parsed = EntryName.parse(entry)
    if deletes and (name is None or release is not None):
        raise click.UsageError("--delete takes the alias's NAME and no RELEASE")
    if (release is None and not deletes) and (force or why or who):
        raise click.UsageError("--force, --why and --who are for a move; give a RELEASE or --delete")
    registry = open_zoo(zoo)
    if name is None:
        _list(registry, parsed, as_json=as_json)
        return
    if deletes:
        moved: Move = champions.delete(registry, parsed, name, force=force, who=mover(who), why=why)
    elif release is not None:
        moved = champions.point(registry, parsed, name, release, force=force, who=mover(who), why=why)
    else:
        moved = registry.read_alias(parsed, name)
    tell_move(parsed, name, moved, as_json=as_json)
    if deletes or release is not None:
        tell_mlflow(registry, parsed, name)


@click.command()
@entry_argument
@click.option("--alias", "name", help="Of one alias alone.")
@zoo_option
@json_option
def history(entry: str, name: str | None, zoo: str | None, as_json: bool) -> None:
    """Show every move of an entry's aliases: when, who, from where to where, and why.

    \b
    Examples:
      kdzoo zoo history aand/demo/weave
      kdzoo zoo history aand/demo/weave --alias champion --json
    """
    from zoo_registry import EntryName

    registry, parsed = open_zoo(zoo), EntryName.parse(entry)
    names = registry.alias_log.names(parsed) if name is None else [name]
    moves = [(alias, move) for alias in names for move in registry.alias_log.moves(parsed, alias)]
    if not moves:
        registry.read_alias(parsed, name or "champion")  # says what there is instead
    moves.sort(key=lambda pair: pair[1].updated)  # stable: the moves of one alias stay in their order
    if as_json:
        click.echo(json.dumps([{"alias": alias, **move.fields()} for alias, move in moves]))
        return
    from kdzoo.cli.tables import make_table, results

    table = make_table(None, _COLUMNS, numbers=("move", "from", "to"))
    for alias, move in moves:
        points = (str(release) if release else "–" for release in (move.previous, move.release))
        cells = (alias, str(move.number), _when(move), move.who or "–", move.action, *points, move.why)
        table.add_row(*map(cell, cells))
    results().print(table)


def _list(registry: Registry, entry: EntryName, *, as_json: bool) -> None:
    found = registry.aliases(entry)
    if not found and not registry.releases(entry):
        registry.read_alias(entry, "champion")  # says what there is instead
    if as_json:
        click.echo(json.dumps([{"alias": alias, **move.fields()} for alias, move in found.items()]))
        return
    if not found:
        click.echo(f"{entry} has no aliases; set one with: kdzoo zoo alias {entry} staging 1", err=True)
        return
    from kdzoo.cli.tables import make_table, results

    table = make_table(None, ("alias", "release", "since", "who", "why"), numbers=("release",))
    for alias, move in found.items():
        table.add_row(*map(cell, (alias, str(move.release), _when(move), move.who or "–", move.why)))
    results().print(table)


def _when(move: Move) -> str:
    return move.updated[:19].replace("T", " ") + " UTC"
