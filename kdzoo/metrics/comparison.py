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
_CELLS: Final = 2**21
"""Of an array of draws by images: 16 MB of float64."""
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
    generator, found = np.random.default_rng(seed), []
    for start in range(0, draws, _at_once(len(labels))):
        counts = np.zeros((min(_at_once(len(labels)), draws - start), len(labels)))
        for members in classes:
            shares = np.full(len(members), 1 / len(members))
            counts[:, members] = generator.multinomial(len(members), shares, size=len(counts))
        found.append(_drawn(metric, ours, labels, counts) - _drawn(metric, theirs, labels, counts))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(found), (tail, 1 - tail))
    first, second = (getattr(ImageScores(scores=scores, labels=labels), metric)() for scores in (ours, theirs))
    return Difference(value=float(first - second), low=float(low), high=float(high), images=len(labels))


def _at_once(images: int) -> int:
    """Draws that are computed together: as many as keep the arrays small."""
    return max(1, _CELLS // images)


def _drawn(
    metric: str, scores: NDArray[np.float64], labels: NDArray[np.int64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The metric of each of D draws, as `ImageScores` gives it of the drawn images.

    Args:
        metric: one of `COMPARED`.
        scores: ``[N]``.
        labels: ``[N]``.
        counts: ``[D, N]``, how often each image was drawn; each class at least once.
    """
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))  # of equal scores
    anomalous = labels[order] == 1
    drawn = counts[:, order]
    hits = np.cumsum(drawn * anomalous, axis=1)[:, last]
    alarms = np.cumsum(drawn * ~anomalous, axis=1)[:, last]
    defects, normals = hits[:, -1], alarms[:, -1]
    if metric == "image_f1_max":
        return np.asarray((2 * hits / (hits + alarms + defects[:, None])).max(axis=1))
    before = np.pad(hits, ((0, 0), (1, 0)))[:, :-1]
    if metric == "image_ap":
        precision = hits / np.maximum(hits + alarms, 1)  # where nothing was drawn yet, there is no step either
        return np.asarray(((hits - before) * precision).sum(axis=1) / defects)
    steps = np.diff(alarms, axis=1, prepend=0)
    return np.asarray((steps * (hits + before)).sum(axis=1) / (2 * defects * normals))
