"""`kdzoo zoo fsck`: is every file of the zoo there, and what the others say of it?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.sizes import size_text
from kdzoo.cli.zoo.step_bars import StepBars
from kdzoo.cli.zoos import open_store_of

if TYPE_CHECKING:
    from zoo_registry.upkeep.findings import Checked

_SHOWN_NOTES = 20


@click.command()
@click.option("--deep", is_flag=True, help="Read every blob whole and compare its sha256; takes a full download.")
@zoo_option
@json_option
def fsck(deep: bool, zoo: str | None, as_json: bool) -> int:
    """Check the zoo: its id, aliases, manifests, blobs, gaps, and files that do not belong there.

    Changes nothing. The exit status is 1 when something is wrong, and 0 when there are at most things for information:
    files that kdzoo did not write, blobs that no release refers to, numbers without a release, and what stopped writers
    left.

    \b
    Examples:
      kdzoo zoo fsck
      kdzoo zoo fsck --deep --zoo s3://models/zoo
      kdzoo zoo fsck --json | jq '.findings[] | select(.wrong)'
    """
    from kdzoo.settings import Settings
    from zoo_registry.cache.blobs import BlobCache
    from zoo_registry.cache.place import kept_identity
    from zoo_registry.upkeep.fsck import fsck as check

    store = open_store_of(zoo)
    before = kept_identity(store, BlobCache(Settings.from_environment().cache / "zoo"))
    with StepBars() as bars:
        checked = check(store, deep=deep, before=before, progress=bars)
    if as_json:
        say_json(_document(store.uri, checked))
    else:
        _print(store.uri, checked)
    return 0 if checked.is_sound else 1


def _document(uri: str, checked: Checked) -> dict[str, Any]:
    return {
        "zoo": uri,
        "id": checked.zoo,
        "sound": checked.is_sound,
        "deep": checked.deep,
        "entries": checked.entries,
        "releases": checked.releases,
        "aliases": checked.aliases,
        "blobs": checked.blobs,
        "bytes": checked.size,
        "findings": [
            {
                "kind": found.kind.value,
                "wrong": found.kind.is_wrong,
                "key": found.key,
                "what": found.what,
                "advice": found.kind.advice,
            }
            for found in checked.findings
        ],
    }


def _print(uri: str, checked: Checked) -> None:
    wrong = [found for found in checked.findings if found.kind.is_wrong]
    notes = [found for found in checked.findings if not found.kind.is_wrong]
    for found in wrong:
        say(f"{found.key}: {found.what}", alarm=f"{found.kind.value}: ")
    for found in notes[:_SHOWN_NOTES]:
        say(f"{found.kind.value}: {found.key}: {found.what}")
    if len(notes) > _SHOWN_NOTES:
        say(f"{len(notes) - _SHOWN_NOTES} more for information; --json lists all")
    advice = sorted({(found.kind.value, found.kind.advice) for found in wrong + notes})
    if advice:
        say("", "What to do:")
    for kind, text in advice:
        say(f"  {kind}: {text}")
    if checked.zoo is not None:
        say(f"this is zoo {checked.zoo}")
    held = (
        f"{_count(checked.entries, 'entry', 'entries')}, {_count(checked.releases, 'release')}, "
        f"{_count(checked.aliases, 'alias', 'aliases')}, {_count(checked.blobs, 'blob')} of {size_text(checked.size)}"
    )
    how = "every blob read" if checked.deep else "sizes compared; --deep reads every blob"
    verdict = "nothing is wrong" if not wrong else f"{_count(len(wrong), 'thing is', 'things are')} wrong"
    say(f"{uri}: {held}; {verdict} ({how})")


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
