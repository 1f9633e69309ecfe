"""`kdzoo zoo history`: every move that an entry's aliases made."""

from __future__ import annotations

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say_json
from kdzoo.cli.zoo.moves import time_text
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo

_COLUMNS = ("alias", "move", "when", "who", "action", "from", "to", "why")


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
        say_json([{"alias": alias, **move.fields()} for alias, move in moves])
        return
    from kdzoo.cli.tables import Page, PlainTable

    table = PlainTable(None, _COLUMNS, numbers=("move", "from", "to"))
    for alias, move in moves:
        points = (str(release) if release else "–" for release in (move.previous, move.release))
        cells = (alias, str(move.number), time_text(move), move.who or "–", move.action, *points, move.why)
        table.add_row(*cells)
    Page().table(table)
