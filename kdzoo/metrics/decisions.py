"""The operating point: at one threshold, alarms among the normal images and misses among the defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kdzoo.metrics.binomial import Share


@dataclass(frozen=True, kw_only=True, slots=True)
class Decisions:
    """What a threshold decides on a set of images.

    Attributes:
        false_alarms: normal images above it, of the normal ones.
        misses: anomalous images not above it, of the anomalous ones.
    """

    false_alarms: Share
    misses: Share

    @classmethod
    def at(cls, threshold: float, scores: NDArray[Any], labels: NDArray[Any]) -> Self:
        """Counts decisions.

        Args:
            threshold: an image scoring above it alarms.
            scores: ``[N]`` image scores.
            labels: ``[N]``, 1 for an anomalous image, 0 for a normal one.
        """
        # In float64, as a prediction compares: a float32 score may round a threshold between two of them.
        alarms, anomalous = np.asarray(scores, np.float64) > threshold, np.asarray(labels) == 1
        return cls(
            false_alarms=Share.counted(int((alarms & ~anomalous).sum()), int((~anomalous).sum())),
            misses=Share.counted(int((~alarms & anomalous).sum()), int(anomalous.sum())),
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what no image speaks of is left out."""
        named = {"false_alarms": self.false_alarms, "misses": self.misses}
        return {name: share.as_dict() for name, share in named.items() if share.of}
