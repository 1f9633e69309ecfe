"""What the commands of `kdzoo zoo` share: the zoo that is meant, and which release of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry
    from zoo_registry.format.alias import Move

F = TypeVar("F", bound=Callable[..., Any])


def entry_argument(command: F) -> F:
    """``METHOD/DATASET/CATEGORY``."""
    return click.argument("entry", metavar="METHOD/DATASET/CATEGORY")(command)


def release_options(command: F) -> F:
    """``--release`` and ``--alias``: which release of an entry."""
    command = click.option("--alias", default="champion", show_default=True, help="By alias.")(command)
    return click.option("--release", type=click.IntRange(1), help="By number.")(command)


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
        follow_champion(Settings.from_environment(), registry, entry, _note)


def tell_move(entry: EntryName, alias: str, move: Move, *, as_json: bool) -> None:
    """Says where an alias is now."""
    if as_json:
        click.echo(json.dumps({"entry": str(entry), "alias": alias, **move.fields()}))
    elif move.release is None:
        click.echo(f"{alias} of {entry} is deleted")
    else:
        click.echo(f"{alias} of {entry} is release {move.release}")


def printable(text: str) -> str:
    """Text that a stranger wrote, with what steers a terminal as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def cell(text: str) -> str:
    """Text that a stranger wrote, for a table: it may look like markup, or steer a terminal."""
    from rich.markup import escape

    return escape(printable(text))


def open_zoo(zoo: str | None) -> Registry:
    """The zoo that ``--zoo`` or the settings name; what it warns of is a note on stderr."""
    from kdzoo.settings import Settings
    from kdzoo.zoo import open_registry

    return open_registry(Settings.from_environment(), zoo, warn=_note)


def _note(text: str) -> None:
    click.echo(f"Note: {text}", err=True)
