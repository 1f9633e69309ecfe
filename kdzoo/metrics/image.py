"""Image metrics: one score and one label an image, by the curve of the pixel metrics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import NonFiniteLossError, UsageError
from kdzoo.metrics.pixel import PixelCurve


@dataclass(frozen=True, kw_only=True, eq=False)
class ImageScores:
    """Scores and labels of N images, checked on construction.

    Attributes:
        scores: ``[N]`` numbers, higher is more anomalous; kept as float64.
        labels: ``[N]``, 1 for an anomalous image, 0 for a normal one; kept as int64.

    Raises:
        UsageError: the lengths differ, or a label is neither 0 nor 1.
        NonFiniteLossError: a score is NaN or infinite.
    """

    scores: NDArray[Any]
    labels: NDArray[Any]

    def __post_init__(self) -> None:
        scores, labels = np.asarray(self.scores, dtype=np.float64), np.asarray(self.labels)
        if scores.ndim != 1 or scores.shape != labels.shape:
            raise UsageError(f"image scores have shape {scores.shape}, labels {labels.shape}; expected [images]")
        if not np.isin(labels, (0, 1)).all():
            raise UsageError("image labels must be 0 (normal) or 1 (anomalous)")
        if not np.isfinite(scores).all():
            first = int(np.argmin(np.isfinite(scores)))
            raise NonFiniteLossError(
                f"the score of image {first} is {scores[first]}",
                hint="the model's weights are damaged or training diverged; lower the learning rate",
            )
        object.__setattr__(self, "scores", scores)
        object.__setattr__(self, "labels", labels.astype(np.int64))

    @property
    def anomalous(self) -> int:
        """Number of anomalous images."""
        return int(self.labels.sum())

    @property
    def undefined(self) -> str | None:
        """Why the metrics have no value, or None when they have one."""
        if not len(self.labels):
            return "there are no images"
        if self.anomalous == 0:
            return "no image is anomalous"
        return "no image is normal" if self.anomalous == len(self.labels) else None

    @cached_property
    def _curve(self) -> PixelCurve:
        """Each image as a map of one pixel."""
        return PixelCurve.from_maps(self.scores[:, None, None], self.labels[:, None, None])

    def image_auroc(self) -> float | None:
        """Area under the ROC curve, in [0, 1]; ties count half. None when `undefined`."""
        return self._curve.pixel_auroc()

    def image_ap(self) -> float | None:
        """Average precision, in [0, 1]: sum of recall steps times precision. None when `undefined`."""
        return self._curve.pixel_ap()

    def image_f1_max(self) -> float | None:
        """Largest F1 over all thresholds, in [0, 1]; None when `undefined`."""
        return self._curve.pixel_f1_max()
