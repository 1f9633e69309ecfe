"""What the methods of one command came to, beside each other."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kdzoo.cli.ages import age_text
from kdzoo.cli.say import say_json, tell
from kdzoo.cli.sizes import size_text

if TYPE_CHECKING:
    from kdzoo.cli.tables import PlainTable
    from kdzoo.search.record.group import MethodResult, SweepGroup
    from kdzoo.search.record.overview import SweepSummary

_METRICS = {"image_auroc": "image AUROC", "image_ap": "image AP", "pixel_ap": "pixel AP", "aupro": "AUPRO"}


def show_group(group: SweepGroup, *, as_json: bool) -> None:
    """Prints how a group of sweeps stands: a table of its methods by category, or JSON for programs."""
    from kdzoo.cli.tables import Page
    from kdzoo.search.record.group import results_of

    summary, rows = results_of(group, left_out=lambda trouble: tell(f"Left out: {trouble}"))
    if as_json:
        say_json({**summary.as_json(), "results": [asdict(row) for row in rows]})
        return
    page = Page()
    page.table(_table(summary, rows))
    for line in _leading(rows, summary.method.split(",")):
        page.line(line)
    there = next((folder.name for folder in group.folders if folder.plan.exists()), group.members[0])
    page.line(
        f"begun {age_text(time.time() - summary.created)} ago, {size_text(summary.size)}; each method: "
        f"`kdzoo sweep show {there}`"
    )
    if summary.reason:
        page.line(f"failed: {summary.reason}")
    if summary.state == "running":
        page.line(f"`kdzoo sweep stop {group.name}` ends it")
    if summary.state in ("interrupted", "failed"):
        page.line(f"`kdzoo sweep --resume {group.name}` goes on with it", "yellow")


def _table(summary: SweepSummary, rows: list[MethodResult]) -> PlainTable:
    """A row a category and method, the highest objective first."""
    from kdzoo.cli.tables import PlainTable, number
    from kdzoo.metrics.decision_words import share_text

    filled = [name for name in _METRICS if any(_metric(row, name) is not None for row in rows)]
    titles = [f"test {_METRICS[name]}" for name in filled]
    table = PlainTable(
        f"{summary.name}: {summary.method} on {summary.dataset}, {summary.state}",
        ("category", "method", "trials", "selected by", *titles, "false alarms", "misses", "release"),
        numbers=("trials", "selected by", *titles),
    )
    before = None
    for row in rows:
        outcome: dict[str, Any] = row.outcome or {}
        report = outcome.get("operating_point", {}).get("report", {})
        table.add_row(
            row.category if row.category != before else "",
            row.method,
            f"{row.done}/{row.planned}",
            number(row.objective),
            *(number(_metric(row, name)) for name in filled),
            *(share_text(report.get(kind, {})) or "–" for kind in ("false_alarms", "misses")),
            _release(outcome),
        )
        before = row.category
    return table


def _metric(row: MethodResult, name: str) -> float | None:
    found = (row.outcome or {}).get("metrics", {}).get(f"test_{name}")
    return None if found is None else float(found)


def _release(outcome: dict[str, Any]) -> str:
    published = outcome.get("published")
    if published is None:
        return str(outcome.get("reason", ""))
    release = published["release"]
    return (f"{release}: " if release else "") + str(published["note"])


def _leading(rows: list[MethodResult], methods: list[str]) -> list[str]:
    """What leads each category over all methods, of each other method why it does not, and how to load the best.

    Args:
        rows: by category.
        methods: in the order in which they were swept: a later one may have taken the lead from an earlier.
    """
    lines, example = [], ""
    for category in dict.fromkeys(row.category for row in rows):
        told = {row.method: (row.outcome or {}).get("published") or {} for row in rows if row.category == category}
        ahead = [method for method in methods if told.get(method, {}).get("leads")]
        for method, published in told.items():
            if ahead and method == ahead[-1]:
                lines.append(f"{category}: {method} leads over all methods, {published['over_methods']}")
                example = "/".join(str(published["entry"]).split("/")[1:])
            elif published.get("over_methods") and method not in ahead:
                lines.append(f"{category}: {method} does not lead over all methods: {published['over_methods']}")
    return [*lines, *([f'Load the best of a category: kdzoo.load("{example}")'] if example else [])]
