"""What a worker keeps between trials, teacher and data, and whose fault it is when it cannot build a trial."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from kdzoo.data.catalog import Dataset
from kdzoo.data.download.place import Place
from kdzoo.detector import choose_device
from kdzoo.errors import TeacherError, UsageError, WorkerError
from kdzoo.search.workers.node_data import bring
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.stage_results import StageResults
from kdzoo.training.trainer import Trainer

STATE_FILE = "state.pt"
OF_THE_PLACE = (OSError, TeacherError)
"""What is wrong with a machine rather than with a trial; missing data sets and full disks are kinds of `OSError`."""


def state_in(checkpoint: str) -> str:
    """The resume state in a checkpoint's folder, which is in the sweep's."""
    return str(Path(checkpoint) / STATE_FILE)


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
        checkpoint_seconds: between two resume states of a trial.
    """

    dataset: Dataset
    cache: Path
    threads: int
    device: str
    teacher: SentTeacher
    stages: StageResults | None = None
    fetch: Place | None = None
    checkpoint_seconds: float = 600.0


class Workbench:
    """Builds trainers, and keeps what the next trial is likely to need again."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._teacher: Teacher | None = None
        self._data: tuple[tuple[Any, ...], TrialData] | None = None
        torch.set_num_threads(context.threads)

    @property
    def teacher_sha256(self) -> str:
        """Digest of the driver's teacher, which need not be sent back."""
        return self._context.teacher.sha256

    @property
    def checkpoint_seconds(self) -> float:
        """Between two resume states of a trial."""
        return self._context.checkpoint_seconds

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
