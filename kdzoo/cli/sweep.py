"""`kdzoo sweep`: the main job."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.options import (
    build_options,
    check_epochs,
    json_option,
    open_dataset_with_progress,
    parse_changes,
    run_options,
    zoo_option,
)
from kdzoo.errors import SweepError, UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from kdzoo.data.catalog import Dataset
    from kdzoo.search.board import CategoryOutcome, SweepBoard
    from kdzoo.search.plan import SweepPlan
    from kdzoo.search.space import SearchSpace

_METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command()
@click.argument("method")
@run_options
@click.option("--trials", type=click.IntRange(1), help="A category; default 3 for demo, else 16.")
@click.option("--categories", metavar="A,B,...", help="Only these categories.")
@click.option("--space", type=click.Path(path_type=Path), metavar="FILE", help="A search space of your own.")
@click.option("--max-concurrent", type=click.IntRange(1), help="Trials at once; default as many as fit.")
@click.option(
    "--gpus-per-trial", type=click.FloatRange(0), help="GPUs or the share of one; default 1 if there are any."
)
@click.option(
    "--cpus-per-trial", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True, help="CPU cores."
)
@click.option("--time-budget", metavar="DURATION", help="Such as 90m or 8h; then what is finished is published.")
@click.option("--ray-address", metavar="HOST:PORT", help="A Ray cluster; default RAY_ADDRESS, else this machine.")
@click.option("--name", help="Of the sweep; default from method, data set and time.")
@zoo_option
@json_option
def sweep(
    method: str, dataset: str, epochs: int | None, changes: tuple[str, ...], trials: int | None, categories: str | None,
    space: Path | None, max_concurrent: int | None, gpus_per_trial: float | None, cpus_per_trial: float,
    time_budget: str | None, ray_address: str | None, name: str | None, zoo: str | None, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Find the best configuration of METHOD for every category of a data set, and publish it.

    \b
    Examples:
      kdzoo sweep aand --dataset demo
      kdzoo sweep aand -d mvtec --categories bottle,cable --trials 32 --time-budget 8h
      kdzoo sweep rd -d ./my-parts --protocol synthetic --zoo s3://plant/zoo --gpus-per-trial 0.25
    """
    from kdzoo.search.plan import SweepPlan
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if ray_address:
        settings = dataclasses.replace(settings, ray_address=ray_address)
    budget = None if time_budget is None else parse_duration(time_budget)
    _known_method(method)
    opened = open_dataset_with_progress(dataset, settings)
    plan = SweepPlan(
        name=check_name(name or f"{method}-{opened.name}-{time.strftime('%Y%m%d-%H%M%S')}"),
        method=method,
        dataset=opened,
        spaces=_spaces(method, opened, categories, space, changes, epochs),
        options=build_options(opened, given),
        trials=trials or opened.info.default_trials,
        settings=settings,
        max_concurrent=max_concurrent,
        cpus_per_trial=cpus_per_trial,
        gpus_per_trial=gpus_per_trial,
        time_budget=budget,
    )
    board = _watched(plan, zoo)
    _show(board, plan, as_json=as_json)
    without = [category for category, outcome in board.outcomes.items() if outcome.published is None]
    if without:
        raise SweepError(
            f"{len(without)} of {len(board.outcomes)} categories ended without a detector in the zoo",
            hint=f"the reasons stand above: {', '.join(without)}",
        )


def _known_method(method: str) -> None:
    from kdzoo.methods.registry import find_method

    find_method(method)


def _spaces(
    method: str,
    opened: Dataset,
    categories: str | None,
    space: Path | None,
    changes: tuple[str, ...],
    epochs: int | None,
) -> dict[str, SearchSpace]:
    """Category to its effective space.

    Raises:
        UnknownNameError: no such category.
    """
    from kdzoo.errors import UnknownNameError
    from kdzoo.search.space import SpaceFile

    available = opened.categories()
    asked = [part.strip() for part in categories.split(",") if part.strip()] if categories else list(available)
    if not asked:
        raise UsageError("--categories names none", hint=", ".join(available))
    for category in asked:
        if category not in available:
            raise UnknownNameError("category", category, available)
    file = SpaceFile(method, space)
    fixed = parse_changes(changes)
    spaces = {}
    for category in dict.fromkeys(asked):
        found = file.space(opened.name, category, changes=fixed)
        stages = found.defaults.epoch_keys()
        check_epochs(epochs, fixed, [key for key in stages if getattr(found.defaults, key)])
        if epochs is not None:
            split = found.defaults.epoch_split(epochs)
            found = file.space(opened.name, category, changes={**fixed, **split})
        spaces[category] = found
    return spaces


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``45m``, ``8h``, ``1d``; a plain number is seconds.

    Raises:
        UsageError: not of that form, or not above 0.
    """
    from kdzoo.errors import UsageError

    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"'{text}' is no duration", hint="for example 90m, 8h or 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]


def check_name(name: str) -> str:
    """A sweep's name, which is also a folder's.

    Raises:
        UsageError: it holds anything but letters, digits, dot, dash and underscore.
    """
    from kdzoo.errors import UsageError

    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UsageError(f"'{name}' cannot name a sweep", hint="letters, digits, dot, dash and underscore; at most 100")
    return name


def _watched(plan: SweepPlan, zoo: str | None) -> SweepBoard:
    from kdzoo.cli.live import LiveView
    from kdzoo.search.sweep import run_sweep

    count = len(plan.spaces)
    categories = f"{count} {'category' if count == 1 else 'categories'} of {plan.dataset.name}"
    how = f"{plan.trials} trials each, protocol {plan.options.protocol}, teacher {plan.options.teacher}"
    click.echo(f"Sweep {plan.name}: {plan.method} on {categories}, {how}", err=True)
    with LiveView(f"{plan.method} on {plan.dataset.name}") as view:
        return run_sweep(plan, view, zoo=zoo, prepared=view.preparing)


def _show(board: SweepBoard, plan: SweepPlan, *, as_json: bool) -> None:
    if as_json:
        outcomes = [dataclasses.asdict(outcome) for outcome in board.outcomes.values()]
        result = {
            "sweep": plan.name,
            "method": plan.method,
            "dataset": plan.dataset.name,
            "protocol": plan.options.protocol,
        }
        click.echo(json.dumps({**result, "objective": board.objective, "categories": outcomes}))
        return
    from kdzoo.cli.tables import results

    console = results()
    console.print(_table(board, plan))
    for category in board.categories:
        console.print(f"{category}: {_turned(board.outcomes[category], plan)}", soft_wrap=True, markup=False)
    seconds = sum(outcome.seconds for outcome in board.outcomes.values())
    console.print(
        f"\n{board.ended()} trials ({board.count('stopped_early')} stopped early, {board.count('failed')} failed), "
        f"{seconds:.0f} trial seconds in {board.elapsed():.0f} s",
        soft_wrap=True,
    )
    if board.ended() < board.total:
        console.print(
            f"The sweep ended early: {board.total - board.ended()} of {board.total} trials did not run", style="yellow"
        )
    published = [outcome for outcome in board.outcomes.values() if outcome.published and outcome.published.promoted]
    if published:
        entry = f"{plan.dataset.name}/{published[0].category}"
        console.print(f'Load one: kdzoo.load("{plan.method}", "{entry}")', soft_wrap=True)


def _table(board: SweepBoard, plan: SweepPlan) -> Table:
    from kdzoo.cli.tables import make_table, number

    title = f"{plan.method} on {plan.dataset.name}, protocol {plan.options.protocol}: validation → test"
    numbers = (*(name.replace("_", " ") for name in _METRICS), "cost")
    table = make_table(title, ("category", *numbers, "release"), numbers=numbers)
    for category in board.categories:
        outcome = board.outcomes[category]
        values = [
            " → ".join(number(outcome.metrics.get(part + name)) for part in ("val_", "test_")) for name in _METRICS
        ]
        release = outcome.reason
        if outcome.published is not None:
            got = outcome.published.release
            release = (f"{got}: " if got else "") + outcome.published.note
        table.add_row(category, *values, f"{outcome.seconds:.0f} s", release)
    return table


def _turned(outcome: CategoryOutcome, plan: SweepPlan) -> str:
    """The knobs of the best trial that were turned from the published configuration."""
    if outcome.best is None:
        return outcome.reason
    start = plan.spaces[outcome.category].defaults.as_dict()
    changed = {key: value for key, value in outcome.best.config.items() if value != start[key]}
    if not changed:
        return f"trial {outcome.best.number}, the published configuration"
    listed = (f"{key}={value:.3g}" if isinstance(value, float) else f"{key}={value}" for key, value in changed.items())
    return f"trial {outcome.best.number}, {', '.join(listed)}"
