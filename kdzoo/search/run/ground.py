"""What a sweep stands on: all that is checked, prepared and written down before the first trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kdzoo.errors import SweepError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import DataDigests, PlanFile
from kdzoo.search.run.disk import check_room, checkpoint_demand, gigabytes
from kdzoo.search.run.feature_room import told_feature_room
from kdzoo.search.study.strategy import COSTS
from kdzoo.search.workers.cluster import nodes
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import check_objective
from zoo_registry import Registry

Prepared = Callable[[str, int, int], None]
"""Told ``(category, done, total)`` as categories are made ready."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the parts of a running sweep share.

    Attributes:
        written: the plan, its data's digests and the key of its MLflow runs, as they stand in the sweep's folder.
        folder: the sweep's; held by this process.
        registry: the zoo; it can be published to.
        teacher: the loaded teacher.
        weights: its weights, as workers and the zoo get them.
        checkpoint_bytes: what one checkpoint may take.
        resumed: whether an earlier driver began the sweep.
    """

    written: PlanFile
    folder: SweepFolder
    registry: Registry
    teacher: Teacher
    weights: bytes
    checkpoint_bytes: int
    resumed: bool

    @property
    def plan(self) -> SweepPlan:
        """What to do."""
        return self.written.plan


def check_new(folder: SweepFolder) -> None:
    """Refuses the name of a sweep that there is.

    Raises:
        SweepError: there is one.
    """
    if folder.plan.exists() or folder.studies.exists():
        raise SweepError(
            f"there is a sweep named '{folder.name}' already",
            hint=f"go on with it by `kdzoo sweep --resume {folder.name}`, choose another --name, or remove "
            f"'{folder.path}'",
        )


def prepare_data(plan: SweepPlan, prepared: Prepared | None = None) -> dict[str, DataDigests]:
    """Splits every category and decodes what trials may look at, once, for all of them; gives the data's digests.

    Raises:
        KdzooError: a category cannot be split, an image not be read, or an objective not be measured.
    """
    digests = {}
    for done, category in enumerate(plan.spaces):
        if prepared is not None:
            prepared(category, done, len(plan.spaces))
        data = TrialData(plan.dataset, category, plan.options_of(category), cache=plan.settings.cache)
        _ = data.train
        data.check_foreground()
        for name in (plan.options.objective, *(name for name in plan.strategy.also if name not in COSTS)):
            check_objective(data.selection, name)
        digests[category] = DataDigests(**data.identity)
    if prepared is not None:
        prepared("", len(plan.spaces), len(plan.spaces))
    return digests


def checkpoint_room(
    plan: SweepPlan, folder: SweepFolder, teacher: Teacher, announce: Callable[[str], None] | None = None
) -> int:
    """Says how much disk checkpoints and frozen features may take; gives the bytes that one checkpoint may.

    Raises:
        SweepError: the disk has less than the checkpoints need; features that find no room are computed.
    """
    demand = checkpoint_demand(plan, teacher, nodes())
    free = check_room(demand, folder.path, kept=folder.size())
    if announce is not None:
        announce(
            f"Checkpoints take at most {gigabytes(demand.total)} of the {gigabytes(free)} free in '{folder.path}': of "
            f"running trials, and of the best {plan.keep if plan.keep > 1 else 'one'} a category"
        )
        features = told_feature_room(plan, teacher)
        if features is not None:
            announce(features)
    return demand.state
