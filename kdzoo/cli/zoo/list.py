"""`kdzoo zoo list`: the entries and their champions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from kdzoo.category_entry import origin_of
from kdzoo.cli.notes import tell_note
from kdzoo.cli.options import json_option, zoo_option
from kdzoo.cli.progress import Bar
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.zoos import open_zoo
from kdzoo.methods.registry import BEST

if TYPE_CHECKING:
    from zoo_registry.zoo.overview import EntryOverview


@click.command("list")
@zoo_option
@json_option
def list_entries(zoo: str | None, as_json: bool) -> None:
    """List the entries with their champions.

    An entry whose champion cannot be read is listed too, and a note says why.

    \b
    Examples:
      kdzoo zoo list
      kdzoo zoo list --zoo s3://models/zoo --json | jq '.[] | select(.problem)'
    """
    from zoo_registry.zoo.overview import overview

    registry = open_zoo(zoo)
    with Bar("Reading champions") as bar:
        rows = [_row(found) for found in overview(registry, progress=bar)]
    for row in rows:
        if row["problem"] is not None:
            tell_note(f"{row['entry']}: {row['problem']}")
    if as_json:
        say_json(rows)
        return
    if not rows:
        tell(f"{registry.uri} is empty; publish to it with: kdzoo sweep aand --dataset demo")
        return
    from kdzoo.cli.tables import Page, PlainTable, number

    numbers = ("champion", "releases", "test image AUROC", "test AUPRO")
    table = PlainTable(None, ("entry", "champion", "releases", "protocol", *numbers[2:]), numbers=numbers)
    for row in rows:
        measured = [number(row["metrics"].get(name)) for name in ("test_image_auroc", "test_aupro")]
        protocol = str(row["protocol"] or "–")
        over = f" ({row['method']})" if row["entry"].startswith(f"{BEST}/") and row["method"] else ""
        table.add_row(row["entry"] + over, str(row["champion"] or "–"), str(row["releases"]), protocol, *measured)
    Page().table(table)


def _row(found: EntryOverview) -> dict[str, Any]:
    """One line of the list; an entry whose champion cannot be read still has one."""
    row: dict[str, Any] = {
        "entry": str(found.entry),
        "releases": len(found.releases),
        "champion": None,
        "method": None if found.entry.method == BEST else found.entry.method,
        "digest": None,
        "protocol": None,
        "metrics": {},
        "created": None,
        "problem": found.problem,
    }
    if found.manifest is None:
        return row
    document = found.manifest.document
    origin = origin_of(document)
    return row | {
        "champion": found.manifest.release,
        "method": origin.entry.method if origin is not None else row["method"],
        "digest": found.manifest.digest,
        "protocol": document.get("protocol"),
        "metrics": _numbers(document.get("metrics")),
        "created": found.manifest.created,
    }


def _numbers(value: Any) -> dict[str, float]:
    """The numbers of a mapping that a stranger wrote; what is none is left out."""
    items = value.items() if isinstance(value, dict) else ()
    return {str(key): item for key, item in items if isinstance(item, float | int) and not isinstance(item, bool)}
