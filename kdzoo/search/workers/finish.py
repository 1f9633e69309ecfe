"""The end of a study: its best trial measured on the report part, on a worker, and handed back to be published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
import torch
from ray import tune

from kdzoo.detector_files import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE
from kdzoo.errors import CheckpointError, KdzooError, SweepError, WorkerError
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.places import Places, others
from kdzoo.search.workers.reasons import reason
from kdzoo.search.workers.trainable import OF_THE_PLACE, STATE_FILE, Workbench, WorkerContext, misplaced
from kdzoo.storage import write_file
from kdzoo.training.checkpoint import load_state, tensor_bytes
from kdzoo.training.document import document_bytes
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import TrialSpec
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS

_WAIT_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker hands back.

    Attributes:
        document: of the detector; empty when it failed.
        metrics: ``val_*`` and ``test_*``.
        files: role to bytes; without the teacher's when they are the driver's.
        failure: why there is none.
        unreported: why there are no ``test_*`` metrics, where there should be.
    """

    document: dict[str, Any]
    metrics: dict[str, float]
    files: dict[str, bytes]
    failure: str = ""
    unreported: str = ""

    @classmethod
    def failed(cls, reason: str) -> Finished:
        """Nothing, and why."""
        return cls(document={}, metrics={}, files={}, failure=reason)

    def save(self, folder: Path) -> Path:
        """Writes the detector as `kdzoo.detector.Detector.save` does, for `Detector.open`.

        Raises:
            StorageError: the folder cannot be written.
        """
        write_file(folder / WEIGHTS_FILE, self.files[WEIGHTS])
        write_file(folder / TEACHER_FILE, self.files[TEACHER])
        write_file(folder / DOCUMENT_FILE, document_bytes(self.document))
        return folder


def finish_trial(context: WorkerContext, spec: dict[str, Any], checkpoint: tune.Checkpoint) -> Finished:
    """Rebuilds a trial from its checkpoint and concludes it: the only reading of the report part.

    Raises:
        WorkerError: this machine cannot do it, but another one may.
    """
    try:
        trainer = Workbench(context).trainer(TrialSpec.from_dict(spec))
        with checkpoint.as_directory() as folder:
            trainer.load_state(load_state(Path(folder) / STATE_FILE))
        outcome = conclude(trainer)
        tensors = outcome.method.learned_state()
        odd = next((key for key, value in tensors.items() if not torch.isfinite(value).all()), None)
        if odd is not None:
            raise CheckpointError(f"'{odd}' holds NaN or infinite values, so the detector is not published")
    except WorkerError:
        raise
    except (torch.OutOfMemoryError, *OF_THE_PLACE) as error:
        raise misplaced(error) from error
    except KdzooError as error:
        return Finished.failed(str(error))
    files = {WEIGHTS: tensor_bytes(tensors), PICTURE: outcome.picture}
    if outcome.document["teacher"]["sha256"] != context.teacher.sha256:
        files[TEACHER] = outcome.method.teacher.weights()
    unreported = str(outcome.trouble) if outcome.trouble is not None else ""
    return Finished(document=outcome.document, metrics=outcome.metrics, files=files, unreported=unreported)


class FinishingLine:
    """Runs `finish_trial` as Ray tasks, one a category, while other categories still train.

    Args:
        context: for the workers.
        cpus: cores a task holds.
        gpus: GPUs a task holds.
        places: where a task may run.
        watch: ends the wait for a node that does not come.
    """

    def __init__(self, context: WorkerContext, *, cpus: float, gpus: float, places: Places, watch: NodeWatch) -> None:
        self._places, self._watch, self._needs = places, watch, {"CPU": cpus, "GPU": gpus}
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 2, "retry_exceptions": [WorkerError]}
        self._task = ray.remote(**options)(finish_trial)
        self._context = ray.put(context)
        self._running: dict[Any, tuple[str, frozenset[str]]] = {}

    def submit(self, category: str, spec: dict[str, Any], checkpoint: tune.Checkpoint) -> None:
        """Starts measuring a category's best trial."""
        kept_from = self._places.kept_from_tasks(self._needs)
        task = self._task.options(label_selector=others(kept_from) if kept_from else {})
        self._running[task.remote(self._context, spec, checkpoint)] = (category, kept_from)

    def collect(self, *, wait: bool = False) -> list[tuple[str, Finished]]:
        """What is done by now.

        Args:
            wait: some seconds for one more, if any runs. Where no node is left that could take any, all fail.
        """
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=_WAIT_SECONDS if wait else 0)
        if wait and not ready:
            try:
                self._watch.see_tasks(self._needs, [kept_from for _, kept_from in self._running.values()])
            except SweepError as error:
                return self._give_up(str(error))
        collected = []
        for reference in ready:
            category, _ = self._running.pop(reference)
            try:
                collected.append((category, ray.get(reference)))
            except ray.exceptions.RayError as error:
                collected.append((category, Finished.failed(f"it could not be measured: {reason(error)}")))
        return collected

    def _give_up(self, why: str) -> list[tuple[str, Finished]]:
        categories = [category for category, _ in self._running.values()]
        for reference in self._running:
            ray.cancel(reference)
        self._running.clear()
        text = f"it could not be measured, a resumed sweep tries again: {why}"
        return [(category, Finished.failed(text)) for category in categories]

    @property
    def busy(self) -> bool:
        """Whether any category is being measured."""
        return bool(self._running)
