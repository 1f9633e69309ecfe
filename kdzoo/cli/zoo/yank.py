"""`kdzoo zoo yank`: a release that nobody is to use any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.category_entry import Origin, origin_of, over_methods, promote_command
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.zoo.moves import mover
from kdzoo.cli.zoo.which_release import entry_argument
from kdzoo.cli.zoos import open_zoo
from kdzoo.errors import UsageError
from kdzoo.methods.registry import BEST

if TYPE_CHECKING:
    from zoo_registry import EntryName, Registry


@click.command()
@entry_argument
@click.argument("release", type=click.IntRange(1))
@click.option("--undo", is_flag=True, help="Take a withdrawal back.")
@click.option("--who", metavar="NAME", help="Who withdraws it; default KDZOO_WHO, else user@host.")
@click.option("--why", default="", metavar="TEXT", help="One line that those read who are refused.")
@zoo_option
@json_option
def yank(entry: str, release: int, undo: bool, who: str | None, why: str, zoo: str | None, as_json: bool) -> None:
    """Withdraw a release: nobody can load, pull or pack it, and no alias be pointed at it; nothing is deleted.

    It is signed where KDZOO_SIGNING_KEY is set. Aliases that point at the release stay, and those who follow them are
    refused, until they are moved.

    \b
    Examples:
      kdzoo zoo yank aand/demo/weave 2 --why "trained on mislabelled images"
      kdzoo zoo yank aand/demo/weave 2 --undo
    """
    from kdzoo.over_methods import repeats
    from zoo_registry import EntryName

    if undo and (who or why):
        raise click.UsageError("--who and --why are for a withdrawal")
    name, registry = EntryName.parse(entry), open_zoo(zoo)
    origin = origin_of(registry.resolve(name, release).document)  # says what there is instead
    if origin is not None:
        raise UsageError(
            f"{name} release {release} repeats release {origin.release} of {origin.entry}",
            hint=f"which is what to withdraw, here and there: kdzoo zoo yank {origin.entry} {origin.release}",
        )
    made = registry.withdrawn.change(name, release, withdraw=not undo, who=mover(who), why=why)
    state = "is no longer withdrawn" if undo else "was withdrawn before" if made is None else "is withdrawn"
    if as_json:
        signed = made is not None and made.signature is not None
        document = {"entry": str(name), "release": release, "withdrawn": not undo, "new": made is not None}
        say_json(document | {"signed": signed})
    else:
        say(f"{name} release {release} {state}")
    if not undo:
        _tell_aliases(registry, name, release)
    for number in repeats(registry, Origin(entry=name, release=release)):
        _repeat(registry, over_methods(name), number, withdraw=not undo, who=who, why=why)


def _repeat(registry: Registry, name: EntryName, number: int, *, withdraw: bool, who: str | None, why: str) -> None:
    """The same for a release of the category's entry, which repeats the method's."""
    if withdraw or number in registry.withdrawn.of(name):
        registry.withdrawn.change(name, number, withdraw=withdraw, who=mover(who), why=why)
    if withdraw:
        _tell_aliases(registry, name, number)


def _tell_aliases(registry: Registry, name: EntryName, release: int) -> None:
    from kdzoo.champions import CHAMPION

    for alias, move in registry.aliases(name).items():
        if move.release == release:
            move_on, whose = f"kdzoo zoo rollback {name} --alias {alias}", ""
            if name.method == BEST:
                whose = f" of {name}"
                move_on = promote_command(name) if alias == CHAMPION else move_on
            tell_note(f"alias {alias}{whose} still points at it; move it on: {move_on}")
