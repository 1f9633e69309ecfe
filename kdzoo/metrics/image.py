"""Image metrics: one score and one label an image, through scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from kdzoo.errors import NonFiniteLossError, UsageError


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

    def image_auroc(self) -> float | None:
        """Area under the ROC curve, in [0, 1]; None when `undefined`."""
        return None if self.undefined else float(roc_auc_score(self.labels, self.scores))

    def image_ap(self) -> float | None:
        """Average precision, in [0, 1]; None when `undefined`."""
        return None if self.undefined else float(average_precision_score(self.labels, self.scores))

    def image_f1_max(self) -> float | None:
        """Largest F1 over all thresholds, in [0, 1]; None when `undefined`."""
        if self.undefined:
            return None
        precision, recall, _ = precision_recall_curve(self.labels, self.scores)
        hits = recall > 0  # the curve's closing point has recall 0: F1 is 0 there, and 0/0 where precision is 0 too
        return float(np.max(2 * precision[hits] * recall[hits] / (precision[hits] + recall[hits])))
