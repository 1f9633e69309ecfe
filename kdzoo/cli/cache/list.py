"""`kdzoo cache list`: what the cache holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kdzoo.cli.cache.choice import KINDS, chosen_items, open_cache, tell_none
from kdzoo.cli.cache.table import print_items
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say, say_json
from kdzoo.cli.sizes import size_text

if TYPE_CHECKING:
    from kdzoo.cli.cache.items import CacheView


@click.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only decoded images, only features, or only pulled blobs.")
@click.option("--dataset", "-d", metavar="NAME[/CATEGORY]", help="Only this data set's images and features.")
@json_option
def list_items(kind: str | None, dataset: str | None, as_json: bool) -> None:
    """List what the cache holds, what was used longest ago first.

    \b
    Example:
      kdzoo cache list --kind decoded --dataset demo
    """
    view = open_cache()
    items = chosen_items(view, kind, dataset)
    if as_json:
        say_json({**view.document(), "items": [item.document() for item in items]})
        return
    if items:
        print_items(items)
    else:
        tell_none(view, dataset)
    _print_totals(view)


def _print_totals(view: CacheView) -> None:
    sizes = view.sizes()
    shared = " with features" if "features" in sizes else ""
    for kind, size in sizes.items():
        limit = f" of at most {size_text(view.limit)}{shared}" if kind == "decoded" else ""
        say(f"{kind:8} {size_text(size)}{limit}")
    say(f"{'total':8} {size_text(sum(sizes.values()))} in {view.folder}")
