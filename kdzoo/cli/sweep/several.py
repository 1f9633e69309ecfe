"""`kdzoo sweep rd,aand` and `kdzoo sweep all`: a sweep a method, one after the other, as one command."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdzoo.cli.notes import tell_note
from kdzoo.cli.sweep.planning import check_name, plan_of
from kdzoo.cli.sweep.resuming import resumed_plan
from kdzoo.errors import KdzooError, SweepError, UsageError

if TYPE_CHECKING:
    from kdzoo.search.record.board import SweepBoard
    from kdzoo.search.record.group import SweepGroup
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.settings import Settings

Watched = Callable[["SweepPlan", "str | None"], "SweepBoard"]
"""Runs or goes on with one sweep while a person watches."""


def named_methods(text: str) -> list[str] | None:
    """The methods that ``rd,aand`` or ``all`` names, in order; None where it names one method.

    Raises:
        UsageError: it names none, or one twice.
        UnknownNameError: one is no method.
        MissingDependencyError: one is not installed; ``all`` leaves such out.
        ConfigError: another package's one is no method; ``all`` leaves such out, too.
    """
    from kdzoo.methods.registry import ALL, find_method

    if text == ALL:
        return _all_methods()
    if "," not in text:
        return None
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"'{text}' does not name methods, each once", hint="for example rd,aand,mrkd")
    for name in names:
        find_method(name).check_installed()
    return names


def _all_methods() -> list[str]:
    """The methods that can be built here; what is left out, and why, is told."""
    from kdzoo.methods.registry import find_method, method_names

    found, missing = list[str](), list[str]()
    for name in method_names():
        try:
            entry = find_method(name)
        except KdzooError as error:  # another package's, which must not keep the others from being swept
            tell_note(f"{name} is left out: {error}")
            continue
        (missing if entry.missing else found).append(name)
    if missing:
        tell_note(f"left out, since they are not installed: {', '.join(missing)}")
    return found


def group_plans(methods: list[str], given: dict[str, Any], settings: Settings) -> tuple[SweepGroup, list[SweepPlan]]:
    """The plans of a new group: the same options for all; budgets are shared evenly.

    Raises:
        KdzooError: a method cannot be swept as the options ask.
    """
    from kdzoo.cli.sweep.spaces import full_space
    from kdzoo.search.record.group import SweepGroup

    if full_space(given["space"])[1] is not None:
        raise UsageError("a space of your own is one method's", hint="sweep that method alone, or say --space full")
    dataset = Path(given["dataset"]).name or "data"
    plain = "".join(each if each.isalnum() or each in "._-" else "-" for each in dataset)
    name = check_name(given["name"] or f"several-{plain}-{time.strftime('%Y%m%d-%H%M%S')}")
    plans = []
    for method in methods:
        asked = _of_method(method, given, settings) | {"name": check_name(f"{name}-{method}")}
        plans.append(_shared(dataclasses.replace(plan_of(method, asked, settings), group=name), len(methods)))
    group = SweepGroup(path=settings.sweeps / name, members=tuple(plan.name for plan in plans), created=time.time())
    return group, plans


def resumed_group(
    context: click.Context, group: SweepGroup, given: dict[str, Any], settings: Settings, zoo: str | None
) -> tuple[list[SweepPlan], str]:
    """The plans of a group that is gone on with, and its zoo.

    Raises:
        UsageError: options that the plans settle were given.
        SweepError: a plan cannot be read.
    """
    told = {name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE}
    plans, where = [], zoo or settings.zoo
    for member in group.members:
        plan, where = resumed_plan(context, None, {**given, "resume": member}, settings, zoo)
        plans.append(_shared(plan, len(group.members), only=told))
    return plans, where


def run_group(group: SweepGroup, plans: list[SweepPlan], watched: Watched, *, zoo: str | None, as_json: bool) -> None:
    """Runs the sweeps of a group, and shows what they came to.

    Raises:
        SweepError: a category of one of them ended without a detector in the zoo.
    """
    from kdzoo.cli.sweep.over_methods import show_group
    from kdzoo.search.run.in_turn import run_in_turn

    ran = run_in_turn(group, plans, lambda plan: watched(plan, zoo), zoo=zoo, note=tell_note)
    show_group(group, as_json=as_json)
    without = [
        f"{plan.method} on {category}"
        for plan, board in ran
        for category, outcome in board.outcomes.items()
        if outcome.published is None
    ]
    if without:
        count = sum(len(board.outcomes) for _, board in ran)
        raise SweepError(
            f"{len(without)} of {count} searches ended without a detector in the zoo",
            hint=f"`kdzoo sweep show` of each says why: {', '.join(without)}",
        )


def _of_method(method: str, given: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The options as one method takes them."""
    from kdzoo.methods.registry import find_method
    from kdzoo.search.record.group import find_group

    earlier: list[str] = []
    for name in given["warm_start"]:
        group = find_group(settings, name)
        same = name if group is None else f"{name}-{method}"
        earlier += [same] if group is None or same in group.members else []
    # A method that looks at the train images once has no epochs that a person could mean.
    has_epochs = bool(find_method(method).config().epoch_keys())
    return {**given, "warm_start": tuple(earlier), "epochs": given["epochs"] if has_epochs else None}


def _shared(plan: SweepPlan, count: int, *, only: set[str] | None = None) -> SweepPlan:
    """The plan with its share of the time and the GPU hours, which were given for all.

    Args:
        plan: one method's.
        count: of the methods.
        only: of a resumed one, what the command line says anew; the rest was shared before.
    """
    changed = {
        name: getattr(plan, name) / count
        for name in ("time_budget", "gpu_hours")
        if getattr(plan, name) is not None and (only is None or name in only)
    }
    return dataclasses.replace(plan, **changed)
