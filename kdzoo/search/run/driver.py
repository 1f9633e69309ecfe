"""The process that drives a sweep: it takes over, begins, trains, concludes; everything else is a part of it."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from typing import Any

from kdzoo.errors import KdzooError
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.conclusion import CategoryConclusions
from kdzoo.search.run.final_round import FinalRound, champion_config
from kdzoo.search.run.ground import Ground
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.publisher import Publisher, publish_once
from kdzoo.search.run.resume import settled, take_over
from kdzoo.search.run.stage_sharing import kept_stages
from kdzoo.search.run.training import SweepTraining
from kdzoo.search.run.training_time import TrainingTime
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import Checkpoints
from kdzoo.search.workers.finish import FinishingLine
from kdzoo.search.workers.finished import Finished
from kdzoo.search.workers.node_data import place_of
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.reasons import reason, stopped
from kdzoo.search.workers.resources import at_once, needs_of
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.search.workers.slots import taken
from kdzoo.search.workers.workbench import WorkerContext
from kdzoo.tracking import SweepTracker
from kdzoo.training.document import with_command
from kdzoo.training.stage_results import StageResults
from kdzoo.zoo import Published
from zoo_registry import EntryName


class SweepDriver:
    """Drives a sweep once; a cluster is at hand, and all that could be checked before was.

    Args:
        ground: what the sweep stands on.
        tracker: MLflow's, which never blocks.
        view: who watches.
    """

    def __init__(self, ground: Ground, tracker: SweepTracker, view: SweepView) -> None:
        plan = ground.plan
        self._ground, self._plan, self._tracker, self._view = ground, plan, tracker, view
        self._board = SweepBoard(plan.spaces, trials=plan.trials, objective=plan.options.objective)
        self._context = _worker_context(ground)
        self._places = Places(view.note)
        self._watch = NodeWatch(self._places, view.note, taken=lambda: taken(needs_of(plan)))
        self._checkpoints = Checkpoints(ground.folder)
        self._time = TrainingTime(ground.folder, plan.time_budget)
        line = FinishingLine(
            self._context,
            needs=needs_of(plan),
            places=self._places,
            watch=self._watch,
        )
        self._measurements = Measurements(ground.folder, line, ground.weights)
        self._conclusions = CategoryConclusions(
            plan,
            self._board,
            tracker=tracker,
            line=self._measurements,
            publisher=Publisher(self._publish),
            checkpoints=self._checkpoints,
            folder=ground.folder,
            view=view,
        )
        # Opens a database, which `drive` closes: whatever else can fail comes before.
        self._studies = CategoryStudies(
            plan.spaces,
            storage=ground.folder.studies,
            trials=plan.trials,
            seed=plan.options.seed,
            strategy=plan.strategy,
            loans=plan.loans,
            portfolio=plan.portfolio,
        )
        self._finals = FinalRound(plan, self._board, self._studies, self._champion)
        self._monitor = SweepMonitor(
            plan,
            self._board,
            tracker=tracker,
            studies=self._studies,
            checkpoints=self._checkpoints,
            conclusions=self._conclusions,
            view=view,
            watch=self._watch,
            measurements=self._measurements,
            check=self._check,
            finals=self._finals,
            state=ground.checkpoint_bytes,
        )

    def drive(self) -> SweepBoard:
        """Runs the sweep to its end, from wherever earlier drivers left it.

        Returns:
            The board, with an outcome for every category.

        Raises:
            SweepError: something ended the training before its time; what was finished is measured and published.
        """
        try:
            self._take_over()
            self._begin()
            trouble = self._train()
        finally:
            self._studies.close()
        self._conclude(trouble)
        return self._board

    def _check(self) -> None:
        """Between two events: is anything wrong with the images, or a machine that has joined; are fewer needed?"""
        self._ground.preparation.check()
        given_up = self._ground.preparation.troubles()
        for category in given_up.keys() - self._board.given_up:
            self._board.given_up.add(category)
            self._view.note(f"no more trials of {category} begin, and the others go on: {given_up[category]}")
        self._ground.checks.see_new(self._places)
        if self._ground.capacity is not None:
            to_measure = len(self._board.categories) - len(self._board.outcomes)
            never = sum(self._board.trials - self._board.done(category) for category in given_up)
            left = self._board.total - self._board.done() - never + to_measure
            self._ground.capacity.ask(at_once(self._plan, left))

    def _take_over(self) -> None:
        """Puts what earlier drivers did on the board, and leaves alone what they settled."""
        # What was measured and not published is measured again.
        shutil.rmtree(self._ground.folder.measured, ignore_errors=True)
        if self._ground.resumed:
            take_over(self._plan, self._board, self._studies, self._tracker, self._checkpoints)
            done = settled(self._plan, self._board, self._ground.folder, self._finals.is_over)
            self._conclusions.leave(done)

    def _begin(self) -> None:
        """Opens the categories that there is something left to do for; those without a trial left are concluded."""
        for category in self._plan.spaces.keys() - self._conclusions.settled:
            self._tracker.start_category(category, tags={"split_digest": self._ground.written.data[category].split})
        self._view.update(self._board)
        self._monitor.conclude_complete()

    def _train(self) -> Exception | None:
        """Trains; categories are concluded on the way, as their last trials end. Gives what ended it too early."""
        training = SweepTraining(
            self._plan,
            self._board,
            studies=self._studies,
            folder=self._ground.folder,
            monitor=self._monitor,
            places=self._places,
            measurements=self._measurements,
            time=self._time,
            unusable=self._ground.preparation.troubles,
        )
        trouble = training.run(self._context)
        self._ground.preparation.end()
        self._measurements.end_training()
        return trouble

    def _conclude(self, trouble: Exception | None) -> None:
        """Measures and publishes what is finished and is not yet, however the training ended."""
        plan, log = self._plan, self._ground.folder.log
        if self._gpu_hours_are_used_up():
            self._view.note(
                f"the {plan.gpu_hours:g} GPU hours are used up; a resumed sweep needs more --gpu-hours to go on"
            )
        if self._time.left() == 0.0 and self._board.done() < self._board.total:
            self._view.note(
                f"the time budget is used up: the sweep has trained for {self._time.spent() / 60:.0f} min, "
                "over all its drivers; a resumed sweep needs more --time-budget to go on"
            )
        if trouble is not None:
            self._view.note(f"training stopped: {reason(trouble)}; what is finished is measured and published")
        try:
            self._monitor.conclude_rest()
        except (KdzooError, OSError) as error:
            # A disk that ended the training is not there for this either, and the first word of it says more.
            raise stopped(plan.name, trouble or error, log=log)  # noqa: B904 - it is chained to its own cause
        if trouble is not None:
            raise stopped(plan.name, trouble, log=log)

    def _champion(self, category: str) -> Mapping[str, Any] | None:
        """The champion's configuration for the final round."""
        ground = self._ground
        return champion_config(ground.registry, self._plan, category, ground.written.data[category], self._view.note)

    def _gpu_hours_are_used_up(self) -> bool:
        hours, board = self._plan.gpu_hours, self._board
        return hours is not None and board.gpu_seconds() >= hours * 3600 and board.done() < board.total

    def _publish(self, category: str, finished: Finished) -> Published:
        """Puts a measured category into the zoo; called in the publisher's thread."""
        plan, registry = self._plan, self._ground.registry
        entry = EntryName(method=plan.method, dataset=plan.dataset.name, category=category)
        document = {**finished.document, "sweep": plan.name, "mlflow": self._tracker.category_run(category)}
        if plan.group:
            document |= {"group": plan.group, "group_id": plan.group_id}
        document = with_command(document, plan.command)
        verdict = self._board.verdicts.get(category)
        if verdict is not None:
            document["final_round"] = verdict.as_document()
        hold = verdict.note() if verdict is not None and verdict.stays else ""
        who = plan.settings.who
        published = publish_once(
            registry, entry, document, finished.files, look=self._ground.resumed, who=who, hold=hold
        )
        return published.located(registry, entry)


def _worker_context(ground: Ground) -> WorkerContext:
    """What workers need besides a trial; the teacher is put into the cluster once."""
    plan = ground.plan
    return WorkerContext(
        dataset=plan.dataset,
        cache=plan.settings.cache,
        threads=max(1, int(plan.cpus_per_trial)),
        # A worker that was given a GPU and cannot use it must say so, not train on the CPU for a week.
        device="cuda" if plan.gpus_per_trial else "cpu",
        teacher=SentTeacher.send(ground.teacher.name, ground.weights),
        stages=StageResults(
            folder=ground.folder.stages,
            keep=kept_stages(plan, ground.teacher),
            teacher=hashlib.sha256(ground.weights).hexdigest(),
        ),
        fetch=place_of(plan.dataset, plan.settings) if plan.download else None,
        checkpoint_seconds=60 * plan.checkpoint_minutes,
    )
