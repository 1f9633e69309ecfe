"""`kdzoo cache`: what the cache holds, and how to empty it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kdzoo.cli.cache.verify import verify
from kdzoo.cli.lazy import DefaultGroup
from kdzoo.cli.options import Bar, json_option
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.cli.cache.items import CacheItem, CacheView

_KINDS = ["decoded", "features", "zoo"]
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_AGE = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw])")


@click.group(cls=DefaultGroup, default="list")
def cache() -> None:
    """See what the cache holds (KDZOO_CACHE), and empty it.

    Decoded images, and features that trials share, are kept until the cache reaches KDZOO_CACHE_LIMIT (such as 50GB;
    by default half of what it has and the disk has free; 0 keeps no features); then what was used longest ago goes,
    never what a process uses.

    \b
    Examples:
      kdzoo cache
      kdzoo cache clear --older-than 7d
      kdzoo cache clear --dataset demo --dry-run
      kdzoo cache clear --kind features --yes
      kdzoo cache verify
    """


cache.add_command(verify)


def _seconds(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """A time such as ``7d``, in seconds."""
    if value is None:
        return None
    match = _AGE.fullmatch(value.strip().lower())
    if match is None:
        raise UsageError(f"--older-than '{value}' is not a time", hint="for example 7d, 12h or 30m")
    return float(match[1]) * _UNITS[match[2]]


@cache.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only decoded images, only features, or only pulled blobs.")
@click.option("--dataset", "-d", metavar="NAME[/CATEGORY]", help="Only this data set's images and features.")
@json_option
def list_items(kind: str | None, dataset: str | None, as_json: bool) -> None:
    """List what the cache holds, what was used longest ago first.

    \b
    Example:
      kdzoo cache list --kind decoded --dataset demo
    """
    view = _view()
    items = _chosen(view, kind, dataset)
    if as_json:
        click.echo(json.dumps({**view.document(), "items": [item.document() for item in items]}))
        return
    if items:
        _print(items)
    else:
        _tell_none(view, dataset)
    _print_totals(view)


@cache.command()
@click.option(
    "--kind",
    type=click.Choice(_KINDS),
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
    view = _view()
    items = [item for item in _chosen(view, kind, dataset) if item.may_go(older_than, now=time.time())]
    used = [item for item in items if item.in_use()]
    going = [item for item in items if item not in used]
    total = size_text(sum(item.size for item in going))
    if going and not as_json:
        _print(going)
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
        click.echo(json.dumps({**told, "bytes": freed, "dry_run": dry_run}))
        return
    if used:
        click.echo(f"Kept: {_count(used)} in use, or not yours to delete", err=True)
    if not gone:
        click.echo("Nothing to delete", err=True)
        if not items:
            _tell_none(view, dataset)
    else:
        freed_text = size_text(sum(item.size for item in gone))
        click.echo(f"{'Would delete' if dry_run else 'Deleted'} {_count(gone)}, {freed_text}")


def size_text(size: int) -> str:
    """Bytes for people, in powers of 1000: ``1.2 GB``."""
    amount, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.5 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.95 else f"{amount:.1f} {unit}"


def _view() -> CacheView:
    from kdzoo.cli.cache.items import CacheView
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    return CacheView.of(settings.cache, settings.cache_limit)


def _chosen(view: CacheView, kind: str | None, dataset: str | None) -> list[CacheItem]:
    if dataset is not None and kind == "zoo":
        raise UsageError(
            "--dataset chooses among images and features, and --kind zoo is blobs", hint="leave one of them out"
        )
    chosen = [item for item in view.items if kind is None or item.kind == kind]
    if dataset is None:
        return chosen
    dataset = dataset.strip(" /")
    if not dataset:
        raise UsageError("--dataset is empty", hint="kdzoo cache shows the names")
    return [item for item in chosen if item.is_of(dataset)]


def _tell_none(view: CacheView, dataset: str | None) -> None:
    """Says why a list is empty; a wrong name is no error, so that a script can clear twice."""
    names = sorted({item.what for item in view.items if item.kind != "zoo"})
    if not view.items:
        click.echo(f"The cache {view.folder} is empty", err=True)
    elif dataset is not None and names:
        click.echo(f"Nothing of '{dataset}'; there are some of {', '.join(names)}", err=True)


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


def _print(items: Sequence[CacheItem]) -> None:
    from kdzoo.cli.tables import make_table, results

    table = make_table(
        None, ("kind", "what", "part", "images", "side", "size", "last used"), numbers=("images", "side", "size")
    )
    for item in items:
        numbers = (str(number) if number else "" for number in (item.images, item.side))
        used = datetime.fromtimestamp(item.used, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(item.kind, item.what, item.part, *numbers, size_text(item.size), used)
    results().print(table)


def _print_totals(view: CacheView) -> None:
    sizes = view.sizes()
    shared = " with features" if "features" in sizes else ""
    for kind, size in sizes.items():
        limit = f" of at most {size_text(view.limit)}{shared}" if kind == "decoded" else ""
        click.echo(f"{kind:8} {size_text(size)}{limit}")
    click.echo(f"{'total':8} {size_text(sum(sizes.values()))} in {view.folder}")
