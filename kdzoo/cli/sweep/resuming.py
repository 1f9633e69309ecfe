"""The plan of a sweep that is gone on with, and what the options of `kdzoo sweep --resume` may change of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from kdzoo.cli.sweep.durations import parse_duration
from kdzoo.cli.sweep.planning import check_named, gpus_of, plan_of
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.settings import Settings

_MAY_CHANGE = {
    "resume", "trials", "max_concurrent", "cpus_per_trial", "gpus_per_trial", "device", "time_budget", "gpu_hours",
    "keep", "checkpoint_minutes", "ray_address"
}  # fmt: skip
"""Options that do not decide what a trial's outcome is; of trials there may only be more."""


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
    place = given["dataset"] if method is None else None
    written = PlanFile.read(sweep_folder(settings, given["resume"]).plan, settings, dataset=place)
    before = written.plan
    if method is None:
        settled = sorted(told - _MAY_CHANGE - {"dataset"})
        if settled:
            option = "--" + ("set" if settled[0] == "changes" else settled[0].replace("_", "-"))
            raise UsageError(
                f"{option} is settled by the plan of the sweep '{before.name}'",
                hint="leave it out, or give METHOD and all options as at first to have them compared with the plan",
            )
    else:
        check_named(method, given["dataset"])
        asked = plan_of(method, {**given, "trials": given["trials"] or before.trials}, settings)
        written.check(asked, written.data)
    taken = ("max_concurrent", "cpus_per_trial", "gpu_hours", "keep", "checkpoint_minutes")
    changed: dict[str, Any] = {name: given[name] for name in taken if name in told}
    if told & {"device", "gpus_per_trial"}:
        changed["gpus_per_trial"] = gpus_of(given["device"], given["gpus_per_trial"])
    if "time_budget" in told:
        changed["time_budget"] = parse_duration(given["time_budget"])
    trials = given["trials"] or before.trials
    return dataclasses.replace(before, trials=trials, **changed), zoo or written.zoo
