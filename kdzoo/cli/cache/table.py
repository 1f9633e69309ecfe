"""Items of the cache as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kdzoo.cli.sizes import size_text

if TYPE_CHECKING:
    from kdzoo.cli.cache.items import CacheItem


def print_items(items: Sequence[CacheItem]) -> None:
    """Prints the table on stdout, an item a line."""
    from kdzoo.cli.tables import Page, PlainTable

    table = PlainTable(
        None, ("kind", "what", "part", "images", "side", "size", "last used"), numbers=("images", "side", "size")
    )
    for item in items:
        numbers = (str(number) if number else "" for number in (item.images, item.side))
        used = datetime.fromtimestamp(item.used, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        table.add_row(item.kind, item.what, item.part, *numbers, size_text(item.size), used)
    Page().table(table)
