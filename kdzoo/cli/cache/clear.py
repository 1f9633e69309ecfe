"""`kdzoo cache clear`: what the cache holds is deleted, but nothing in use."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kdzoo.cli.cache.choice import KINDS, chosen_items, open_cache, tell_none
from kdzoo.cli.cache.table import print_items
from kdzoo.cli.options import json_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say, say_json, tell
from kdzoo.cli.sizes import size_text
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.cli.cache.items import CacheItem

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")


def _seconds(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """A time such as ``7d``, in seconds."""
    if value is None:
        return None
    match = _AGE.fullmatch(value.strip().lower())
    if match is None:
        raise UsageError(f"--older-than '{value}' is not a time", hint="for example 7d, 12h or 30m")
    return float(match[1]) * _UNITS[match[2]]


@click.command()
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="decoded",
    show_default=True,
    help="Decoded images and features, which are made again from the data set; or pulled blobs, which need the zoo.",
)
@click.option("--dataset", "-d", metavar="NAME[/CATEGORY]", help="Only this data set's images or features.")
@click.option(
    "--older-than", callback=_seconds, metavar="AGE", help="Only what was not used for so long: 30m, 12h, 7d, 2w."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@json_option
def clear(kind: str, dataset: str | None, older_than: float | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Delete what the cache holds, but nothing that a process uses.

    \b
    Examples:
      kdzoo cache clear --older-than 7d
      kdzoo cache clear --dataset demo/weave --yes
    """
    view = open_cache()
    items = [item for item in chosen_items(view, kind, dataset) if item.may_go(older_than, now=time.time())]
    used = [item for item in items if item.in_use()]
    going = [item for item in items if item not in used]
    total = size_text(sum(item.size for item in going))
    if going and not as_json:
        print_items(going)
    if going and not dry_run and not yes:
        _ask(f"Delete {_count(going)}, {total}?")
    gone = going
    if not dry_run:
        if kind != "zoo":
            view.tidy()
        with Bar("Deleting") as bar:
            gone = [item for number, item in enumerate(going, 1) if _removed(item, bar, number, len(going))]
        used += [item for item in going if item not in gone]
    if as_json:
        freed = sum(item.size for item in gone)
        told = {"removed": [item.document() for item in gone], "in_use": [item.document() for item in used]}
        say_json({**told, "bytes": freed, "dry_run": dry_run})
        return
    if used:
        tell(f"Kept: {_count(used)} in use, or not yours to delete")
    if not gone:
        tell("Nothing to delete")
        if not items:
            tell_none(view, dataset)
    else:
        freed_text = size_text(sum(item.size for item in gone))
        say(f"{'Would delete' if dry_run else 'Deleted'} {_count(gone)}, {freed_text}")


def _removed(item: CacheItem, bar: Bar, number: int, total: int) -> bool:
    gone = item.remove()
    bar(number, total)
    return gone


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to be asked", hint="add --yes to delete, or --dry-run to look")
    click.confirm(question, abort=True, err=True)


def _count(items: Sequence[CacheItem]) -> str:
    return "1 item" if len(items) == 1 else f"{len(items)} items"
