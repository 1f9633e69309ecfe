"""What happens around a trial's life in the driver: the board, the tracker, the end of each study."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from ray import cloudpickle
from ray.tune import Callback
from ray.tune.experiment import Trial

from kdzoo.errors import KdzooError
from kdzoo.search.board import CategoryOutcome, Ended, SweepBoard, TrialRow
from kdzoo.search.finish import Finished, FinishingLine
from kdzoo.search.plan import SweepPlan
from kdzoo.search.reasons import reason
from kdzoo.tracking import Cost, SweepTracker
from kdzoo.zoo import PICTURE, TEACHER, Published
from zoo_registry import RegistryError

log = logging.getLogger(__name__)

CUT_SHORT = "the sweep ended before the trial did"
Publish = Callable[[str, Finished], Published]


class SweepView(Protocol):
    """Who watches a sweep; the command line shows a live table."""

    def update(self, board: SweepBoard) -> None:
        """The board changed."""

    def note(self, text: str) -> None:
        """Something a person should read."""


class SweepMonitor(Callback):
    """Keeps the board true, tells the tracker, and starts measuring a category when its last trial has ended.

    Args:
        plan: the sweep.
        board: its state.
        tracker: MLflow's, which never blocks.
        line: measures best trials on workers.
        publish: puts a measured category into the zoo.
        teacher: the teacher's weights.
        view: who watches.
    """

    def __init__(
        self,
        plan: SweepPlan,
        board: SweepBoard,
        *,
        tracker: SweepTracker,
        line: FinishingLine,
        publish: Publish,
        teacher: bytes,
        view: SweepView,
    ) -> None:
        self._plan, self.board, self._view = plan, board, view
        self._tracker, self._line, self._publish = tracker, line, publish
        self._teacher = teacher
        self._trials: dict[str, Trial] = {}
        self._submitted: set[str] = set()
        self._dropped: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes its callbacks into the run's folder; all of this one belongs to the living driver."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts, or starts again after a lost worker."""
        self._row(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch ended."""
        row = self.board.rows[trial.trial_id]
        if result.get("failure"):
            row.reason = str(result["failure"])
        else:
            row.epoch, row.total_epochs = int(result["epoch"]), int(result["total_epochs"])
            row.seconds = float(result["train_seconds"]) + float(result["measure_seconds"])
            row.gpu_seconds = row.seconds * (self._plan.gpus_per_trial or 0.0) if result["on_gpu"] else 0.0
            row.objective = result.get("objective", row.objective)
            row.metrics = dict(result.get("metrics", row.metrics))
            self._tracker.log_epoch(trial.trial_id, row.epoch, {**result["losses"], **result.get("metrics", {})})
        self._view.update(self.board)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended by itself or was stopped early; its checkpoint is written by now."""
        row = self.board.rows.get(trial.trial_id)
        if row is None:
            return
        if row.reason:
            self._ended(row, "failed")
        else:
            self._ended(row, "finished" if trial.last_result.get("finished") else "stopped_early")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's worker failed for good, perhaps before it ever ran."""
        row = self._row(trial)
        row.reason = _reason(trial)
        self._ended(row, "failed")

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's worker failed, and another one goes on from the trial's last checkpoint."""
        row = self._row(trial)
        self._view.note(f"trial {row.number} of {row.category} goes on after a failure: {_reason(trial)}")

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Between two events: take in what the workers have measured."""
        self.take_in()

    def take_in(self, *, wait: bool = False) -> None:
        """Publishes and records the categories that are measured by now."""
        for category, finished in self._line.collect(wait=wait):
            self._conclude(category, finished)

    def conclude_rest(self) -> None:
        """After the run: measures categories that ended early, and waits for all."""
        for row in self.board.running():
            self._cut_short(row)
        for category in self.board.categories:
            self._submit(category)
        while self._line.busy:
            self.take_in(wait=True)

    def _row(self, trial: Trial) -> TrialRow:
        """The trial's row on the board; a new trial gets one, and a run in MLflow."""
        if trial.trial_id not in self.board.rows:
            spec = trial.config["spec"]
            row = TrialRow(trial.trial_id, trial.config["category"], int(trial.config["number"]), dict(spec["config"]))
            self.board.start(row)
            self._trials[trial.trial_id] = trial
            self._tracker.start_trial(trial.trial_id, row.category, params={**row.config, **spec["options"]})
            self._view.update(self.board)
        return self.board.rows[trial.trial_id]

    def _cut_short(self, row: TrialRow) -> None:
        """Ends a trial that was running when the run ended; it counts by what its last checkpoint is worth."""
        saved = self._trials[row.trial_id].latest_checkpoint_result
        row.objective = saved.metrics.get("saved_objective") if saved is not None and saved.metrics else None
        row.reason = CUT_SHORT
        self._ended(row, "stopped_early")

    def _ended(self, row: TrialRow, status: Ended) -> None:
        self.board.end(row, status)
        cost = Cost(seconds=row.seconds, gpu_seconds=row.gpu_seconds)
        # Its ``val_*`` are there already, epoch by epoch.
        reached = {} if row.objective is None else {"objective": row.objective}
        self._tracker.end_trial(row.trial_id, status=status, metrics=reached, cost=cost, reason=row.reason or None)
        if row.failed:
            self._view.note(f"trial {row.number} of {row.category} failed: {row.reason}")
        self._drop_checkpoints(row.category)
        if self.board.ended(row.category) == self._plan.trials:
            self._submit(row.category)
        self._view.update(self.board)

    def _submit(self, category: str) -> None:
        """Starts measuring a category's best trial, once."""
        if category in self._submitted:
            return
        self._submitted.add(category)
        best = self.board.best(category)
        checkpoint = self._trials[best.trial_id].checkpoint if best else None
        if best is None or checkpoint is None:
            failed = [row.reason for row in self.board.of(category) if row.failed]
            why = f"no usable trial: {failed[-1]}" if failed else "no trial was measured"
            self._conclude(category, Finished.failed(why))
            return
        self._line.submit(category, self._trials[best.trial_id].config["spec"], checkpoint)

    def _conclude(self, category: str, finished: Finished) -> None:
        published, why = None, finished.failure
        if why:
            why += self._checkpoint_left(category)
        else:
            finished = self._whole(finished)
            try:
                published = self._publish(category, finished)
            except (RegistryError, OSError) as error:
                why = f"not published: {error}; {self._keep(category, finished)}"
        rows = self.board.of(category)
        outcome = CategoryOutcome(
            category=category,
            best=self.board.best(category) if finished.metrics else None,
            metrics=finished.metrics,
            published=published,
            seconds=sum(row.seconds for row in rows),
            gpu_seconds=sum(row.gpu_seconds for row in rows),
            reason=why,
            undefined=dict(finished.document.get("undefined", {})),
        )
        self.board.outcomes[category] = outcome
        self._record(outcome, finished)
        if why:
            self._view.note(f"{category}: {why}")
        self._view.update(self.board)

    def _whole(self, finished: Finished) -> Finished:
        """With the teacher's weights, which a worker leaves out when the driver has the same."""
        if TEACHER in finished.files:
            return finished
        return dataclasses.replace(finished, files={**finished.files, TEACHER: self._teacher})

    def _keep(self, category: str, finished: Finished) -> str:
        """Keeps a detector that the zoo did not take; says where."""
        folder = self._plan.folder / "unpublished" / category
        try:
            return f"the detector is kept in '{finished.save(folder)}'"
        except KdzooError as error:
            return f"nor could it be kept: {error}"

    def _checkpoint_left(self, category: str) -> str:
        """Where the best trial's weights are when nothing could be made of them: its checkpoint is never deleted."""
        best = self.board.best(category)
        checkpoint = self._trials[best.trial_id].checkpoint if best else None
        return f"; the best trial's checkpoint is kept in '{checkpoint.path}'" if checkpoint else ""

    def _record(self, outcome: CategoryOutcome, finished: Finished) -> None:
        split = finished.document.get("split", {})
        self._tracker.end_category(
            outcome.category,
            status="finished" if outcome.metrics else "failed",
            metrics=outcome.metrics,
            cost=Cost(seconds=outcome.seconds, gpu_seconds=outcome.gpu_seconds),
            params=outcome.best.config if outcome.best else None,
            tags={"split_digest": split.get("digest"), "reason": outcome.reason or None},
            release=outcome.published.release if outcome.published else None,
            picture=finished.files.get(PICTURE),
        )

    def _drop_checkpoints(self, category: str) -> None:
        """Deletes the checkpoints of ended trials that are not the category's best: a night's sweep fits the disk."""
        best = self.board.best(category)
        for row in self.board.of(category):
            checkpoint = self._trials[row.trial_id].checkpoint
            if not row.ended or row is best or checkpoint is None or row.trial_id in self._dropped:
                continue
            self._dropped.add(row.trial_id)
            try:
                checkpoint.filesystem.delete_dir(checkpoint.path)
            except OSError as error:
                log.warning("cannot delete checkpoint %s: %s", checkpoint.path, error)


def _reason(trial: Trial) -> str:
    """Why a trial's worker failed, from the file that Ray has just written on this machine.

    Ray's own `get_pickled_error` looks in the sweep's folder, where the file arrives later.
    """
    file = trial.pickled_error_file
    if file is None or not Path(file).exists():
        return reason(None)
    with Path(file).open("rb") as opened:
        return reason(cloudpickle.load(opened))
