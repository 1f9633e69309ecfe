"""What a sweep stands on: all that is checked, prepared and written down before the first trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kdzoo.errors import SweepError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.group import FILE as GROUP_FILE
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import PlanFile
from kdzoo.search.run.disk import check_room, checkpoint_demand, gigabytes
from kdzoo.search.run.feature_room import told_feature_room
from kdzoo.search.run.preparation import Preparation
from kdzoo.search.workers.capacity import Capacity
from kdzoo.search.workers.cluster import nodes
from kdzoo.search.workers.node_checks import NodeChecks
from kdzoo.teachers.backbone import Teacher
from zoo_registry import Registry


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the parts of a running sweep share.

    Attributes:
        written: the plan, its data's digests and the key of its MLflow runs, as they stand in the sweep's folder.
        folder: the sweep's; held by this process.
        registry: the zoo; it can be published to.
        teacher: the loaded teacher.
        weights: its weights, as workers and the zoo get them.
        preparation: of the images, which may go on while training begins.
        checks: of the machines, those that join later included.
        capacity: what was asked of the cluster; None of a Ray that the sweep started.
        checkpoint_bytes: what one checkpoint may take.
        resumed: whether an earlier driver began the sweep.
    """

    written: PlanFile
    folder: SweepFolder
    registry: Registry
    teacher: Teacher
    weights: bytes
    preparation: Preparation
    checks: NodeChecks
    capacity: Capacity | None
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
    if folder.plan.exists() or folder.studies.exists() or (folder.path / GROUP_FILE).exists():
        raise SweepError(
            f"there is a sweep named '{folder.name}' already",
            hint=f"go on with it by `kdzoo sweep --resume {folder.name}`, choose another --name, or remove "
            f"'{folder.path}'",
        )


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
