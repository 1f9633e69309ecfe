"""The plan of a sweep, made of the options of `kdzoo sweep`."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING, Any, Final

import click

from kdzoo.cli.datasets import open_or_download
from kdzoo.cli.notes import tell_notes
from kdzoo.cli.options import build_options
from kdzoo.cli.sweep.durations import parse_duration
from kdzoo.cli.sweep.spaces import spaces_of, with_foreground
from kdzoo.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.search.study.strategy import Strategy
    from kdzoo.settings import Settings


TRIALS_FOR_FINALS: Final = 10
"""Trials a category from which on the best are compared over more than one seed unless asked otherwise."""


def check_named(method: str | None, dataset: str | None) -> None:
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


def plan_of(method: str, given: dict[str, Any], settings: Settings) -> SweepPlan:
    """The plan that a command line asks for.

    Raises:
        KdzooError: it asks for what cannot be.
    """
    from kdzoo.data.registered import registered
    from kdzoo.methods.registry import find_method
    from kdzoo.search.space.odd import space_notes
    from kdzoo.search.study.strategy import parse_objectives
    from kdzoo.training.spec import RunOptions

    find_method(method).check_installed()  # what cannot be is told before a data set is downloaded
    objective, also = parse_objectives(given["objective"])
    strategy = _strategy(given, also)
    budget = None if given["time_budget"] is None else parse_duration(given["time_budget"])
    opened = open_or_download(given["dataset"], settings, download=given["download"])
    asked = {key: given.get(key) for key in (*RunOptions.__dataclass_fields__, "foreground_masks", "tile")}
    trials = given["trials"] or opened.info.default_trials
    if given["seeds"] is None and trials >= TRIALS_FOR_FINALS:
        strategy = dataclasses.replace(strategy, seeds=2)
    options = build_options(opened, {**asked, "objective": objective}, settings)
    named = (given["categories"], given["space"], given["changes"], given["epochs"])
    spaces = spaces_of(method, opened, *named, registered=registered(settings))
    if given["foreground"] is not None or given["foreground_masks"] is not None:
        spaces = with_foreground(spaces, options.foreground)
    for space in spaces.values():
        options.check_planting(method, space.defaults)
        options.check_augment(method, space.defaults)
    # Ray and Optuna come with these: a mistyped name is told before.
    import ray  # noqa: F401  of what may be missing the first to be named

    from kdzoo.search.record.lenders import portfolio_of, read_earlier
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.search.study.samplers import sampler_notes

    tell_notes([*options.notes, *space_notes(spaces), *sampler_notes(strategy.sampler, spaces)])
    earlier = {
        name: read_earlier(name, settings, method=method, dataset=opened, options=options)
        for name in (strategy.warm_from if given["resume"] is None else ())
    }
    name = given["resume"] or given["name"] or f"{method}-{opened.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    return SweepPlan(
        name=check_name(name),
        method=method,
        dataset=opened,
        spaces=spaces,
        options=options,
        trials=trials,
        settings=settings,
        max_concurrent=given["max_concurrent"],
        cpus_per_trial=given["cpus_per_trial"],
        gpus_per_trial=gpus_of(given["device"], given["gpus_per_trial"]),
        time_budget=budget,
        keep=given["keep"],
        checkpoint_minutes=given["checkpoint_minutes"],
        gpu_hours=given["gpu_hours"],
        strategy=strategy,
        loans=tuple(loan for each in earlier.values() for loan in each.loans),
        portfolio=portfolio_of(earlier, spaces.values()),
    )


def gpus_of(device: str | None, gpus: float | None) -> float | None:
    """What GPUs a trial is to hold; None for one where there are any.

    Args:
        device: ``cpu``, ``cuda`` or None, of which nothing was said.
        gpus: as asked for.

    Raises:
        UsageError: the two disagree.
    """
    if device is None:
        return gpus
    if gpus is not None and bool(gpus) != (device == "cuda"):
        raise UsageError(f"--device {device} and --gpus-per-trial {gpus:g} disagree", hint="give one of them")
    return 0.0 if device == "cpu" else gpus or 1.0


def _strategy(given: dict[str, Any], also: tuple[str, ...]) -> Strategy:
    """How the command line asks to search.

    Raises:
        UsageError: it asks for what cannot be.
    """
    from kdzoo.search.study.strategy import Strategy

    if given["no_warm_start"] and given["warm_start"]:
        raise UsageError("--warm-start and --no-warm-start disagree", hint="give one of them")
    return Strategy(
        sampler=given["sampler"],
        priority=given["priority"],
        also=also,
        pool=given["pool"],
        warm_start=not given["no_warm_start"],
        warm_from=tuple(dict.fromkeys(given["warm_start"])),
        seeds=given["seeds"] or 1,
        finalists=given["finalists"],
    )


def check_name(name: str) -> str:
    """A sweep's name, which is also a folder's.

    Raises:
        UsageError: it holds anything but letters, digits, dot, dash and underscore.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
        raise UsageError(f"'{name}' cannot name a sweep", hint="letters, digits, dot, dash and underscore; at most 100")
    return name
