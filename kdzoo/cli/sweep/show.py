"""`kdzoo sweep show`: how one sweep stands, category by category."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.ages import age_text
from kdzoo.cli.options import json_option
from kdzoo.cli.say import say_json
from kdzoo.cli.sizes import size_text

if TYPE_CHECKING:
    from kdzoo.search.record.overview import CategoryProgress


@click.command(short_help="Show how one sweep stands, category by category.")
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show how the sweep NAME stands: trials by category, what was published, and what to do next.

    \b
    Examples:
      kdzoo sweep show night
      kdzoo sweep show night --json
    """
    from kdzoo.cli.sweep.over_methods import show_group
    from kdzoo.cli.sweep.results import pareto_table, reuse_text
    from kdzoo.cli.tables import Page, PlainTable, number
    from kdzoo.search.record.group import find_group
    from kdzoo.search.record.overview import one_sweep, sweep_folder
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    group = find_group(settings, name)
    if group is not None:
        show_group(group, as_json=as_json)
        return
    folder = sweep_folder(settings, name)
    summary, categories = one_sweep(folder)
    if as_json:
        listed = [
            {"category": each.category, "done": each.done, "planned": each.planned, "outcome": each.outcome}
            for each in categories
        ]
        say_json({**summary.as_json(), "categories": listed})
        return
    table = PlainTable(
        f"{summary.name}: {summary.method} on {summary.dataset}, {summary.state}",
        ("category", "trials", "best objective", "test image auroc", "release"),
        numbers=("trials", "best objective", "test image auroc"),
    )
    for each in categories:
        outcome: dict[str, Any] = dict(each.outcome or {})
        metrics = outcome.get("metrics", {})
        table.add_row(
            each.category,
            f"{each.done}/{each.planned}",
            number(outcome.get("objective")),
            number(metrics.get("test_image_auroc")),
            _release(each),
        )
    page = Page()
    page.table(table)
    for each in categories:
        text = _beaten(each, summary.objective)
        if text:
            page.line(f"{each.category} is not beaten by training: {text}", "yellow")
    fronts = {each.category: (each.outcome or {}).get("pareto", ()) for each in categories}
    if any(fronts.values()):
        page.table(pareto_table(fronts))
    size, age = size_text(summary.size), age_text(time.time() - summary.created)
    page.line(f"begun {age} ago, {size} in {summary.folder}")
    if summary.reused_trials:
        page.line(reuse_text(summary.reused_trials, summary.done, summary.reused_seconds))
    if summary.state == "running":
        page.line(f"{folder.driver_text()}; `kdzoo sweep stop {name}` ends it")
    if summary.reason:
        page.line(f"it failed: {summary.reason}")
    if summary.state in ("interrupted", "failed"):
        page.line(f"`kdzoo sweep --resume {name}` goes on with it")


def _beaten(progress: CategoryProgress, objective: str) -> str:
    from kdzoo.metrics.baseline_words import beaten_text

    outcome = dict(progress.outcome or {})
    return beaten_text(outcome.get("baseline", {}), outcome.get("metrics", {}), objective)


def _release(progress: CategoryProgress) -> str:
    """What the zoo did with the category's best."""
    if progress.outcome is None:
        return ""
    published = progress.outcome["published"]
    if published is None:
        return str(progress.outcome["reason"])
    release = published["release"]
    return (f"{release}: " if release else "") + str(published["note"])
