"""What a sweep came to, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kdzoo.cli.say import say_json
from kdzoo.metrics.ties import saturated_text

if TYPE_CHECKING:
    from kdzoo.cli.tables import PlainTable
    from kdzoo.search.record.board import CategoryOutcome, SweepBoard
    from kdzoo.search.record.plan import SweepPlan

_METRICS = ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")


def show_results(board: SweepBoard, plan: SweepPlan, *, as_json: bool) -> None:
    """Prints what a sweep came to: a table, or JSON for programs."""
    if as_json:
        outcomes = [asdict(outcome) for outcome in board.outcomes.values()]
        result = {
            "sweep": plan.name,
            "method": plan.method,
            "dataset": plan.dataset.name,
            "protocol": plan.options.protocol,
        }
        say_json({**result, "objective": board.objective, "also": plan.strategy.also, "categories": outcomes})
        return
    from kdzoo.cli.tables import Page

    page = Page()
    page.table(_table(board, plan))
    if any(outcome.operating_point for outcome in board.outcomes.values()):
        page.table(_decisions(board))
        for line in _lacking(board):
            page.line(line)
    for line in (*_saturated(board), *_beaten(board)):
        page.line(line, "yellow")
    for category in board.categories:
        page.line(f"{category}: {_turned(board.outcomes[category], plan)}")
    fronts = {category: [asdict(trial) for trial in board.outcomes[category].pareto] for category in board.categories}
    if any(fronts.values()):
        page.table(pareto_table(fronts))
    seconds = sum(outcome.seconds for outcome in board.outcomes.values())
    page.line()
    page.line(
        f"{board.ended()} trials ({board.count('stopped_early')} stopped early, {board.count('failed')} failed, "
        f"{board.count('interrupted')} interrupted), "
        f"{seconds:.0f} trial seconds in {board.elapsed():.0f} s"
    )
    reused, saved = board.reused()
    if reused:
        page.line(reuse_text(reused, board.ended(), saved))
    if board.done() < board.total:
        page.line(
            f"The sweep ended early: {board.total - board.done()} of {board.total} trials did not run to their end; "
            f"`kdzoo sweep --resume {plan.name}` goes on with it",
            "yellow",
        )
    if plan.group:
        return
    published = [outcome for outcome in board.outcomes.values() if outcome.published and outcome.published.promoted]
    if published:
        entry = f"{plan.dataset.name}/{published[0].category}"
        page.line(f'Load one: kdzoo.load("{plan.method}", "{entry}")')


def _table(board: SweepBoard, plan: SweepPlan) -> PlainTable:
    from kdzoo.cli.tables import PlainTable, number

    title = f"{plan.method} on {plan.dataset.name}, protocol {plan.options.protocol}: validation → test"
    shown = [name for name in _METRICS if any(_has(outcome, name) for outcome in board.outcomes.values())]
    numbers = (*(name.replace("_", " ") for name in shown), "cost")
    table = PlainTable(title, ("category", *numbers, "release"), numbers=numbers)
    for category in board.categories:
        outcome = board.outcomes[category]
        values = [" → ".join(number(outcome.metrics.get(part + name)) for part in ("val_", "test_")) for name in shown]
        release = "none"
        if outcome.published is not None:
            got = outcome.published.release
            release = (f"{got}: " if got else "") + outcome.published.note
        table.add_row(category, *values, f"{outcome.seconds:.0f} s", release)
    return table


def _has(outcome: CategoryOutcome, name: str) -> bool:
    """Whether a metric has a value on either part."""
    return any(part + name in outcome.metrics for part in ("val_", "test_"))


def _decisions(board: SweepBoard) -> PlainTable:
    """What each calibrated threshold decides, and what may be stated of it."""
    from kdzoo.cli.tables import PlainTable
    from kdzoo.metrics.decision_words import bound_text, share_text

    table = PlainTable(
        "At the calibrated threshold: validation → test, with 95 % intervals",
        ("category", "false alarms", "misses", "false alarms to come"),
    )
    for category in board.categories:
        point = board.outcomes[category].operating_point
        cells = []
        for kind in ("false_alarms", "misses"):
            before, after = (point.get(part, {}).get(kind, {}) for part in ("selection", "report"))
            cells.append(" → ".join((share_text(before, interval=not after) or "–", share_text(after) or "–")))
        table.add_row(category, *cells, bound_text(point) or "–")
    return table


def _saturated(board: SweepBoard) -> list[str]:
    """The categories in which selection could tell nothing better any more, and what has decided there."""
    found: dict[str, list[str]] = {}
    for category, outcome in board.outcomes.items():
        if outcome.best is None or outcome.best.objective is None:
            continue
        metrics = {name.removeprefix("val_"): value for name, value in outcome.metrics.items() if name[:4] == "val_"}
        text = saturated_text(board.objective, outcome.best.objective, metrics)
        if text:
            found.setdefault(text, []).append(category)
    return [f"{', '.join(categories)}: {text}" for text, categories in found.items()]


def _lacking(board: SweepBoard) -> list[str]:
    """Which categories have too few normal images for the rate that was asked for, and how many it would take."""
    from kdzoo.metrics.decision_words import lacking_text

    lacking: dict[str, list[str]] = {}
    for category in board.categories:
        text = lacking_text(board.outcomes[category].operating_point)
        if text:
            lacking.setdefault(text, []).append(category)
    return [f"{', '.join(categories)}: {text}" for text, categories in lacking.items()]


def _beaten(board: SweepBoard) -> list[str]:
    """The categories whose best trial is no better than what learns nothing, and what may be tried."""
    from kdzoo.metrics.baseline_words import beaten_text

    found = []
    for category in board.categories:
        outcome = board.outcomes[category]
        text = beaten_text(outcome.baseline, outcome.metrics, board.objective)
        if text:
            found.append(f"{category} is not beaten by training: {text}")
    return (
        [*found, "`kdzoo sweep nearest` publishes the baseline; another teacher may gain more than another knob"]
        if (found)
        else []
    )


def reuse_text(reused: int, trials: int, seconds: float) -> str:
    """What trials had of each other's first stages, in a sentence."""
    length = f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"
    return f"Stage 1 was reused in {reused} of {trials} trials: {length} of training saved"


def pareto_table(fronts: Mapping[str, Sequence[Mapping[str, Any]]]) -> PlainTable:
    """The trials that no other one of their category beats in all objectives.

    Args:
        fronts: category to its trials, each as a plain `kdzoo.search.record.pareto.ParetoTrial`; not all may be empty.
    """
    from kdzoo.cli.tables import PlainTable

    names = next(list(trials[0]["objectives"]) for trials in fronts.values() if trials)
    timed = any(trial.get("timed_on") for trials in fronts.values() for trial in trials)
    table = PlainTable(
        "Trade-offs (Pareto front)",
        ("category", "trial", *names, *(["timed on"] if timed else [])),
        numbers=("trial", *names),
    )
    for category, trials in fronts.items():
        for trial in trials:
            values = (f"{trial['objectives'][name]:.4g}" for name in names)
            table.add_row(category, str(trial["number"]), *values, *([trial.get("timed_on") or "–"] if timed else []))
    return table


def _turned(outcome: CategoryOutcome, plan: SweepPlan) -> str:
    """The knobs of the best trial that were turned from the published configuration, and why nothing was published."""
    if outcome.best is None:
        return outcome.reason
    why = f"; {outcome.reason}" if outcome.reason else ""
    start = plan.spaces[outcome.category].defaults.as_dict()
    changed = {key: value for key, value in outcome.best.config.items() if value != start[key]}
    if not changed:
        return f"trial {outcome.best.number}, the published configuration{why}"
    listed = (f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in changed.items())
    return f"trial {outcome.best.number}, {', '.join(listed)}{why}"
