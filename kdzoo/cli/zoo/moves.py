"""Moves of aliases: who makes them and why, how one is told, and who else is told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.category_entry import origin_of, over_methods
from kdzoo.cli.ages import age_seconds
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import F
from kdzoo.cli.say import say, say_json
from kdzoo.errors import UsageError
from kdzoo.methods.registry import BEST

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry
    from zoo_registry.format.alias import Move


def log_options(command: F) -> F:
    """``--why``, ``--who`` and ``--expires``: what an alias and its log say of a move."""
    command = click.option(
        "--expires", metavar="AGE", help="Until when it is followed, from now: 12h, 30d. Needs KDZOO_SIGNING_KEY."
    )(command)
    command = click.option("--who", metavar="NAME", help="Who moves it; default KDZOO_WHO, else user@host.")(command)
    return click.option("--why", default="", metavar="TEXT", help="One line for the alias's log.")(command)


def mover(who: str | None) -> str | None:
    """Who moves an alias: the option, else the settings' own; None for this process's ``user@host``."""
    from kdzoo.settings import Settings

    return who or Settings.from_environment().who


def expiry(text: str | None) -> str | None:
    """The time of ``--expires`` in UTC, as an alias says it; None for ever."""
    if text is None:
        return None
    from datetime import UTC, datetime, timedelta

    from zoo_registry.format.records import utc_text

    seconds = age_seconds(text, "--expires")
    try:
        then = datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError as error:
        raise UsageError(f"--expires '{text}' is later than any date", hint="for example 30d") from error
    return utc_text(then)


def tell_others(registry: Registry, entry: EntryName, alias: str) -> None:
    """After an alias was moved by hand: MLflow's model registry follows the champion; the category's does not."""
    from kdzoo.champions import CHAMPION
    from kdzoo.mirror import follow_champion
    from kdzoo.settings import Settings

    if alias == CHAMPION and entry.method != BEST:
        follow_champion(Settings.from_environment(), registry, entry, tell_note)
        _tell_category(registry, entry)


def _tell_category(registry: Registry, entry: EntryName) -> None:
    """Says that the category's champion over all methods is another release of this entry, and how to move it."""
    from kdzoo.over_methods import leader

    best, champion = leader(registry, over_methods(entry)), leader(registry, entry)
    origin = None if best is None else origin_of(best.document)
    if origin is None or champion is None or origin.entry != entry or origin.release == champion.release:
        return
    name = f"{entry.dataset}/{entry.category}"
    tell_note(
        f"over all methods {name} is release {origin.release} of it; to move that, too: "
        f"kdzoo zoo promote {entry} {champion.release} --over-methods"
    )


def tell_move(entry: EntryName, alias: str, move: Move, *, as_json: bool) -> None:
    """Says where an alias is now."""
    if as_json:
        say_json({"entry": str(entry), "alias": alias, **move.fields()})
    elif move.release is None:
        say(f"{alias} of {entry} is deleted")
    else:
        until = "" if move.expires is None else f", until {move.expires[:19].replace('T', ' ')} UTC"
        say(f"{alias} of {entry} is release {move.release}{until}")


def time_text(move: Move) -> str:
    """When an alias was moved, to the second."""
    return move.updated[:19].replace("T", " ") + " UTC"
