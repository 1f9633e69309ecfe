"""What a method that learns is to be compared with: nearest neighbours of the same teacher's features, same images.

They take no choice and little time: one configuration, one pass over the train images, and for each image that is
measured r rows of C channels for each of its positions (`lite0` at 128 pixels: 30 ms; `wide_resnet50_2` at 256: half a
second of one core). A category whose best trial they beat is told of.
"""

from __future__ import annotations

import time
from typing import Any, Final

from kdzoo.methods.registry import find_method
from kdzoo.training.evaluation import measure
from kdzoo.training.images import ImageSource
from kdzoo.training.scoring import score_set
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

BASELINE: Final = "nearest"
_OF_TRAINING_ALONE: Final[dict[str, Any]] = {
    "evaluations": 1, "calibration_folds": 0, "ema": 0.0, "augment": "", "synthesis": "", "textures": "",
}  # fmt: skip


def baseline_beside(trainer: Trainer) -> dict[str, Any]:
    """Measures the baseline on the data of a trial, on its device, as the trial itself was measured.

    Args:
        trainer: of the trial, done; its data, teacher and options are used.

    Returns:
        ``method``, ``metrics`` (``val_*`` and ``test_*``, those that are defined) and ``seconds``; in place of the
        metrics ``failure`` where it could not be measured, which is no failure of the trial. Nothing where the trial's
        own method takes no gradient steps either.
    """
    spec = trainer.spec
    if not spec.config.epoch_keys():
        return {}
    started = time.perf_counter()
    try:
        own = TrialSpec(
            method=BASELINE,
            config=find_method(BASELINE).config(),
            dataset=spec.dataset,
            category=spec.category,
            options=spec.options.replace(**_OF_TRAINING_ALONE),
        )
        beside = Trainer(own, trainer.data, trainer.method.teacher, trainer.device)
        beside.run()
        metrics = _measured(beside)
    except Exception as error:  # whatever it is, a comparison is not worth a finished trial
        return {"method": BASELINE, "failure": str(error) or type(error).__name__}
    return {"method": BASELINE, "metrics": metrics, "seconds": time.perf_counter() - started}


def _measured(beside: Trainer) -> dict[str, float]:
    data, limit = beside.data, beside.spec.options.aupro_limit
    beside.load_best()
    method = beside.method.eval()
    metrics = measure(beside.selection_scores(), data.selection, aupro_limit=limit).as_dict("val_")
    if data.report is not None:
        source = ImageSource(data.report.images, beside.device)
        scored = score_set(method, data.report, source, folder=data.cache)
        metrics |= measure(scored, data.report, aupro_limit=limit).as_dict("test_")
    return metrics
