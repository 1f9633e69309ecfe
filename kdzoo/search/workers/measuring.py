"""The end of a study: its best trial measured on the report part by a worker, and left to be published."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from ray.tune.experiment import Trial

from kdzoo.errors import CheckpointError, KdzooError, WorkerError
from kdzoo.search.workers.finished import Finished
from kdzoo.search.workers.workbench import OF_THE_PLACE, Workbench, misplaced
from kdzoo.training.baseline import baseline_beside
from kdzoo.training.checkpoint import load_state, tensor_bytes
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import TrialSpec
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS


@dataclass(frozen=True, kw_only=True)
class Measuring:
    """What is to be measured.

    Attributes:
        category: whose best trial.
        spec: of the trial, as `TrialSpec.as_dict` gives it.
        state: its last resume state, which holds the best weights.
        folder: where the detector and its numbers are to be left.
    """

    category: str
    spec: dict[str, Any]
    state: str
    folder: str

    def as_config(self) -> dict[str, Any]:
        """As a worker is told of it in a trial's place."""
        return {"category": self.category, "number": -1, "measuring": asdict(self)}


def is_measuring(trial: Trial) -> bool:
    """Whether what Ray takes for a trial measures a category."""
    return "measuring" in trial.config


def measure(bench: Workbench, asked: Measuring) -> None:
    """Rebuilds a trial from its checkpoint and concludes it: the only reading of the report part.

    Raises:
        WorkerError: this machine cannot do it, but another one may.
    """
    try:
        finished = _finished(bench, asked)
        finished.leave(Path(asked.folder))
    except WorkerError:
        raise
    except (torch.OutOfMemoryError, *OF_THE_PLACE) as error:
        raise misplaced(error) from error


def _finished(bench: Workbench, asked: Measuring) -> Finished:
    try:
        trainer = bench.trainer(TrialSpec.from_dict(asked.spec))
        trainer.load_result(load_state(Path(asked.state)))
        outcome = conclude(trainer)
        beside = baseline_beside(trainer)
        tensors = outcome.method.learned_state()
        odd = next((key for key, value in tensors.items() if not torch.isfinite(value).all()), None)
        if odd is not None:
            raise CheckpointError(f"'{odd}' holds NaN or infinite values, so the detector is not published")
    except (WorkerError, *OF_THE_PLACE):
        raise
    except KdzooError as error:
        return Finished.failed(str(error))
    files = {WEIGHTS: tensor_bytes(tensors), PICTURE: outcome.picture}
    if outcome.document["teacher"]["sha256"] != bench.teacher_sha256:
        files[TEACHER] = outcome.method.teacher.weights()
    unreported = str(outcome.trouble) if outcome.trouble is not None else ""
    document = {**outcome.document, "baseline": beside} if beside else outcome.document
    return Finished(document=document, metrics=outcome.metrics, files=files, unreported=unreported)
