"""`kdzoo sweep METHOD` and `kdzoo sweep --resume NAME`: the main job."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kdzoo.cli.given import command_line
from kdzoo.cli.notes import tell_notes
from kdzoo.cli.options import json_option, run_options, zoo_option
from kdzoo.cli.say import tell
from kdzoo.cli.sweep.planning import TRIALS_FOR_FINALS, check_named, plan_of
from kdzoo.cli.sweep.resuming import resumed_plan
from kdzoo.errors import SweepError, UsageError

if TYPE_CHECKING:
    from kdzoo.search.record.board import SweepBoard
    from kdzoo.search.record.group import SweepGroup
    from kdzoo.search.record.plan import SweepPlan
    from kdzoo.settings import Settings


@click.command("run", short_help="Find the best configuration of METHOD, and publish it.")
@click.argument("method", required=False)
@run_options
@click.option("--trials", type=click.IntRange(1), help="A category; default 3 for demo, else 16.")
@click.option("--categories", metavar="A,B,...", help="Only these categories.")
@click.option(
    "--space",
    type=click.Path(path_type=Path),
    metavar="full|FILE",
    help="All knobs of the method's space, or a space of your own; default the knobs that matter most.",
)
@click.option("--max-concurrent", type=click.IntRange(1), help="Trials at once; default as many as fit.")
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda"]),
    help="Of the trials; default a GPU if there is one now. On a cluster that grows, cuda waits for nodes with GPUs.",
)
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
@click.option(
    "--checkpoint-minutes",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    metavar="M",
    help="Between checkpoints of a trial; 0 after each epoch.",
)
@click.option("--sampler", metavar="NAME", default="tpe", show_default=True, help="tpe, random, gp, cmaes, ...")
@click.option(
    "--priority",
    metavar="fair|worst-first",
    default="fair",
    show_default=True,
    help="Whose trial is next: each category's in turn, or the worst one's.",
)
@click.option("--pool/--no-pool", default=False, help="Half of the trials are configurations that all categories try.")
@click.option(
    "--warm-start",
    metavar="NAME",
    multiple=True,
    help="Begin with what did well in an earlier sweep of the same method; repeatable.",
)
@click.option("--no-warm-start", is_flag=True, help="Categories lend each other nothing.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 10),
    metavar="N",
    help=f"The best are compared over N seeds in the end; default 2 from {TRIALS_FOR_FINALS} trials on, else 1: not.",
)
@click.option(
    "--finalists", type=click.IntRange(1, 20), default=3, show_default=True, metavar="K", help="That so are compared."
)
@click.option("--ray-address", metavar="HOST:PORT", help="A Ray cluster; default RAY_ADDRESS, else this machine.")
@click.option("--name", help="Of the sweep; default from method, data set and time.")
@click.option("--resume", metavar="NAME", help="Go on with a sweep that was interrupted; --trials may be higher.")
@zoo_option
@json_option
def run(method: str | None, zoo: str | None, as_json: bool, **given: Any) -> None:
    """Find the best configuration of METHOD for every category of a data set, and publish it.

    Several methods (METHOD,METHOD or all) are swept one after the other, as one command with one name: --resume, `sweep
    show` and `sweep stop` take that. The best of each category over all methods is `kdzoo.load("data set/category")`.

    With --resume NAME an interrupted sweep goes on: trials that ended are not run again, one that was under way goes on
    from its last checkpoint. A whole command beside it is compared with the sweep's plan, and refused if it differs.

    \b
    Examples:
      kdzoo sweep aand --dataset demo
      kdzoo sweep rd,aand,mrkd -d demo --name night
      kdzoo sweep aand -d mvtec --categories bottle,cable --trials 32 --time-budget 8h
      kdzoo sweep aand -d visa --download
      kdzoo sweep rd -d ./my-parts --protocol synthetic --zoo s3://plant/zoo --gpus-per-trial 0.25
      kdzoo sweep aand -d visa --objective aupro,latency_ms --priority worst-first --gpu-hours 40
      kdzoo sweep --resume night --trials 64
      kdzoo sweep --resume night --dataset /mnt/new/parts
    """
    from kdzoo.cli.sweep.results import show_results
    from kdzoo.search.workers.cluster import check_address
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    if given["ray_address"]:
        settings = dataclasses.replace(settings, ray_address=given["ray_address"])
    check_address(settings.ray_address)
    if _run_group(click.get_current_context(), method, given, settings, zoo, as_json=as_json):
        return
    if given["resume"] is None:
        check_named(method, given["dataset"])
        plan = plan_of(str(method), given, settings)
        _tell_notes(plan, asked=given["protocol"] is not None)
    else:
        plan, zoo = resumed_plan(click.get_current_context(), method, given, settings, zoo)
    plan = dataclasses.replace(plan, download=given["download"], command=plan.command or command_line())
    from kdzoo.search.workers.resources import check_this_machine  # and Ray with it, once a command is known to be good

    check_this_machine(plan)
    board = _watched(plan, zoo, resume=given["resume"] is not None)
    show_results(board, plan, as_json=as_json)
    without = [category for category, outcome in board.outcomes.items() if outcome.published is None]
    if without:
        raise SweepError(
            f"{len(without)} of {len(board.outcomes)} categories ended without a detector in the zoo",
            hint=f"the reasons stand above: {', '.join(without)}",
        )


def _run_group(
    context: click.Context, method: str | None, given: dict[str, Any], settings: Settings, zoo: str | None, *,
    as_json: bool,
) -> bool:  # fmt: skip
    """Runs several methods, where the command line names several or goes on with such; whether it did."""
    from kdzoo.cli.sweep import several
    from kdzoo.search.record.group import find_group

    if given["resume"] is not None:
        group = find_group(settings, given["resume"])
        if group is None:
            return False
        if method is not None:
            raise UsageError(f"'{group.name}' knows its methods", hint=f"kdzoo sweep --resume {group.name}")
        plans, zoo = several.resumed_group(context, group, given, settings, zoo)
    else:
        methods = None if method is None else several.named_methods(method)
        if methods is None:
            return False
        check_named(methods[0], given["dataset"])
        group, plans = several.group_plans(methods, given, settings)
        _tell_notes(plans[0], asked=given["protocol"] is not None)
    typed = {"download": given["download"]}
    plans = [dataclasses.replace(plan, **typed, command=plan.command or command_line()) for plan in plans]
    _check_and_plan(group, plans, zoo, new=given["resume"] is None)
    several.run_group(group, plans, lambda plan, where: _watched(plan, where, resume=True), zoo=zoo, as_json=as_json)
    return True


def _check_and_plan(group: SweepGroup, plans: list[SweepPlan], zoo: str | None, *, new: bool) -> None:
    from kdzoo.search.run.in_turn import plan_in_turn
    from kdzoo.search.workers.resources import check_this_machine

    check_this_machine(plans[0])
    if new:
        plan_in_turn(group, plans, zoo=zoo)
        tell(f"{len(plans)} sweeps in turn, of {', '.join(plan.method for plan in plans)}: {group.name}")


for option in run.params:
    if option.name == "dataset":  # of a new sweep alone: a resumed one knows its data set
        option.required = False
    elif option.name == "objective" and isinstance(option, click.Option):  # a single run has but one
        option.metavar = "METRIC[,...]"
        option.help = "What selection maximises, such as aupro; others after it guide the sampler, as does latency_ms."


def _tell_notes(plan: SweepPlan, *, asked: bool) -> None:
    """Says what a person should know of the splits, each thing once with the categories that it is true of.

    Raises:
        ProtocolError: a category has not the images that the protocol needs.
        DatasetError: a category cannot be read.
    """
    from kdzoo.data.files import few
    from kdzoo.data.splits import split

    notes: dict[str, list[str]] = {}
    for category in plan.spaces:
        parts = split(plan.dataset.category(category), plan.options.protocol, seed=plan.options.split_seed)
        for note in parts.notes:
            notes.setdefault(note, []).append(category)
    shared = [f"{note} ({_listed(where)})" if len(plan.spaces) > 1 else note for note, where in notes.items()]
    tell_notes([*(() if asked else plan.dataset.notes), *few(shared, "notes; `kdzoo data verify` has all")])


def _listed(names: list[str]) -> str:
    """The first of some names, and how many more there are."""
    most = 8
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _watched(plan: SweepPlan, zoo: str | None, *, resume: bool) -> SweepBoard:
    from kdzoo.cli.sweep.live import LiveView
    from kdzoo.search.record.folder import SweepFolder
    from kdzoo.search.run.sweep import run_sweep

    count = len(plan.spaces)
    categories = f"{count} {'category' if count == 1 else 'categories'} of {plan.dataset.name}"
    trials = f"{plan.trials} {'trial' if plan.trials == 1 else 'trials'} each"
    if plan.most_finals:
        trials += f" and at most {plan.most_finals} of a final round over {plan.strategy.seeds} seeds"
    how = f"{trials}, protocol {plan.options.protocol}, teacher {plan.options.teacher}"
    begun = "Resuming sweep" if resume and SweepFolder(plan.folder).begun else "Sweep"
    tell(f"{begun} {plan.name}: {plan.method} on {categories}, {how}")
    with LiveView(f"{plan.method} on {plan.dataset.name}") as view:
        return run_sweep(plan, view, zoo=zoo, prepared=view.preparing, announce=view.note, resume=resume)
