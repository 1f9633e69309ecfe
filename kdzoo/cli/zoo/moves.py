"""Moves of aliases: who makes them and why, how one is told, and who else is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import F
from kdzoo.cli.say import say, say_json

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry
    from zoo_registry.format.alias import Move


def log_options(command: F) -> F:
    """``--why`` and ``--who``: what the log of an alias says of a move."""
    command = click.option("--who", metavar="NAME", help="Who moves it; default KDZOO_WHO, else user@host.")(command)
    return click.option("--why", default="", metavar="TEXT", help="One line for the alias's log.")(command)


def mover(who: str | None) -> str | None:
    """Who moves an alias: the option, else the settings' own; None for this process's ``user@host``."""
    from kdzoo.settings import Settings

    return who or Settings.from_environment().who


def tell_mlflow(registry: Registry, entry: EntryName, alias: str) -> None:
    """After an alias was moved by hand: MLflow's model registry follows the champion."""
    from kdzoo.champions import CHAMPION
    from kdzoo.mirror import follow_champion
    from kdzoo.settings import Settings

    if alias == CHAMPION:
        follow_champion(Settings.from_environment(), registry, entry, tell_note)


def tell_move(entry: EntryName, alias: str, move: Move, *, as_json: bool) -> None:
    """Says where an alias is now."""
    if as_json:
        say_json({"entry": str(entry), "alias": alias, **move.fields()})
    elif move.release is None:
        say(f"{alias} of {entry} is deleted")
    else:
        say(f"{alias} of {entry} is release {move.release}")


def time_text(move: Move) -> str:
    """When an alias was moved, to the second."""
    return move.updated[:19].replace("T", " ") + " UTC"
