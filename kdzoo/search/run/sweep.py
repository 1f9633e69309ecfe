"""One sweep, from its checks to what is left at its end."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import PlanFile
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.driver import SweepDriver
from kdzoo.search.run.ground import Ground, check_new, checkpoint_room
from kdzoo.search.run.preparation import Preparation, Prepared
from kdzoo.search.run.sweep_log import SweepLog
from kdzoo.search.workers.cluster import check_address, cluster
from kdzoo.search.workers.keys import s3_keys_kept
from kdzoo.search.workers.node_checks import NodeChecks
from kdzoo.search.workers.node_data import place_of
from kdzoo.search.workers.resources import needs_of, room_for_trials
from kdzoo.search.workers.slots import note_if_busy
from kdzoo.teacher_zoo import obtain_teacher
from kdzoo.zoo import open_registry


def run_sweep(
    plan: SweepPlan,
    view: SweepView,
    *,
    zoo: str | None = None,
    prepared: Prepared | None = None,
    announce: Callable[[str], None] | None = None,
    resume: bool = False,
) -> SweepBoard:
    """Runs a sweep to its end.

    Whatever can be wrong is found before the first trial: the cluster, the zoo's rights, the sweep's folder, the
    teacher's weights, every category's split, the room for checkpoints; and every image that may be looked at, of data
    sets that are decoded in `kdzoo.search.run.preparation.BEFORE_SECONDS`. Of larger ones the rest is looked at while
    training begins: a category that something is wrong with is given up then, and the others go on.

    Ctrl-C once ends the training; what is finished by then is measured and published. Ctrl-C twice ends at once.

    However a driver ended, the sweep can be resumed: no trial that ended runs again, one that was under way goes on
    from its last checkpoint (from the start where it had none) as a new trial, and what is published is not published
    again.

    Args:
        plan: what to do.
        view: who watches.
        zoo: where to publish; default the settings' own.
        prepared: told ``(category, done, total)`` as categories are made ready.
        announce: told, before the first trial, how much disk the checkpoints may take.
        resume: go on with the sweep of that name; only its number of trials may have grown.

    Returns:
        The board at the end, with an outcome for every category.

    Raises:
        KdzooError: the sweep cannot start, or Ray or the disk gave up on the way; what was finished is published.
        RegistryError: the zoo cannot be published to.
        KeyboardInterrupt: a second Ctrl-C, or one before the first trial.
    """
    check_address(plan.settings.ray_address)
    folder = SweepFolder(plan.folder)
    before = PlanFile.read(folder.plan, plan.settings, dataset=plan.dataset) if resume else None
    if before is None:
        check_new(folder)
    begun = folder.begun
    registry = open_registry(plan.settings, zoo, warn=view.note)
    registry.probe()
    with folder.driven():
        teacher = obtain_teacher(plan.options.teacher, plan.settings, zoo=zoo, note=view.note)
        for category in plan.spaces:
            teacher.check_side(plan.options_of(category).image_size)
        preparation = Preparation(plan)
        if before is not None:
            before.check(plan, preparation.digests)
        left = preparation.begin(prepared)
        if left:
            view.note(f"the images of {left} more categories are decoded while training begins")
        weights = teacher.weights()
        with (
            s3_keys_kept(),
            cluster(plan.settings.ray_address, log=folder.log, shared=len(weights)),
            room_for_trials(plan, view.note) as (plan, capacity),
        ):
            fetch = place_of(plan.dataset, plan.settings) if plan.download else None
            checks = NodeChecks(plan.dataset, fetch, folder.driver, view.note, needs=needs_of(plan))
            checks.check()
            note_if_busy(needs_of(plan), view.note)
            room = checkpoint_room(plan, folder, teacher, announce)
            written = PlanFile(
                plan=plan,
                data=preparation.digests,
                run_key=f"{plan.name}-{uuid.uuid4().hex}" if before is None else before.run_key,
                created=time.time() if before is None else before.created,
                zoo=zoo or plan.settings.zoo,
            )
            written.write(folder.plan)
            folder.begin()
            ground = Ground(
                written=written,
                folder=folder,
                registry=registry,
                teacher=teacher,
                weights=weights,
                preparation=preparation,
                checks=checks,
                capacity=capacity,
                checkpoint_bytes=room,
                resumed=resume and begun,
            )
            with SweepLog(ground, view) as log:
                return log.ended(SweepDriver(ground, log.tracker, view).drive())
