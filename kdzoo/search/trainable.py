"""A trial on a worker: one step is one epoch. The actor is reused, and keeps teacher and data between trials."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune

from kdzoo.data.catalog import Dataset
from kdzoo.detector import choose_device
from kdzoo.errors import KdzooError
from kdzoo.teachers.backbone import Teacher, load_teacher
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

STATE_FILE = "state.pt"


@dataclass(frozen=True, kw_only=True)
class WorkerContext:
    """What a worker needs besides the trial.

    Attributes:
        dataset: where the images are on every node.
        cache: folder of the decoded cache on every node.
        offline: never reach for the network.
        threads: CPU threads a trial may use.
        device: where to train; None for a GPU if the worker sees one.
        teacher_sha256: digest of the teacher's weights that the driver has.
    """

    dataset: Dataset
    cache: Path
    offline: bool
    threads: int
    device: str | None
    teacher_sha256: str


class Workbench:
    """Builds trainers, and keeps what the next trial is likely to need again."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._teacher: tuple[str, Teacher] | None = None
        self._data: tuple[tuple[Any, ...], TrialData] | None = None
        torch.set_num_threads(context.threads)

    def trainer(self, spec: TrialSpec) -> Trainer:
        """A trainer at its first epoch."""
        return Trainer(spec, self._data_of(spec), self._teacher_of(spec), choose_device(self._context.device))

    def _teacher_of(self, spec: TrialSpec) -> Teacher:
        name = spec.options.teacher
        if self._teacher is None or self._teacher[0] != name:
            self._teacher = (name, load_teacher(name, offline=self._context.offline))
        return self._teacher[1]

    def _data_of(self, spec: TrialSpec) -> TrialData:
        key = (spec.category, spec.options)
        if self._data is None or self._data[0] != key:
            data = TrialData(self._context.dataset, spec.category, spec.options, cache=self._context.cache)
            self._data = (key, data)
        return self._data[1]


class TrialTrainable(tune.Trainable):
    """Ray Tune's view of a `Trainer`.

    A `KdzooError` ends the trial with its reason instead of raising: trying again would give the same. Everything
    else, such as a lost worker, is Ray's to retry from the last checkpoint.
    """

    _bench: Workbench
    _trainer: Trainer | None
    _failure: str

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
        """Trains one epoch."""
        if self._trainer is None:
            return self._failed()
        try:
            result = self._trainer.step()
        except KdzooError as error:
            self._failure = str(error)
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
            "losses": result.losses,
            "finished": finished,
            "done": finished,
        }
        if self._trainer.best.weights:
            # What a checkpoint made now is worth, whether or not this epoch was measured.
            report["saved_objective"] = self._trainer.best.objective
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
        self._trainer, self._failure = None, ""
        try:
            self._trainer = self._bench.trainer(TrialSpec.from_dict(config["spec"]))
        except KdzooError as error:
            self._failure = str(error)

    def _failed(self) -> dict[str, Any]:
        return {"failure": self._failure, "finished": False, "done": True}
