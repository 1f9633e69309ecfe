"""The end of a study: its best trial measured on the report part, on a worker, and handed back to be published."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from safetensors.torch import save

from kdzoo.errors import KdzooError
from kdzoo.search.trainable import STATE_FILE, WorkerContext, Workbench
from kdzoo.training.checkpoint import load_state
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import TrialSpec
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker hands back.

    Attributes:
        document: of the detector; empty when it failed.
        metrics: ``val_*`` and ``test_*``.
        files: role to bytes, ready to publish.
        failure: why there is none.
    """

    document: dict[str, Any]
    metrics: dict[str, float]
    files: dict[str, bytes]
    failure: str = ""


def finish_trial(context: WorkerContext, spec: dict[str, Any], checkpoint: tune.Checkpoint) -> Finished:
    """Rebuilds a trial from its checkpoint and concludes it: the only reading of the report part."""
    try:
        trainer = Workbench(context).trainer(TrialSpec.from_dict(spec))
        with checkpoint.as_directory() as folder:
            trainer.load_state(load_state(Path(folder) / STATE_FILE))
        outcome = conclude(trainer)
    except KdzooError as error:
        return Finished(document={}, metrics={}, files={}, failure=str(error))
    tensors = {key: value.detach().cpu().contiguous() for key, value in outcome.method.learned_state().items()}
    files = {WEIGHTS: save(tensors), TEACHER: outcome.method.teacher.weights(), PICTURE: outcome.picture}
    return Finished(document=outcome.document, metrics=outcome.metrics, files=files)


class FinishingLine:
    """Runs `finish_trial` as Ray tasks, one a category, while other categories still train.

    Args:
        context: for the workers.
        cpus: cores a task holds.
        gpus: GPUs a task holds.
    """

    def __init__(self, context: WorkerContext, *, cpus: float, gpus: float) -> None:
        self._task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=2)(finish_trial)
        self._context = ray.put(context)
        self._running: dict[Any, str] = {}

    def submit(self, category: str, spec: dict[str, Any], checkpoint: tune.Checkpoint) -> None:
        """Starts measuring a category's best trial."""
        self._running[self._task.remote(self._context, spec, checkpoint)] = category

    def collect(self, *, wait: bool = False) -> list[tuple[str, Finished]]:
        """What is done by now.

        Args:
            wait: until one more is done, if any runs.
        """
        if not self._running:
            return []
        timeout = None if wait else 0
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
        collected = []
        for reference in ready:
            category = self._running.pop(reference)
            try:
                collected.append((category, ray.get(reference)))
            except ray.exceptions.RayError as error:
                reason = f"the worker that measured it failed: {str(error).splitlines()[0]}"
                collected.append((category, Finished(document={}, metrics={}, files={}, failure=reason)))
        return collected

    @property
    def busy(self) -> bool:
        """Whether any category is being measured."""
        return bool(self._running)
