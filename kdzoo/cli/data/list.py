"""`kdzoo data list`: every known data set, and whether it is there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from kdzoo.cli.options import json_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_json

if TYPE_CHECKING:
    from kdzoo.data.inventory import Listed


@click.command("list")
@json_option
def list_datasets(as_json: bool) -> None:
    """List every known data set and named folder: is it there, where, how much of it, and what to run next.

    \b
    Examples:
      kdzoo data
      kdzoo data list --json
    """
    from kdzoo.data.inventory import inventory
    from kdzoo.settings import Settings

    with Bar("Counting images") as bar:
        rows = inventory(Settings.from_environment(), bar)
    if as_json:
        say_json([{**dataclasses.asdict(row), "root": str(row.root)} for row in rows])
        return
    from kdzoo.cli.tables import Page, PlainTable

    numbers = ("categories", "images")
    table = PlainTable(None, ("name", "state", *numbers, "licence", "where"), numbers=numbers)
    for row in rows:
        where = row.root if row.state != "missing" else "–"
        counts = (_of(row.categories, row.expected_categories), _of(row.images, row.expected_images))
        table.add_row(row.name, row.state, *counts, row.licence or "–", str(where))
    page = Page()
    page.table(table)
    for row in rows:
        page.line(_next(row))


def _of(count: int | None, expected: int | None) -> str:
    there = "–" if count is None else str(count)
    return there if expected is None else f"{there} of {expected}"


def _next(row: Listed) -> str:
    if row.state == "missing":
        reason = "drawn at its first use" if row.name == "demo" else "not there"
        return f"{row.name}: {reason}: {row.next}"
    return f"{row.name}: {row.trouble or row.title}: {row.next}"
