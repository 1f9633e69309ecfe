"""What happens around a trial's life in the driver: the board, the tracker, the end of each study."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial

from kdzoo.search.record.board import Ended, SweepBoard, TrialRow
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.conclusion import CategoryConclusions
from kdzoo.search.run.disk import check_not_full
from kdzoo.search.run.final_round import FinalRound
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.study.finals import PUBLISHED, FinalTrial
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import Checkpoints, trial_name
from kdzoo.search.workers.measuring import is_measuring
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.reasons import reason
from kdzoo.search.workers.trial_error import trial_error
from kdzoo.tracking import Cost, SweepTracker

CUT_SHORT = "the sweep ended before the trial did"


class SweepMonitor(Callback):
    """Keeps the board true, tells the tracker and the studies, and has a category concluded when its trials are over.

    A trial's end goes to MLflow's journal first and to its study then: what the studies call ended is ended everywhere,
    whenever the driver dies.

    Args:
        plan: the sweep.
        board: its state.
        tracker: MLflow's, which never blocks.
        studies: told how trials end.
        checkpoints: of the trials.
        conclusions: measures and publishes categories.
        view: who watches.
        watch: ends the run where trials wait for a node that does not come; None waits without end.
        measurements: told what workers measured between trials.
        check: called between events; raises what was found to be wrong since the sweep began.
        finals: the final round of each category; None where there is none.
        state: bytes that one checkpoint may take.
    """

    def __init__(
        self,
        plan: SweepPlan,
        board: SweepBoard,
        *,
        tracker: SweepTracker,
        studies: CategoryStudies,
        checkpoints: Checkpoints,
        conclusions: CategoryConclusions,
        view: SweepView,
        watch: NodeWatch | None = None,
        measurements: Measurements | None = None,
        check: Callable[[], None] | None = None,
        finals: FinalRound | None = None,
        state: int = 0,
    ) -> None:
        self._plan, self.board, self._view, self._watch, self._state = plan, board, view, watch, state
        self._tracker, self._studies, self._measurements = tracker, studies, measurements
        self._checkpoints, self._conclusions = checkpoints, conclusions
        self._failures: list[str] = []
        self._warned: set[tuple[str, str]] = set()
        self._check, self._finals = check, finals

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes its callbacks into the run's folder; all of this one belongs to the living driver."""
        return {}

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts, or starts again after a lost worker."""
        if not is_measuring(trial):
            self._row(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """An epoch ended."""
        if is_measuring(trial):
            return
        row = self._row(trial)
        if result.get("failure"):
            row.reason = str(result["failure"])
            self._held(row, float(result.get("held_seconds", 0.0)))
        else:
            row.epoch, row.total_epochs = int(result["epoch"]), int(result["total_epochs"])
            row.seconds = float(result["train_seconds"]) + float(result["measure_seconds"])
            row.timed_on = str(result.get("timed_on") or row.timed_on)
            self._held(row, float(result.get("held_seconds", row.seconds)) if result["on_gpu"] else 0.0)
            if "objective" in result:
                row.reached(int(result.get("selection_epoch", 0)), float(result["objective"]))
            row.precision = str(result.get("precision", row.precision))
            row.tie = float(result.get("tie", row.tie))
            row.best_epoch = int(result.get("best_epoch", row.best_epoch))
            row.metrics = dict(result.get("metrics", row.metrics))
            row.also = dict(result.get("also", row.also))
            row.reused_seconds = float(result.get("reused_seconds", row.reused_seconds))
            self._note_parts(row, int(result.get("parts", row.parts)))
            told = {**result["losses"], **result.get("found", {}), **result.get("metrics", {})}
            self._tracker.log_epoch(row.trial_id, row.epoch, told)
            self._note_warnings(row, result.get("warnings", ()))
        self._view.update(self.board)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: tune.Checkpoint, **info: Any
    ) -> None:
        """A trial has a newer checkpoint."""
        self._checkpoints.replaced(trial, checkpoint)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended by itself or was stopped early; its checkpoint is written by now."""
        if is_measuring(trial):
            if self._measurements is not None and trial.last_result.get("measured"):
                self._measurements.measured(trial.config["category"])
            return
        row = self.board.rows.get(_name(trial))
        if row is None or row.ended:
            return  # one whose study could not be told is run by Ray once more; its first end counts
        if row.reason:
            self._ended(row, "failed")
        else:
            self._ended(row, "finished" if trial.last_result.get("finished") else "stopped_early")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's worker failed for good, perhaps before it ever ran."""
        if is_measuring(trial):
            if self._measurements is not None:
                self._measurements.failed(trial.config["category"], reason(trial_error(trial)))
            return
        row = self._row(trial)
        if row.ended:
            return  # it ended well, and only its study could not be told: the next question to it ends the run
        row.reason = reason(trial_error(trial))
        self._ended(row, "failed")

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial's worker failed, and another one goes on from the trial's last checkpoint."""
        why = reason(trial_error(trial))
        if is_measuring(trial):
            what = f"the measuring of {trial.config['category']}"
        else:
            row = self._row(trial)
            row.lost_seconds = row.gpu_seconds / self._plan.gpus_per_trial if self._plan.gpus_per_trial else 0.0
            what = f"trial {row.number} of {row.category}"
        self._view.note(f"{what} goes on after a failure: {why}")
        self._failures.append(why)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Between two events: take in what the workers have measured.

        Raises:
            SweepError: what waits can run nowhere, or a trial failed for want of room on the sweep's disk.
            KdzooError: something is wrong with the data.
        """
        self.take_in()
        if self._check is not None:
            self._check()
        # Here, since Ray makes a text of an error that comes while it looks after a trial.
        while self._failures:
            check_not_full(self._plan.folder, state=self._state, why=self._failures.pop())
        if self._watch is not None:
            self._watch.see_trials(trials)

    def take_in(self) -> None:
        """Has published what is measured by now, and records what is published by now."""
        self._conclusions.take_in()

    def conclude_complete(self) -> None:
        """Before the run: concludes categories whose trials were over when the earlier driver died."""
        for category in self.board.categories:
            if self._is_over(category):
                self._conclusions.submit(category)

    def conclude_rest(self) -> None:
        """After the run: measures categories that ended early, and waits for all."""
        for row in self.board.running():
            self._cut_short(row)
        for category in self.board.categories:
            self._conclusions.submit(category)
        while self._conclusions.busy:
            self._conclusions.take_in(wait=True)

    def _row(self, trial: Trial) -> TrialRow:
        """The trial's row on the board; a new trial gets one, and a run in MLflow."""
        name = _name(trial)
        if name not in self.board.rows:
            spec = trial.config["spec"]
            row = TrialRow(name, trial.config["category"], int(trial.config["number"]), dict(spec["config"]))
            row.final = FinalTrial.from_dict(trial.config["final"]) if "final" in trial.config else None
            self.board.start(row)
            self._checkpoints.started(row, trial)
            self._tracker.start_trial(name, row.category, params={**row.config, **spec["options"]})
            self._view.update(self.board)
        return self.board.rows[name]

    def _held(self, row: TrialRow, seconds: float) -> None:
        """Notes how long a trial has held its present place, those of workers that were lost not counted."""
        row.gpu_seconds = (row.lost_seconds + seconds) * (self._plan.gpus_per_trial or 0.0)

    def _set_aside(self, row: TrialRow) -> bool:
        """Whether a trial was timed on another kind of device than those that its study knows the latency of.

        Its study is then told nothing of its objectives, as of one without a value: a sampler knows no devices.
        """
        others = (one for one in self.board.of(row.category) if one.status == "finished" and one is not row)
        known = next((one.timed_on for one in others if one.timed_on and not one.aside), row.timed_on)
        row.aside = bool(row.timed_on) and known != row.timed_on
        if row.aside:
            self._view.note(
                f"trial {row.number} of {row.category} was timed on {row.timed_on}, others on {known}: "
                "its latency is not compared with theirs"
            )
        return row.aside

    def _note_parts(self, row: TrialRow, parts: int) -> None:
        """Says once of a trial that its batches did not fit the GPU."""
        if parts != row.parts:
            size = row.config["batch_size"]
            self._view.note(
                f"trial {row.number} of {row.category} takes its batches of {size} in {parts} parts: "
                "the GPU's memory ran out for whole ones"
            )
        row.parts = parts

    def _note_warnings(self, row: TrialRow, warnings: Iterable[str]) -> None:
        """Says once of a category what its trials found: those that share a stage find the same."""
        for warning in warnings:
            if (row.category, warning) not in self._warned:
                self._warned.add((row.category, warning))
                self._view.note(f"trial {row.number} of {row.category}: {warning}")

    def _is_over(self, category: str) -> bool:
        """Whether nothing of a category is left to train."""
        if self._finals is not None:
            return self._finals.is_over(category)
        return self.board.done(category) >= self._plan.trials

    def _cut_short(self, row: TrialRow) -> None:
        """Ends a trial that was running when the run ended; it counts by what its last checkpoint is worth.

        Its study is told nothing: a resumed sweep finds it under way there, and goes on with it.
        """
        row.objective, row.tie = self._checkpoints.saved_worth(row.trial_id)
        row.reason = CUT_SHORT
        self._ended(row, "interrupted")

    def _ended(self, row: TrialRow, status: Ended) -> None:
        self.board.end(row, status)
        record_end(self._tracker, row, status)
        if status != "interrupted":
            aside = status == "finished" and self._set_aside(row)
            also = [] if aside else [row.also.get(name, math.nan) for name in self._plan.strategy.also]
            self._studies.tell(
                row.category,
                row.number,
                objective=None if row.failed else row.objective,
                stopped=status == "stopped_early",
                also=also,
                reason=row.reason,
                outcome=row.as_outcome(),
            )
            self._checkpoints.drop_repeated(row)
        if row.failed:
            self._view.note(f"trial {row.number} of {row.category} failed: {row.reason}")
        is_over = self._is_over(row.category)
        keep = self._plan.keep if is_over else self._plan.kept
        drop_checkpoints(self.board, self._checkpoints, row.category, keep=keep)
        if is_over:
            self._conclusions.submit(row.category)
        self._view.update(self.board)


def record_end(tracker: SweepTracker, row: TrialRow, status: Ended) -> None:
    """Tells MLflow how a trial ended; its ``val_*`` are there already, epoch by epoch."""
    reached = {} if row.objective is None else {"objective": row.objective}
    if row.reused_seconds:
        reached["reused_seconds"] = row.reused_seconds
    if row.best_epoch:  # beside the curves by epoch: whose weights are kept
        reached["best_epoch"] = row.best_epoch
    reached |= {f"objective_{name}": value for name, value in row.also.items()}
    tags: dict[str, Any] = {"batch_parts": row.parts} if row.parts > 1 else {}
    if row.precision:
        tags["precision"] = row.precision
    if row.timed_on:
        tags["timed_on"] = row.timed_on
    tracker.end_trial(
        row.trial_id,
        status=status,
        metrics=reached,
        cost=Cost(seconds=row.seconds, gpu_seconds=row.gpu_seconds),
        reason=row.reason or None,
        tags=tags or None,
    )


def drop_checkpoints(board: SweepBoard, checkpoints: Checkpoints, category: str, *, keep: int) -> None:
    """Deletes the checkpoints of ended trials beyond the category's best: a night's sweep fits the disk.

    Interrupted trials keep theirs: a resumed sweep goes on from them. They take no other one's place among the best,
    since they may still fail.
    """
    ended = [row for row in board.ranked(category) if row.status != "interrupted"]
    kept = {row.trial_id for row in [row for row in ended if row.final is None][:keep]}
    if category in board.verdicts and (best := board.best(category)) is not None:
        kept.add(best.trial_id)
    elif board.finals.get(category):
        # Of each configuration in the final round the best trial so far may be the one that is published.
        leading: dict[int, str] = {}
        for row in ended:
            leading.setdefault(row.number if row.final is None else row.final.of, row.trial_id)
        taking_part = {row.final.of for row in board.of(category) if row.final is not None} - {PUBLISHED}
        kept |= {leading[of] for of in taking_part & leading.keys()}
    for row in board.of(category):
        if row.ended and row.status != "interrupted" and row.trial_id not in kept:
            checkpoints.drop(row)


def _name(trial: Trial) -> str:
    return trial_name(trial.config["category"], int(trial.config["number"]))
