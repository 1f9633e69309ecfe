"""A trial on a worker: one step is one epoch. The actor is reused, and keeps teacher and data between trials."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from kdzoo.errors import CheckpointError, KdzooError, WorkerError
from kdzoo.search.study.strategy import COSTS
from kdzoo.search.workers.measuring import Measuring, measure
from kdzoo.search.workers.workbench import (
    OF_THE_PLACE,
    STATE_FILE,
    Workbench,
    WorkerContext,
    misplaced,
    this_node,
)
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.footprint import LATENCY, timed_on
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

log = logging.getLogger(__name__)

_SPREAD = 8
_CHEAP = 0.01
"""Of the time that a trial has held its place, so much may go into saving what is better than before."""


class TrialTrainable(tune.Trainable):
    """Ray Tune's view of a `Trainer`.

    A `KdzooError` ends the trial with its reason instead of raising: trying again would give the same. Everything
    else, such as a lost worker or a `WorkerError`, is Ray's to retry from the last checkpoint, elsewhere if it can:
    a broken node would otherwise end trial after trial.

    Between trials it measures categories whose trials are over: it is warm, and an actor of its own would not be.
    """

    _bench: Workbench
    _measuring: Measuring | None = None
    _trainer: Trainer | None = None
    _goes_on: bool
    _save_at: float
    _saves: int
    _saving: float
    _last_save: float
    _failure: str
    _misplaced: WorkerError | None

    def setup(self, config: dict[str, Any], context: WorkerContext | None = None) -> None:
        """Called once an actor; ``context`` comes through ``tune.with_parameters``."""
        if context is None:
            raise TypeError("a trial needs its worker context")
        self._bench = Workbench(context)
        # What the process has worked so far, nearly all of it imports: its first trial waits for them with its GPU.
        self._start(config, loading=time.process_time())

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the actor over for another trial."""
        self._start(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains one epoch.

        Raises:
            WorkerError: this machine cannot do it.
        """
        if self._misplaced is not None:
            raise self._misplaced
        if self._measuring is not None:
            measure(self._bench, self._measuring)
            return {"measured": True, "node": this_node(), "done": True}
        if self._trainer is None:
            return self._failed()
        if self._trainer.finished:
            return self._was_finished(self._trainer)
        try:
            result = self._trainer.step()
        except OF_THE_PLACE as error:
            raise misplaced(error) from error
        except KdzooError as error:
            self._failure = _told(error)
            return self._failed()
        finished = self._trainer.finished
        report: dict[str, Any] = {
            "epoch": result.epoch,
            "total_epochs": self._trainer.total_epochs,
            "stage": result.stage,
            "selection_epoch": result.selection_epoch,
            "train_seconds": self._trainer.train_seconds,
            "measure_seconds": self._trainer.measure_seconds,
            "on_gpu": self._trainer.device.type == "cuda",
            "held_seconds": self._held(),
            "timed_on": self._timed_on(self._trainer),
            "node": this_node(),
            "parts": self._trainer.parts,
            "precision": ", ".join(self._trainer.precisions),
            "reused_seconds": self._trainer.reused_seconds,
            "losses": result.losses,
            "found": dict(result.found.metrics),
            "warnings": list(result.found.warnings),
            "finished": finished,
            "done": finished,
            "also": self._also(self._trainer),
        }
        if self._trainer.best.weights:
            # What a checkpoint made now is worth, whether or not this epoch was measured.
            report["saved_objective"] = self._trainer.best.objective
            report["tie"] = self._trainer.best.tie
            report["best_epoch"] = self._trainer.best.epoch
        # Only a checkpoint that is asked for here is gone on from: Ray makes one of its own when a trial is over.
        self._goes_on = not finished and self._is_to_be_saved(self._trainer)
        report[SHOULD_CHECKPOINT] = self._goes_on
        if result.report is not None:
            report |= {"objective": self._trainer.best.objective, "metrics": result.report.as_dict("val_")}
        return report

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """What Ray calls for a checkpoint: written here, and copied to the sweep's folder. Both take time."""
        began = time.monotonic()
        made = super().save(checkpoint_dir)
        self._last_save = time.monotonic() - began
        self._saves, self._saving = self._saves + 1, self._saving + self._last_save
        return made

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the resume state; of a trial that is over, stopped early or not, the best weights alone."""
        if self._trainer is not None:
            save_state(Path(checkpoint_dir) / STATE_FILE, self._trainer.state(over=not self._goes_on))
        self._goes_on = False

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Goes on from a resume state."""
        path = Path(str(checkpoint)) / STATE_FILE
        if self._trainer is not None and path.exists():
            self._trainer.load_state(load_state(path))

    def _start(self, config: dict[str, Any], *, loading: float = 0.0) -> None:
        self._since, self._before = time.monotonic() - loading, 0.0
        if self._trainer is not None:
            self._trainer.close()  # it may have been stopped early
        self._trainer, self._failure, self._misplaced = None, "", None
        # Trials that begin together are not to write together.
        early = self._bench.checkpoint_seconds * (int(config.get("number", 0)) % _SPREAD) / (2 * _SPREAD)
        self._goes_on, self._save_at = False, time.monotonic() + self._bench.checkpoint_seconds - early
        self._saves, self._saving, self._last_save = 0, 0.0, 0.0
        self._measuring = Measuring(**config["measuring"]) if "measuring" in config else None
        # A disk or a server that is away may be back soon; tries that follow each other at once would all meet it.
        time.sleep(config.get("pause", 0.0))
        if self._measuring is not None:
            return  # all of it in the first step: Ray gives up at once on what fails while its actor is taken over
        self._wanted: tuple[str, ...] = tuple(config.get("also", ()))
        try:
            self._trainer = self._going_on(TrialSpec.from_dict(config["spec"]), config.get("states", ()))
            # Of a trial that goes on from an earlier driver's checkpoint what it trained there is known, and no more.
            self._before = self._trainer.train_seconds + self._trainer.measure_seconds
        except WorkerError as error:
            # Raised by the first step: Ray gives up at once on a trial that fails while its actor is taken over.
            self._misplaced = error
        except KdzooError as error:
            self._failure = _told(error)

    def _going_on(self, spec: TrialSpec, states: Sequence[str]) -> Trainer:
        """A trainer that goes on from the first of some resume states that is whole, else one at its first epoch."""
        for state in states:
            trainer = self._bench.trainer(spec)
            try:
                trainer.load_state(load_state(Path(state)))
            except CheckpointError as error:
                # The driver may have died while it was written; the one before is as good, only older.
                log.warning("a trial does not go on from its checkpoint: %s", error)
                continue
            return trainer
        return self._bench.trainer(spec)

    def _was_finished(self, trainer: Trainer) -> dict[str, Any]:
        """The report of a trial whose last epoch was saved before its driver died: nothing is left to train."""
        return {
            "epoch": trainer.epoch,
            "total_epochs": trainer.total_epochs,
            "stage": trainer.stages[-1].name,
            "selection_epoch": sum(stage.epochs for stage in trainer.stages if stage.detects),
            "train_seconds": trainer.train_seconds,
            "measure_seconds": trainer.measure_seconds,
            "on_gpu": trainer.device.type == "cuda",
            "held_seconds": self._held(),
            "timed_on": self._timed_on(trainer),
            "parts": trainer.parts,
            "precision": ", ".join(trainer.precisions),
            "reused_seconds": trainer.reused_seconds,
            "losses": {},
            "finished": True,
            "done": True,
            "also": self._also(trainer),
            "objective": trainer.best.objective,
            "saved_objective": trainer.best.objective,
            "tie": trainer.best.tie,
            "best_epoch": trainer.best.epoch,
        }

    def _is_to_be_saved(self, trainer: Trainer) -> bool:
        """By the clock; and where an epoch is the best so far, since a trial that is cut off counts by what was saved.

        The first such epoch always is, later ones while saving is cheap.
        """
        if time.monotonic() >= self._save_at:
            self._save_at = time.monotonic() + self._bench.checkpoint_seconds
            return True
        if not trainer.best.weights or trainer.best.epoch != trainer.epoch:
            return False
        return not self._saves or self._saving + self._last_save <= _CHEAP * self._held()

    def _held(self) -> float:
        """Seconds that the trial has held its place: start-up, hand-over and waiting included."""
        return self._before + time.monotonic() - self._since

    def _timed_on(self, trainer: Trainer) -> str:
        """What the latency of a finished trial was measured on; empty where none was."""
        return timed_on(trainer.device) if trainer.finished and LATENCY in self._wanted else ""

    def _also(self, trainer: Trainer) -> dict[str, float]:
        """The sweep's further objectives of a finished trial: metrics at its best epoch, and what it costs to use."""
        if not self._wanted or not trainer.finished:
            return {}
        costs = trainer.footprint() if any(name in COSTS for name in self._wanted) else {}
        known = trainer.best.metrics | costs
        return {name: known[name] for name in self._wanted if name in known}

    def _failed(self) -> dict[str, Any]:
        return {"failure": self._failure, "finished": False, "done": True, "held_seconds": self._held()}


def _told(error: KdzooError) -> str:
    """What is wrong with a trial, and what to do about it."""
    return f"{error} ({error.hint})" if error.hint else str(error)
