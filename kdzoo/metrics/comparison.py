"""Whether one detector is better than another, as far as the images that both have judged can tell.

The same images are drawn for both, with replacement, normal ones and defects apart; the metric of both is taken on each
draw. The interval of the difference says what other images of the same kind could have shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import UsageError
from kdzoo.metrics.binomial import CONFIDENCE
from kdzoo.metrics.image import ImageScores

DRAWS: Final = 1000
COMPARED: Final = ("image_auroc", "image_ap", "image_f1_max")
"""Metrics that follow from one score an image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One detector's metric minus another's, on the same images.

    Attributes:
        value: on the images as they are; positive where the first is better.
        low: lower end of its interval of `CONFIDENCE`.
        high: upper end.
        images: how many images both have judged.
    """

    value: float
    low: float
    high: float
    images: int


def paired_difference(
    metric: str,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference:
    """The difference of a metric between two detectors, with its interval by a paired bootstrap.

    Args:
        metric: one of `COMPARED`.
        ours: ``[N]`` image scores of the first.
        theirs: ``[N]`` scores of the second, of the same images in the same order.
        labels: ``[N]``, 1 for an anomalous image, 0 for a normal one.
        draws: how many sets of images are drawn.
        seed: of the draws: the same scores give the same interval.

    Raises:
        UsageError: no such metric, the lengths differ, or the images are all of one class.
    """
    if metric not in COMPARED:
        raise UsageError(f"'{metric}' does not follow from one score an image", hint=f"one of {', '.join(COMPARED)}")
    if not len(ours) == len(theirs) == len(labels):
        raise UsageError(f"{len(ours)} and {len(theirs)} scores of {len(labels)} images")
    classes = [np.flatnonzero(labels == label) for label in (0, 1)]
    if not all(map(len, classes)):
        raise UsageError("a comparison takes normal and anomalous images")
    generator = np.random.default_rng(seed)
    found = np.empty(draws)
    for draw in range(draws):
        drawn = np.concatenate([generator.choice(members, len(members)) for members in classes])
        found[draw] = _gain(metric, ours[drawn], theirs[drawn], labels[drawn])
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    value = _gain(metric, ours, theirs, labels)
    return Difference(value=value, low=float(low), high=float(high), images=len(labels))


def _gain(metric: str, ours: NDArray[np.float64], theirs: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    first, second = (getattr(ImageScores(scores=scores, labels=labels), metric)() for scores in (ours, theirs))
    return float(first - second)
