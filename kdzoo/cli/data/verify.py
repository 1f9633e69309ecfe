"""`kdzoo data verify`: every file of a data set opened and decoded, and what is wrong with them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.datasets import open_dataset_with_progress
from kdzoo.cli.options import json_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_json
from kdzoo.errors import DatasetError

if TYPE_CHECKING:
    from kdzoo.data.verify import DatasetCheck, Problem

_MOST_TOLD = 100


@click.command()
@click.argument("name", metavar="NAME|PATH")
@click.option("--category", "-c", "categories", metavar="NAME", multiple=True, help="Only this one; repeatable.")
@json_option
def verify(name: str, categories: tuple[str, ...], as_json: bool) -> None:
    """Open and decode every image and mask of the data set NAME, and list what is wrong.

    Looks for missing and unreadable files, masks that are missing, empty, of the wrong size or without an image, images
    that are the same in train and test, and numbers that are not the published ones. Exit status 1 if any is found.

    \b
    Examples:
      kdzoo data verify demo
      kdzoo data verify mvtec -c bottle -c cable --json
      kdzoo data verify ./my-parts
    """
    from kdzoo.data.verify import verify_dataset
    from kdzoo.settings import Settings

    opened = open_dataset_with_progress(name, Settings.from_environment())
    with Bar("Reading images and masks") as bar:
        check = verify_dataset(opened, categories or None, progress=bar)
    if as_json:
        say_json(_plain(check))
    else:
        _show(check)
    if check.count:
        raise DatasetError(
            f"{check.count} {'problem' if check.count == 1 else 'problems'} in the data set '{check.dataset}'",
            hint="they are listed above; mend or replace the files, then verify it again",
        )


def _plain(check: DatasetCheck) -> dict[str, Any]:
    return {**dataclasses.asdict(check), "root": str(check.root), "ok": not check.count}


def _show(check: DatasetCheck) -> None:
    from kdzoo.cli.tables import Page, PlainTable

    numbers = ("train", "validation", "normal tests", "defects", "masks", "problems")
    table = PlainTable(f"{check.dataset}, {check.root}", ("category", *numbers, "fingerprint"), numbers=numbers)
    for each in check.categories:
        keys = ("train", "validation", "test_normal", "test_defective")
        counts = [str(each.images.get(key, "–")) for key in keys]
        fingerprint = each.fingerprint[:16] if each.fingerprint else "–"
        table.add_row(each.category, *counts, str(each.masks), str(len(each.problems)), fingerprint)
    page = Page()
    page.table(table)
    for note in check.notes:
        page.line(f"Note: {note}")
    for each in check.categories:
        for note in each.notes:
            page.line(f"Note: {each.category}: {note}")
    for problem in check.problems:
        page.line(_line(problem, check.dataset))
    for each in check.categories:
        for problem in each.problems[:_MOST_TOLD]:
            page.line(_line(problem, each.category))
        if len(each.problems) > _MOST_TOLD:
            more = len(each.problems) - _MOST_TOLD
            page.line(f"{each.category}: and {more} more; --json lists all")
    if not check.count:
        page.line("Everything is there, and can be read.")


def _line(problem: Problem, place: str) -> str:
    where = f"{place}/{problem.file}" if problem.file else place
    return f"{problem.kind}: {where}: {problem.text}"
