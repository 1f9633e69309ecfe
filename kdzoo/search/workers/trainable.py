"""A trial on a worker: one step is one epoch. The actor is reused, and keeps teacher and data between trials."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray import tune

from kdzoo.data.catalog import Dataset
from kdzoo.data.download.place import Place
from kdzoo.detector import choose_device
from kdzoo.errors import CheckpointError, KdzooError, TeacherError, UsageError, WorkerError
from kdzoo.search.study.strategy import COSTS
from kdzoo.search.workers.node_data import bring
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.stage_results import StageResults
from kdzoo.training.trainer import Trainer

log = logging.getLogger(__name__)

STATE_FILE = "state.pt"
OF_THE_PLACE = (OSError, TeacherError)
"""What is wrong with a machine rather than with a trial; missing data sets and full disks are kinds of `OSError`."""


def misplaced(error: Exception) -> WorkerError:
    """The error of a machine, with the machine's name."""
    made = WorkerError(f"on node '{socket.gethostname()}': {error}", hint=getattr(error, "hint", None))
    made.node = this_node()
    return made


def this_node() -> str | None:
    """Ray's id of this machine; None outside of Ray."""
    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else None


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a worker needs besides the trial.

    Attributes:
        dataset: where the images are on every node.
        cache: folder of the decoded cache on every node.
        threads: CPU threads a trial may use.
        device: where to train: ``"cpu"``, or ``"cuda"`` for the GPU that Ray gave the worker.
        teacher: the driver's, the same for all trials.
        stages: results of first stages that trials share; None shares nothing.
        fetch: where a node without the data set fetches it from; None when nobody allowed that.
    """

    dataset: Dataset
    cache: Path
    threads: int
    device: str
    teacher: SentTeacher
    stages: StageResults | None = None
    fetch: Place | None = None


class Workbench:
    """Builds trainers, and keeps what the next trial is likely to need again."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._teacher: Teacher | None = None
        self._data: tuple[tuple[Any, ...], TrialData] | None = None
        torch.set_num_threads(context.threads)

    def trainer(self, spec: TrialSpec) -> Trainer:
        """A trainer at its first epoch.

        Raises:
            WorkerError: this machine lacks the device, the teacher or the data set, or cannot read or write its disk.
            KdzooError: the trial itself cannot be.
        """
        try:
            device = choose_device(self._context.device)
        except UsageError as error:
            raise misplaced(error) from error
        try:
            data, teacher = self._data_of(spec), self._teacher_here()
            return Trainer(spec, data, teacher, device, shared=self._context.stages)
        except OF_THE_PLACE as error:
            raise misplaced(error) from error

    def _teacher_here(self) -> Teacher:
        if self._teacher is None:
            self._teacher = self._context.teacher.build()
        return self._teacher

    def _data_of(self, spec: TrialSpec) -> TrialData:
        key = (spec.category, spec.options)
        if self._data is None or self._data[0] != key:
            bring(self._context.dataset, self._context.fetch)
            data = TrialData(self._context.dataset, spec.category, spec.options, cache=self._context.cache)
            self._data = (key, data)
        return self._data[1]


class TrialTrainable(tune.Trainable):
    """Ray Tune's view of a `Trainer`.

    A `KdzooError` ends the trial with its reason instead of raising: trying again would give the same. Everything
    else, such as a lost worker or a `WorkerError`, is Ray's to retry from the last checkpoint, elsewhere if it can:
    a broken node would otherwise end trial after trial.
    """

    _bench: Workbench
    _trainer: Trainer | None = None
    _failure: str
    _misplaced: WorkerError | None

    def setup(self, config: dict[str, Any], context: WorkerContext | None = None) -> None:
        """Called once an actor; ``context`` comes through ``tune.with_parameters``."""
        if context is None:
            raise TypeError("a trial needs its worker context")
        self._bench = Workbench(context)
        self._start(config)

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
            "node": this_node(),
            "parts": self._trainer.parts,
            "precision": ", ".join(self._trainer.precisions),
            "reused_seconds": self._trainer.reused_seconds,
            "losses": result.losses,
            "finished": finished,
            "done": finished,
            "also": self._also(self._trainer),
        }
        if self._trainer.best.weights:
            # What a checkpoint made now is worth, whether or not this epoch was measured.
            report["saved_objective"] = self._trainer.best.objective
            report["tie"] = self._trainer.best.tie
        if result.report is not None:
            report |= {"objective": self._trainer.best.objective, "metrics": result.report.as_dict("val_")}
        return report

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Writes the resume state; of a finished trial the best weights alone."""
        if self._trainer is not None:
            save_state(Path(checkpoint_dir) / STATE_FILE, self._trainer.state())

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Goes on from a resume state."""
        path = Path(str(checkpoint)) / STATE_FILE
        if self._trainer is not None and path.exists():
            self._trainer.load_state(load_state(path))

    def _start(self, config: dict[str, Any]) -> None:
        if self._trainer is not None:
            self._trainer.close()  # it may have been stopped early
        self._trainer, self._failure, self._misplaced = None, "", None
        # A disk or a server that is away may be back soon; tries that follow each other at once would all meet it.
        time.sleep(config.get("pause", 0.0))
        self._wanted: tuple[str, ...] = tuple(config.get("also", ()))
        try:
            self._trainer = self._going_on(TrialSpec.from_dict(config["spec"]), config.get("states", ()))
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
        }

    def _also(self, trainer: Trainer) -> dict[str, float]:
        """The sweep's further objectives of a finished trial: metrics at its best epoch, and what it costs to use."""
        if not self._wanted or not trainer.finished:
            return {}
        costs = trainer.footprint() if any(name in COSTS for name in self._wanted) else {}
        known = trainer.best.metrics | costs
        return {name: known[name] for name in self._wanted if name in known}

    def _failed(self) -> dict[str, Any]:
        return {"failure": self._failure, "finished": False, "done": True}


def _told(error: KdzooError) -> str:
    """What is wrong with a trial, and what to do about it."""
    return f"{error} ({error.hint})" if error.hint else str(error)
