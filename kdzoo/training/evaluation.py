"""Maps and scores of a set of images, and the metrics they give.

Shapes: N images, S x S pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.errors import ConfigError, NonFiniteLossError
from kdzoo.methods.base import Method
from kdzoo.metrics.by_type import by_defect_type
from kdzoo.metrics.maps import Maps
from kdzoo.metrics.report import Report, evaluate
from kdzoo.training.evaluation_set import EvaluationSet
from kdzoo.training.features import FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.precision import tf32

EVALUATION_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Scored:
    """What a method says of a set of images.

    Attributes:
        maps: ``[N, S, S]`` float32, or a sequence of N of ``[h, w]``.
        scores: ``[N]`` float32.
    """

    maps: Maps
    scores: NDArray[np.float32]


@contextmanager
def exact() -> Iterator[None]:
    """Full float32 products, no gradients: a GPU's TF32 would give scores that no CPU reproduces."""
    with torch.no_grad(), tf32(False):
        yield


@contextmanager
def evaluating(method: Method) -> Iterator[None]:
    """Eval mode; the mode that each module was in is restored."""
    training = {module: module.training for module in method.modules()}
    method.eval()
    try:
        yield
    finally:
        for module, mode in training.items():
            module.training = mode


@exact()
def score_images(
    method: Method,
    source: ImageSource,
    *,
    inside: NDArray[np.bool_] | None = None,
    features: FeatureSource | None = None,
    batch_size: int = EVALUATION_BATCH,
) -> Scored:
    """Runs a method over all images, in eval mode; the mode it was in is restored.

    Args:
        method: to be run.
        source: the images.
        inside: ``[S, S]`` or ``[N, S, S]`` bool, what counts: elsewhere maps have their least value in it; None:
            everywhere.
        features: where the method's frozen features of them come from; None leaves them to the method.
        batch_size: images at once.

    Raises:
        NonFiniteLossError: a map holds NaN or infinite values.
    """
    maps, scores = [], []
    with evaluating(method):
        for start, raw in zip(range(0, len(source), batch_size), source.in_order(batch_size), strict=True):
            images = method.teacher.normalise(raw)
            # A method that names nothing frozen need not know of features.
            given = () if features is None else (features.batch(np.arange(start, start + len(raw)), images),)
            made = method.anomaly_map(images, *given)
            if inside is not None:
                own = inside if inside.ndim == 2 else inside[start : start + len(raw)]
                silence(made, torch.from_numpy(own).to(made.device))
            maps.append(made.float().cpu())
            scores.append(method.image_score(made).float().cpu())
    made_maps = torch.cat(maps).numpy()
    found = Scored(maps=made_maps, scores=torch.cat(scores).numpy())
    check_finite(made_maps)
    return found


def check_finite(maps: NDArray[np.float32]) -> None:
    """Refuses maps of any shape that hold NaN or infinite values.

    Raises:
        NonFiniteLossError: they do.
    """
    if not np.isfinite([maps.min(), maps.max()]).all():
        raise NonFiniteLossError("the anomaly maps hold NaN or infinite values", hint="lower the learning rate")


def silence(maps: Tensor, inside: Tensor) -> None:
    """Gives all of each map that does not count the least value of what does, in place.

    Args:
        maps: ``[B, S, S]``.
        inside: ``[S, S]`` or ``[B, S, S]`` bool, true somewhere in each.
    """
    least = torch.where(inside, maps, torch.inf).flatten(1).amin(dim=1)
    maps.copy_(torch.where(inside, maps, least[:, None, None]))


def measure(scored: Scored, truth: EvaluationSet, *, aupro_limit: float) -> Report:
    """The seven metrics of scored images against their truth, those of pixels on what counts alone."""
    return evaluate(scored.maps, truth.masks, scored.scores, truth.labels, fpr_limit=aupro_limit, inside=truth.inside)


def measure_types(
    scored: Scored, truth: EvaluationSet, *, threshold: float, aupro_limit: float
) -> dict[str, dict[str, Any]]:
    """What is reached on each defect type, as `kdzoo.metrics.by_type.by_defect_type` gives it."""
    return by_defect_type(
        scored.maps,
        truth.masks,
        scored.scores,
        truth.labels,
        truth.kinds,
        threshold=threshold,
        fpr_limit=aupro_limit,
        inside=truth.inside,
    )


def check_objective(truth: EvaluationSet, objective: str) -> None:
    """Checks, before anything is trained, that a set of images can define the objective.

    Raises:
        ConfigError: it has one class only, or no pixel masks where the objective needs them.
    """
    if len(np.unique(truth.labels)) < 2:
        kind = "defective" if truth.labels.any() else "normal"
        raise ConfigError(
            f"selection has {kind} images only, so '{objective}' cannot be measured",
            hint="--protocol synthetic selects on held-out normal images with synthetic anomalies",
        )
    if truth.masks is None and not objective.startswith("image_"):
        raise ConfigError(
            f"the data set has no pixel masks, so '{objective}' cannot be measured",
            hint="choose image_auroc, image_ap or image_f1_max as the --objective, or --protocol synthetic",
        )
