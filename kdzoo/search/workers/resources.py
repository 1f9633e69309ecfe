"""What a trial holds of the machines, checked before the sweep starts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from kdzoo.errors import SweepError, UsageError
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.workers.cluster import Node, starts_here


def with_resources(plan: SweepPlan, nodes: Sequence[Node]) -> SweepPlan:
    """Checks what a trial asks for against single machines; without a word, a trial takes a GPU where there are any.

    Args:
        plan: the sweep.
        nodes: the cluster's machines.

    Returns:
        The plan with its GPUs a trial settled.

    Raises:
        SweepError: no machine has what a trial asks for.
        UsageError: GPU time is to be limited, and trials hold no GPU.
    """
    cpus, gpus = (max((getattr(node, kind) for node in nodes), default=0.0) for kind in ("cpus", "gpus"))
    if plan.gpus_per_trial is None:
        plan = dataclasses.replace(plan, gpus_per_trial=1.0 if gpus else 0.0)
    if plan.gpu_hours is not None and not plan.gpus_per_trial:
        raise UsageError(
            "--gpu-hours counts GPU time, and the trials of this sweep hold no GPU", hint="limit it by --time-budget"
        )
    asked = Node(cpus=plan.cpus_per_trial, gpus=plan.gpus_per_trial or 0.0)
    for wanted, there, kind, hint in (
        (asked.cpus, cpus, "CPUs", "lower --cpus-per-trial"),
        (asked.gpus, gpus, "GPUs", "lower --gpus-per-trial; 0 trains on the CPU"),
    ):
        if wanted > there:
            raise SweepError(
                f"a trial asks for {wanted:g} {kind}, but the largest node that Ray sees has {there:g}", hint=hint
            )
    if not any(node.cpus >= asked.cpus and node.gpus >= asked.gpus for node in nodes):
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
