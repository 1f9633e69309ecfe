"""`kdzoo sweep METHOD` and `kdzoo sweep --resume NAME`: the main job."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdzoo.cli.data.download import open_or_download
from kdzoo.cli.options import (
    build_options,
    check_epochs,
    json_option,
    parse_changes,
    run_options,
    tell_notes,
    zoo_option,
)
from kdzoo.errors import SweepError, UnknownNameError, UsageError

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.search.record.board import SweepBoard
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.search.space.space import SearchSpace
    from kdzoo.search.study.strategy import Strategy
    from kdzoo.search.study.warm_start import Loan
    from kdzoo.settings import Settings

_MAY_CHANGE = {
    "resume", "trials", "max_concurrent", "cpus_per_trial", "gpus_per_trial", "time_budget", "gpu_hours", "keep",
    "ray_address"
}  # fmt: skip
"""Options that do not decide what a trial's outcome is; of trials there may only be more."""
_OPTIONS = (
    "image_size", "teacher", "protocol", "objective", "split_seed", "seed", "foreground", "foreground_masks",
    "skip_unreadable"
)  # fmt: skip
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@click.command("run", short_help="Find the best configuration of METHOD, and publish it.")
@click.argument("method", required=False)
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
@click.option(
    "--gpu-hours", type=click.FloatRange(0, min_open=True), metavar="H", help="GPU time of all trials together."
)
@click.option(
    "--keep", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Best checkpoints a category."
)
@click.option("--sampler", metavar="NAME", default="tpe", show_default=True, help="tpe, random, gp, cmaes, ...")
@click.option(
    "--priority",
    metavar="fair|worst-first",
    default="fair",
    show_default=True,
    help="Whose trial is next: each category's in turn, or the worst one's.",
)
@click.option(
    "--warm-start", metavar="NAME", help="Begin with what was best in an earlier sweep of the same method, too."
)
@click.option("--no-warm-start", is_flag=True, help="Categories lend each other nothing.")
@click.option("--ray-address", metavar="HOST:PORT", help="A Ray cluster; default RAY_ADDRESS, else this machine.")
@click.option("--name", help="Of the sweep; default from method, data set and time.")
@click.option("--resume", metavar="NAME", help="Go on with a sweep that was interrupted; --trials may be higher.")
@zoo_option
@json_option
def run(method: str | None, zoo: str | None, as_json: bool, **given: Any) -> None:
    """Find the best configuration of METHOD for every category of a data set, and publish it.

    With --resume NAME an interrupted sweep goes on: trials that ended are not run again, one that was under way goes on
    from its last checkpoint. A whole command beside it is compared with the sweep's plan, and refused if it differs.

    \b
    Examples:
      kdzoo sweep aand --dataset demo
      kdzoo sweep aand -d mvtec --categories bottle,cable --trials 32 --time-budget 8h
      kdzoo sweep aand -d visa --download
      kdzoo sweep rd -d ./my-parts --protocol synthetic --zoo s3://plant/zoo --gpus-per-trial 0.25
      kdzoo sweep aand -d visa --objective aupro,latency_ms --priority worst-first --gpu-hours 40
      kdzoo sweep --resume night --trials 64
    """
    from kdzoo.cli.sweep.results import show_results
    from kdzoo.search.workers.cluster import check_address
    from kdzoo.search.workers.resources import check_this_machine
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if given["ray_address"]:
        settings = dataclasses.replace(settings, ray_address=given["ray_address"])
    check_address(settings.ray_address)
    if given["resume"] is None:
        _need(method, given["dataset"])
        plan = _plan(str(method), given, settings)
        _tell_notes(plan, asked=given["protocol"] is not None)
    else:
        plan, zoo = resumed_plan(click.get_current_context(), method, given, settings, zoo)
    plan = dataclasses.replace(plan, download=given["download"])
    check_this_machine(plan)
    board = _watched(plan, zoo, resume=given["resume"] is not None)
    show_results(board, plan, as_json=as_json)
    without = [category for category, outcome in board.outcomes.items() if outcome.published is None]
    if without:
        raise SweepError(
            f"{len(without)} of {len(board.outcomes)} categories ended without a detector in the zoo",
            hint=f"the reasons stand above: {', '.join(without)}",
        )


for option in run.params:
    if option.name == "dataset":  # of a new sweep alone: a resumed one knows its data set
        option.required = False
    elif option.name == "objective" and isinstance(option, click.Option):  # a single run has but one
        option.metavar = "METRIC[,...]"
        option.help = "What selection maximises, such as aupro; others after it guide the sampler, as does latency_ms."


def _need(method: str | None, dataset: str | None) -> None:
    """Both are needed for a new sweep.

    Raises:
        UsageError: one is missing, or METHOD alone is neither a method nor one of `kdzoo sweep`'s own commands.
    """
    if method is not None and dataset is None:
        from kdzoo.methods.registry import method_names

        parent = click.get_current_context().parent
        commands = parent.command.commands if parent and isinstance(parent.command, click.Group) else {}
        if method not in method_names():
            raise UnknownNameError("method or command", method, (*method_names(), *commands))
    for found, what in ((method, "METHOD"), (dataset, "--dataset")):
        if found is None:
            raise UsageError(f"{what} is missing", hint="for example: kdzoo sweep aand --dataset demo")


def _plan(method: str, given: dict[str, Any], settings: Settings) -> SweepPlan:
    """The plan that a command line asks for.

    Raises:
        KdzooError: it asks for what cannot be.
    """
    from kdzoo.search.record.lenders import loans_of
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.search.study.samplers import sampler_notes
    from kdzoo.search.study.strategy import parse_objectives

    objective, also = parse_objectives(given["objective"])
    strategy = _strategy(given, also)
    budget = None if given["time_budget"] is None else parse_duration(given["time_budget"])
    _known_method(method)
    opened = open_or_download(given["dataset"], settings, download=given["download"])
    options = build_options(opened, {**{key: given.get(key) for key in _OPTIONS}, "objective": objective})
    spaces = _spaces(method, opened, given["categories"], given["space"], given["changes"], given["epochs"])
    if given["foreground"] is not None or given["foreground_masks"] is not None:
        spaces = _with_foreground(spaces, options.foreground)
    tell_notes(sampler_notes(strategy.sampler, spaces))
    loans: tuple[Loan, ...] = ()
    if strategy.warm_from is not None and given["resume"] is None:
        loans = loans_of(strategy.warm_from, settings, method=method, dataset=opened, options=options)
    name = given["resume"] or given["name"] or f"{method}-{opened.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    return SweepPlan(
        name=check_name(name),
        method=method,
        dataset=opened,
        spaces=spaces,
        options=options,
        trials=given["trials"] or opened.info.default_trials,
        settings=settings,
        max_concurrent=given["max_concurrent"],
        cpus_per_trial=given["cpus_per_trial"],
        gpus_per_trial=given["gpus_per_trial"],
        time_budget=budget,
        keep=given["keep"],
        gpu_hours=given["gpu_hours"],
        strategy=strategy,
        loans=loans,
    )


def _strategy(given: dict[str, Any], also: tuple[str, ...]) -> Strategy:
    """How the command line asks to search.

    Raises:
        UsageError: it asks for what cannot be.
    """
    from kdzoo.search.study.strategy import Strategy

    if given["no_warm_start"] and given["warm_start"] is not None:
        raise UsageError("--warm-start and --no-warm-start disagree", hint="give one of them")
    return Strategy(
        sampler=given["sampler"],
        priority=given["priority"],
        also=also,
        warm_start=not given["no_warm_start"],
        warm_from=given["warm_start"],
    )


def resumed_plan(
    context: click.Context, method: str | None, given: dict[str, Any], settings: Settings, zoo: str | None
) -> tuple[SweepPlan, str]:
    """The plan of the sweep that is gone on with, and its zoo: its own, with what the command line says otherwise.

    Raises:
        UsageError: there is no such sweep, or options that its plan settles stand without METHOD.
        SweepError: the plan cannot be read, or METHOD and its options ask for another one.
    """
    from kdzoo.search.record.overview import sweep_folder
    from kdzoo.search.record.plan_file import PlanFile

    told = {name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    if "name" in told:
        raise UsageError("--resume already names the sweep", hint="leave --name out")
    written = PlanFile.read(sweep_folder(settings, given["resume"]).plan, settings)
    before = written.plan
    if method is None:
        settled = sorted(told - _MAY_CHANGE)
        if settled:
            option = "--" + ("set" if settled[0] == "changes" else settled[0].replace("_", "-"))
            raise UsageError(
                f"{option} is settled by the plan of the sweep '{before.name}'",
                hint="leave it out, or give METHOD and all options as at first to have them compared with the plan",
            )
    else:
        _need(method, given["dataset"])
        asked = _plan(method, {**given, "trials": given["trials"] or before.trials}, settings)
        written.check(asked, written.data)
    taken = ("max_concurrent", "cpus_per_trial", "gpus_per_trial", "gpu_hours", "keep")
    changed: dict[str, Any] = {name: given[name] for name in taken if name in told}
    if "time_budget" in told:
        changed["time_budget"] = parse_duration(given["time_budget"])
    trials = given["trials"] or before.trials
    return dataclasses.replace(before, trials=trials, **changed), zoo or written.zoo


def _tell_notes(plan: SweepPlan, *, asked: bool) -> None:
    """Says what a person should know of the splits, each thing once with the categories that it is true of.

    Raises:
        ProtocolError: a category has not the images that the protocol needs.
        DatasetError: a category cannot be read.
    """
    from kdzoo.data.splits import split

    notes: dict[str, list[str]] = {}
    for category in plan.spaces:
        parts = split(plan.dataset.category(category), plan.options.protocol, seed=plan.options.split_seed)
        for note in parts.notes:
            notes.setdefault(note, []).append(category)
    shared = (f"{note} ({', '.join(where)})" if len(plan.spaces) > 1 else note for note, where in notes.items())
    tell_notes([*(() if asked else plan.dataset.notes), *shared])


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
    from kdzoo.search.space.space import SpaceFile

    available = opened.categories()
    asked = [part.strip() for part in categories.split(",") if part.strip()] if categories else list(available)
    if not asked:
        raise UsageError("--categories names none", hint=", ".join(available))
    asked = [opened.category_name(category) for category in asked]
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


def _with_foreground(spaces: dict[str, SearchSpace], rule: str) -> dict[str, SearchSpace]:
    """The spaces, with the rule that was given on the command line in place of the space file's."""
    from kdzoo.data.foreground.masks import check_mask_folders
    from kdzoo.data.foreground.rule import ForegroundRule

    folder = ForegroundRule.parse(rule).folder
    if folder is not None:
        check_mask_folders(folder, list(spaces))
    return {category: dataclasses.replace(space, foreground=rule) for category, space in spaces.items()}


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


def _watched(plan: SweepPlan, zoo: str | None, *, resume: bool) -> SweepBoard:
    from kdzoo.cli.sweep.live import LiveView
    from kdzoo.search.run.sweep import run_sweep

    count = len(plan.spaces)
    categories = f"{count} {'category' if count == 1 else 'categories'} of {plan.dataset.name}"
    trials = f"{plan.trials} {'trial' if plan.trials == 1 else 'trials'} each"
    how = f"{trials}, protocol {plan.options.protocol}, teacher {plan.options.teacher}"
    click.echo(f"{'Resuming sweep' if resume else 'Sweep'} {plan.name}: {plan.method} on {categories}, {how}", err=True)
    with LiveView(f"{plan.method} on {plan.dataset.name}") as view:
        return run_sweep(plan, view, zoo=zoo, prepared=view.preparing, announce=view.note, resume=resume)
