"""Pixel metrics, exact, from one sort of the pixel scores.

All four metrics are areas under, or a maximum over, one polyline whose points are the thresholds. Between two scores of
anomalous pixels only false positives grow, so the polyline is flat there and needs no point: it has two points for each
distinct score of an *anomalous* pixel, whatever the number of normal pixels. The normal pixels are sorted once and then
only counted by binary search. With masks that cover a few percent of the pixels, this costs one copy of the scores and
the labels of the regions (6.4 bytes a pixel at the peak were measured for float32), and no curve of every pixel.

Letters: N images, H height, W width, K distinct scores of anomalous pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.errors import ConfigError, UsageError
from kdzoo.metrics.maps import Maps, check_maps, is_one

Floats = NDArray[np.float64]

_NEIGHBOURS = np.zeros((3, 3, 3), dtype=np.int8)
_NEIGHBOURS[1] = 1
_NEIGHBOURS.flags.writeable = False  # 8-connected within an image, not connected across images


@dataclass(frozen=True, kw_only=True, eq=False)
class PixelCurve:
    """Counts at every distinct score of an anomalous pixel, from the highest score down.

    Attributes:
        true_positives: ``[K]`` float64, anomalous pixels with a score at or above the threshold.
        false_positives: ``[K]`` float64, normal pixels with a score at or above the threshold.
        false_positives_above: ``[K]`` float64, normal pixels with a score strictly above the threshold.
        overlap: ``[K]`` float64 in [0, 1], mean over the defect regions of the part of each at or above the threshold.
        normal: number of normal pixels.
        anomalous: number of anomalous pixels.
        regions: number of defect regions (8-connected, within one image).
    """

    true_positives: Floats
    false_positives: Floats
    false_positives_above: Floats
    overlap: Floats
    normal: int
    anomalous: int
    regions: int

    @classmethod
    def from_maps(cls, maps: Maps, masks: Maps, inside: Maps | None = None) -> PixelCurve:
        """Sorts the scores and counts.

        Of images that are given one by one, the normal pixels of one are sorted at a time.

        Args:
            maps: ``[N, H, W]`` float anomaly maps, higher is more anomalous, any range; left unchanged. Or a sequence
                of N of ``[H, W]``, each of its own size, which is gone through twice.
            masks: likewise, bool or number, non-zero where a pixel is anomalous.
            inside: ``[H, W]`` or ``[N, H, W]`` bool, or a sequence of N, the pixels that count; what of a region lies
                elsewhere is no part of it. None: all.

        Raises:
            UsageError: the shapes differ or are not ``[N, H, W]``.
            NonFiniteLossError: a map holds NaN or infinity; names the first such image.
        """
        maps = check_maps(maps)
        defects, sizes, regions = [], [], 0
        for block, truth, _ in _blocks(maps, masks, inside):
            of_region, found = _region_sizes(truth)
            defects.append(block[truth])
            sizes.append(of_region)
            regions += found
        defect = np.concatenate(defects)
        order = np.argsort(defect)[::-1]
        defect = defect[order]
        last = np.flatnonzero(np.append(defect[1:] != defect[:-1], True)) if defect.size else np.empty(0, np.intp)
        thresholds = defect[last]
        # A pixel of a region of s pixels, with R regions in all, adds 1 / (s * R) to the mean overlap.
        weights = 1.0 / (np.concatenate(sizes)[order] * float(regions))
        counted, at_least, above = 0, np.zeros(len(last), np.int64), np.zeros(len(last), np.int64)
        for block, truth, kept in _blocks(maps, masks, inside):
            normal = block[~truth] if kept is None else block[~truth & kept]
            normal.sort()
            counted += int(normal.size)
            own = _counts(normal, thresholds)
            at_least += own[0]
            above += own[1]
        return cls(
            true_positives=(last + 1).astype(np.float64),
            false_positives=at_least.astype(np.float64),
            false_positives_above=above.astype(np.float64),
            overlap=np.cumsum(weights)[last],
            normal=counted,
            anomalous=int(defect.size),
            regions=regions,
        )

    @property
    def undefined(self) -> str | None:
        """Why the metrics have no value, or None when they have one."""
        if self.normal + self.anomalous == 0:
            return "there are no pixels"
        if self.anomalous == 0:
            return "no pixel is anomalous"
        return "no pixel is normal" if self.normal == 0 else None

    @cached_property
    def _fpr(self) -> Floats:
        """``[2K + 2]`` false-positive rate at the polyline's points, ascending from 0 to 1."""
        points = np.column_stack([self.false_positives_above, self.false_positives]).ravel()
        return np.concatenate([[0.0], points, [float(self.normal)]]) / self.normal

    def pixel_auroc(self) -> float | None:
        """Area under the ROC curve of all pixels, in [0, 1]; ties count half. None when `undefined`."""
        return None if self.undefined else _area(self._fpr, _steps(self.true_positives) / self.anomalous, 1.0)

    def pixel_ap(self) -> float | None:
        """Average precision of all pixels, in [0, 1]: sum of recall steps times precision. None when `undefined`."""
        if self.undefined:
            return None
        precision = self.true_positives / (self.true_positives + self.false_positives)
        return float(np.sum(np.diff(self.true_positives, prepend=0.0) * precision) / self.anomalous)

    def pixel_f1_max(self) -> float | None:
        """Largest F1 over all thresholds, in [0, 1]. None when `undefined`."""
        if self.undefined:
            return None
        return float(np.max(2 * self.true_positives / (self.true_positives + self.false_positives + self.anomalous)))

    def aupro(self, fpr_limit: float) -> float | None:
        """Area under the per-region overlap curve up to a false-positive rate, divided by that rate.

        The curve is exact, linear between thresholds, and interpolated at the limit (Bergmann et al., "The MVTec
        Anomaly Detection Dataset", IJCV 2021: all regions weigh the same, whatever their size).

        Args:
            fpr_limit: where the integral ends, in (0, 1].

        Returns:
            A value in [0, 1]; None when `undefined`.

        Raises:
            ConfigError: the limit is not in (0, 1].
        """
        check_fpr_limit(fpr_limit)
        return None if self.undefined else _area(self._fpr, _steps(self.overlap), fpr_limit) / fpr_limit


def check_fpr_limit(fpr_limit: float) -> None:
    """Refuses a limit outside (0, 1].

    Raises:
        ConfigError: naming the value.
    """
    if not 0.0 < fpr_limit <= 1.0:
        raise ConfigError(f"fpr_limit = {fpr_limit!r} is out of range", hint="allowed: > 0, <= 1; 0.3 is usual")


def _blocks(
    maps: Maps, masks: Maps, inside: Maps | None
) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.bool_] | None]]:
    """Maps ``[B, H, W]``, which of their pixels are anomalous, and which count: all at once, or an image at a time."""
    if isinstance(maps, np.ndarray):
        yield maps, *_truth_of(maps, np.asarray(masks), None if inside is None else np.asarray(inside))
        return
    if len(masks) != len(maps):
        raise UsageError(f"{len(maps)} maps, but {len(masks)} masks")
    for number, each in enumerate(maps):
        kept = None if inside is None else np.asarray(inside if is_one(inside) else inside[number])
        yield each[None], *_truth_of(each[None], np.asarray(masks[number])[None], kept)


def _truth_of(
    maps: NDArray[Any], masks: NDArray[Any], inside: NDArray[np.bool_] | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None]:
    truth = masks != 0
    if truth.shape != maps.shape:
        raise UsageError(
            f"masks have shape {truth.shape}, maps {maps.shape}",
            hint="resize maps and masks to one height and width",
        )
    if inside is not None:
        truth &= inside
    return truth, inside


def _counts(normal: NDArray[Any], thresholds: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many scores, ascending, are at or above each threshold, and how many above it; from the highest one down.

    The fewer are looked up among the more: thresholds come of all images, and each image's scores meet all of them.
    """
    if thresholds.size <= normal.size:
        sides = (np.searchsorted(normal, thresholds, side="left"), np.searchsorted(normal, thresholds, side="right"))
        return normal.size - sides[0], normal.size - sides[1]
    ascending = thresholds[::-1]
    places = (np.searchsorted(ascending, normal, side="right"), np.searchsorted(ascending, normal, side="left"))
    at_least, above = (np.cumsum(np.bincount(each, minlength=thresholds.size + 1)[::-1])[:-1] for each in places)
    return at_least, above


def _region_sizes(truth: NDArray[np.bool_]) -> tuple[NDArray[np.int64], int]:
    """Of each anomalous pixel, in order, how many its region has; and the number of regions."""
    with_defect = truth[truth.any(axis=(1, 2))]
    if not with_defect.size:
        return np.empty(0, np.int64), 0
    labels, regions = ndimage.label(with_defect, structure=_NEIGHBOURS)
    region_of = labels[with_defect]
    return np.bincount(region_of, minlength=regions + 1)[region_of], int(regions)


def _steps(counts: Floats) -> Floats:
    """``[2K + 2]`` heights of the polyline: each threshold's point before, and after, its own anomalous pixels."""
    before = np.concatenate([[0.0], counts[:-1]])
    return np.concatenate([[0.0], np.column_stack([before, counts]).ravel(), counts[-1:]])


def _area(x: Floats, y: Floats, limit: float) -> float:
    """Trapezoid area under the polyline for ``x <= limit``; ``x`` ascends from 0 to 1."""
    inside = int(np.searchsorted(x, limit, side="right"))
    area = float(np.sum(np.diff(x[:inside]) * (y[1:inside] + y[: inside - 1])) / 2)
    if inside < len(x):
        part = limit - x[inside - 1]
        slope = (y[inside] - y[inside - 1]) / (x[inside] - x[inside - 1])
        area += float(part * (y[inside - 1] + slope * part / 2))
    return area
