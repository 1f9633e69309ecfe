"""How much disk a sweep's checkpoints take at most, reckoned before the first trial from the models' sizes."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

from kdzoo.errors import ConfigError, StorageError, SweepError
from kdzoo.methods.config import MethodConfig
from kdzoo.methods.registry import build_method
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.stage_sharing import kept_stages
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.workers.cluster import Node
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.without_init import WithoutRandomInit

_COPIES = 4
"""Of the learned weights in a resume state: the weights, Adam's two moments, the best weights so far. A moving average
is one more."""


@dataclass(frozen=True, kw_only=True)
class CheckpointDemand:
    """What a sweep keeps at most.

    Attributes:
        state: bytes of the largest resume state.
        trials: resume states of running trials at once; a new one is whole before the old one goes.
        best: resume states of ended trials that are kept; most hold the best weights alone, one that was to be gone on
            with when it ended does not.
        stages: results of first stages that trials share; of each there is one copy of the weights.
        learned: bytes of the largest model's learned weights.
    """

    state: int
    trials: int
    best: int
    stages: int = 0

    learned: int = 0

    @property
    def total(self) -> int:
        """Bytes altogether."""
        return self.state * (self.trials + self.best) + self.learned * self.stages


def checkpoint_demand(plan: SweepPlan, teacher: Teacher, nodes: Sequence[Node]) -> CheckpointDemand:
    """Reckons what the checkpoints of a sweep take at most.

    Args:
        plan: the sweep, its GPUs a trial settled.
        teacher: its backbone.
        nodes: the cluster's machines.
    """
    largest: dict[str, int] = {}
    for space in plan.spaces.values():
        # Most categories share a space, and building a model takes a moment.
        key = repr((space.defaults, space.dimensions))
        if key not in largest:
            largest[key] = largest_model(space, teacher)
    running = min(_at_once(plan, nodes), plan.total_trials)
    learned = max(largest.values())
    return CheckpointDemand(
        state=(_COPIES + bool(plan.options.ema)) * learned,
        learned=learned,
        trials=2 * running,
        best=len(plan.spaces) * plan.kept,
        stages=sum(kept_stages(plan, teacher).values()),
    )


def check_room(demand: CheckpointDemand, folder: Path, *, kept: int = 0) -> int:
    """Refuses a sweep whose checkpoints may not fit.

    Args:
        demand: what they take at most.
        folder: where they are kept.
        kept: bytes of them that are there already.

    Returns:
        Bytes that are free.

    Raises:
        SweepError: the disk has less room.
        StorageError: the disk cannot be asked.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageError(f"cannot ask how much room '{folder}' has: {error.strerror or error}") from error
    if demand.total > free + kept:
        raise SweepError(
            f"the checkpoints of this sweep may take {gigabytes(demand.total)}, and '{folder}' has "
            f"{gigabytes(free + kept)} for them",
            hint="free some space, set KDZOO_HOME to another disk, or lower --max-concurrent or --keep",
        )
    return free


def check_not_full(folder: Path, *, state: int, why: str) -> None:
    """Ends a sweep that a full disk would make lose one trial after the other.

    Args:
        folder: where checkpoints are kept.
        state: bytes that one of them may take.
        why: a trial's try failed.

    Raises:
        SweepError: it failed for want of room, and the folder's disk has less than one checkpoint may take.
    """
    if os.strerror(errno.ENOSPC) not in why:
        return
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return  # away, not full: the trial's next tries wait for it
    if free < state:
        raise SweepError(
            f"the disk of '{folder}' is full: {gigabytes(free)} are left, and one checkpoint may take "
            f"{gigabytes(state)}",
            hint="free some space",
        )


def largest_model(space: SearchSpace, teacher: Teacher) -> int:
    """Bytes of learned weights of the largest model of a space, from above.

    Each knob by itself is turned to both ends; what the largest of these add to the defaults' model is multiplied, as
    if all were turned at once.
    """
    sizes: dict[str, int] = {}

    def size(values: Mapping[str, Any]) -> int:
        try:
            config = space.config(space.assignment(values))
        except ConfigError:
            return 0  # no configuration of the space
        key = repr(config)
        if key not in sizes:
            sizes[key] = _learned_bytes(space.method, config, teacher)
        return sizes[key]

    start = max(size({}), 1)
    factor = 1.0
    for key, dimension in space.dimensions.items():
        factor *= max(1.0, *(size({key: end}) / start for end in dimension.ends))
    return ceil(start * factor)


def gigabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.1f} MB"


def _learned_bytes(method: str, config: MethodConfig, teacher: Teacher) -> int:
    with WithoutRandomInit():
        built = build_method(method, config, teacher)
    state = built.learned_state()
    # Of a tensor that training makes as long as it needs, the longest it may be.
    longest = {name: rows * prod(state[name].shape[1:]) for name, rows in built.lengths().items()}
    return sum(longest.get(name, tensor.numel()) * tensor.element_size() for name, tensor in state.items())


def _at_once(plan: SweepPlan, nodes: Sequence[Node]) -> int:
    """Trials that fit the cluster at once."""
    gpus = plan.gpus_per_trial or 0.0
    fit = sum(
        int(min(node.cpus / plan.cpus_per_trial, node.gpus / gpus if gpus else float("inf")) + 1e-6) for node in nodes
    )
    return max(1, fit if plan.max_concurrent is None else min(fit, plan.max_concurrent))
