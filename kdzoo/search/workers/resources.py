"""What a trial holds of the machines, checked before the sweep starts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kdzoo.errors import SweepError, UsageError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.overview import trials_left
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.workers.capacity import Capacity
from kdzoo.search.workers.cluster import Node, nodes, starts_here
from kdzoo.search.workers.room_keeper import RoomKeeper


@contextmanager
def room_for_trials(plan: SweepPlan, note: Callable[[str], None]) -> Iterator[tuple[SweepPlan, Capacity | None]]:
    """Sees to it that there is a machine that can take a trial of the sweep, and asks for as many as it can use.

    Args:
        plan: the sweep; the Ray that it runs on is joined.
        note: told of waits.

    Yields:
        The plan with its GPUs a trial settled, and what was asked of a cluster that others started.

    Raises:
        SweepError: no machine has what a trial asks for, and none came.
        UsageError: nothing tells whether trials are to have GPUs; or GPU time is to be limited, and they hold none.
    """
    if starts_here(plan.settings.ray_address):
        yield with_resources(plan, nodes()), None
        return
    plan = with_gpus(plan, nodes(), note)
    _check_gpu_hours(plan)
    capacity = Capacity(needs_of(plan), note, keeper=RoomKeeper())
    try:
        # Of a resumed sweep only what earlier drivers left over.
        capacity.ask(at_once(plan, trials_left(SweepFolder(plan.folder), plan.total_trials)))
        capacity.wait()
        yield with_resources(plan, nodes()), capacity
    finally:
        capacity.release()


def at_once(plan: SweepPlan, trials: int) -> int:
    """How many of some trials a sweep runs at once where there is room for all."""
    return max(1, trials if plan.max_concurrent is None else min(trials, plan.max_concurrent))


def with_gpus(plan: SweepPlan, machines: Sequence[Node], note: Callable[[str], None]) -> SweepPlan:
    """Settles what GPUs a trial holds on a cluster that is there already, and may not be all there yet.

    Args:
        plan: the sweep.
        machines: of the cluster, as they are now.
        note: told where a person should know of it.

    Returns:
        The plan with its GPUs a trial settled.

    Raises:
        UsageError: nobody said what trials are to run on, and no machine is there that would tell.
    """
    if plan.gpus_per_trial is not None:
        return plan
    if any(node.gpus for node in machines):
        return dataclasses.replace(plan, gpus_per_trial=1.0)
    if not any(node.cpus for node in machines):
        raise UsageError(
            "the cluster has no machine yet that runs trials, so nothing tells whether they are to have GPUs",
            hint="--device cuda waits for nodes with a GPU, --device cpu for any",
        )
    note(
        "no node of the cluster has a GPU now: trials train on CPUs; with --device cuda a sweep waits for GPUs where "
        "the cluster can grow"
    )
    return dataclasses.replace(plan, gpus_per_trial=0.0)


def with_resources(plan: SweepPlan, machines: Sequence[Node]) -> SweepPlan:
    """Checks what a trial asks for against single machines; without a word, a trial takes a GPU where there are any.

    Args:
        plan: the sweep.
        machines: the cluster's.

    Returns:
        The plan with its GPUs a trial settled.

    Raises:
        SweepError: no machine has what a trial asks for.
        UsageError: GPU time is to be limited, and trials hold no GPU.
    """
    cpus, gpus = (max((getattr(node, kind) for node in machines), default=0.0) for kind in ("cpus", "gpus"))
    if plan.gpus_per_trial is None:
        plan = dataclasses.replace(plan, gpus_per_trial=1.0 if gpus else 0.0)
    _check_gpu_hours(plan)
    asked = Node(cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0)
    for wanted, there, kind, hint in (
        (asked.cpus, cpus, "CPUs", "lower --cpus-per-trial"),
        (asked.gpus, gpus, "GPUs", "lower --gpus-per-trial; 0 trains on the CPU"),
    ):
        if wanted > there:
            raise SweepError(
                f"a trial asks for {wanted:g} {kind}, but the largest node that Ray sees has {there:g}", hint=hint
            )
    if not any(node.cpus >= asked.cpus and node.gpus >= asked.gpus for node in machines):
        raise SweepError(
            f"no single node has both the {asked.cpus:g} CPUs and the {asked.gpus:g} GPUs that a trial asks for",
            hint="lower --cpus-per-trial or --gpus-per-trial",
        )
    return plan


def needs_of(plan: SweepPlan) -> dict[str, float]:
    """What a trial of a plan holds, by Ray's names, its GPUs settled."""
    return {"CPU": plan.cpus_per_trial, "GPU": plan.gpus_per_trial or 0.0}


def check_this_machine(plan: SweepPlan) -> None:
    """Finds out that there are too few GPUs before images are decoded, where Ray is to be started on this machine.

    What CPUs a trial may take is for Ray to say: it knows a container's limits.

    Args:
        plan: the sweep.

    Raises:
        SweepError: a trial asks for more GPUs than there are.
        UsageError: GPU time is to be limited, and trials hold no GPU.
    """
    if not starts_here(plan.settings.ray_address):
        return
    import torch

    with_resources(plan, [Node(cpus=math.inf, gpus=float(torch.cuda.device_count()))])


def _check_gpu_hours(plan: SweepPlan) -> None:
    if plan.gpu_hours is not None and not plan.gpus_per_trial:
        raise UsageError(
            "--gpu-hours counts GPU time, and the trials of this sweep hold no GPU", hint="limit it by --time-budget"
        )
