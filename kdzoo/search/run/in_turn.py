"""Several sweeps one after the other in one Ray: planned before the first begins, and each a sweep of its own."""

from __future__ import annotations

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence

from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.group import SweepGroup
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import PlanFile
from kdzoo.search.run.ground import check_new
from kdzoo.search.run.preparation import Preparation
from kdzoo.search.workers.cluster import check_address, cluster
from kdzoo.search.workers.keys import s3_keys_kept
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.zoo import open_registry

Drive = Callable[[SweepPlan], SweepBoard]
"""Runs a sweep whose plan is written to its end, or goes on with it."""


def plan_in_turn(group: SweepGroup, plans: Sequence[SweepPlan], *, zoo: str | None) -> None:
    """Checks what all sweeps of a new group stand on, and writes their plans.

    Args:
        group: not written yet.
        plans: of its members, in order; all on the same categories and options.
        zoo: where they publish; default the settings' own.

    Raises:
        SweepError: there is a sweep of one of the names, or no cluster at the address.
        RegistryError: the zoo cannot be published to.
        KdzooError: the data or the teacher cannot be used.
    """
    for plan in plans:
        check_address(plan.settings.ray_address)
        check_new(SweepFolder(plan.folder))
    settings = plans[0].settings
    open_registry(settings, zoo).probe()
    prepared = [Preparation(plan).digests for plan in plans]
    group.write()
    for plan, digests in zip(plans, prepared, strict=True):
        key = f"{plan.name}-{uuid.uuid4().hex}"
        plan.folder.mkdir(parents=True, exist_ok=True)
        plan = dataclasses.replace(plan, group=group.name, group_id=group.id)
        written = PlanFile(plan=plan, data=digests, run_key=key, created=time.time(), zoo=zoo or settings.zoo)
        written.write(SweepFolder(plan.folder).plan)


def run_in_turn(
    group: SweepGroup, plans: Sequence[SweepPlan], drive: Drive, *, zoo: str | None, note: Callable[[str], None]
) -> list[tuple[SweepPlan, SweepBoard]]:
    """Runs the sweeps of a group in their order, in one Ray.

    One that a person ends (Ctrl-C, SIGTERM, `kdzoo sweep stop`) is measured and published, and no other begins; one
    that used its time or GPU hours up lets the next begin.

    Args:
        group: whose plans are written.
        plans: of its members, in order.
        drive: runs one.
        zoo: as in `plan_in_turn`.
        note: told what a person should read.

    Returns:
        The sweeps that were run, with their boards.

    Raises:
        KdzooError: a sweep could not start, or gave up; the group can be resumed.
    """
    settings, ran = plans[0].settings, list[tuple[SweepPlan, SweepBoard]]()
    group.begin()  # before the teacher is fetched, which may take minutes: asked to end meanwhile, none begins
    teacher = obtain_teacher(plans[0].options.teacher, settings, zoo=zoo, note=note)
    # One sweep's teacher may still be in the object store when the next one's comes.
    with s3_keys_kept(), cluster(settings.ray_address, log=group.log, shared=2 * len(teacher.weights())):
        for plan in plans:
            if group.is_asked_to_stop:
                break
            board = drive(dataclasses.replace(plan, group=group.name, group_id=group.id))
            ran.append((plan, board))
            if _was_stopped(plan, board):
                break
    return ran


def _was_stopped(plan: SweepPlan, board: SweepBoard) -> bool:
    """Whether a sweep ended before its time because somebody asked for it."""
    planned = {name: board.trials + board.finals.get(name, 0) for name in board.categories}
    if all(board.done(name) >= planned[name] for name in board.categories if name not in board.given_up):
        return False
    if plan.time_budget is not None and SweepFolder(plan.folder).trained_seconds() >= plan.time_budget - 1.0:
        return False
    return plan.gpu_hours is None or board.gpu_seconds() < plan.gpu_hours * 3600
