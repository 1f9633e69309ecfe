"""Pixel metrics, exact, from one sort of the pixel scores.

All four metrics are areas under, or a maximum over, one polyline whose points are the thresholds. Between two scores of
anomalous pixels only false positives grow, so the polyline is flat there and needs no point: it has two points for each
distinct score of an *anomalous* pixel, whatever the number of normal pixels. The normal pixels are sorted once and then
only counted by binary search. With masks that cover a few percent of the pixels, this costs one copy of the scores and
the labels of the regions (6.4 bytes a pixel at the peak were measured for float32), and no curve of every pixel.

Letters: N images, H height, W width, K distinct scores of anomalous pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.errors import ConfigError, NonFiniteLossError, UsageError

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
    def from_maps(cls, maps: NDArray[Any], masks: NDArray[Any], inside: NDArray[np.bool_] | None = None) -> PixelCurve:
        """Sorts the scores and counts.

        Args:
            maps: ``[N, H, W]`` float anomaly maps, higher is more anomalous, any range; left unchanged.
            masks: ``[N, H, W]`` bool or number, non-zero where a pixel is anomalous.
            inside: ``[H, W]`` or ``[N, H, W]`` bool, the pixels that count; what of a region lies elsewhere is no part
                of it. None: all.

        Raises:
            UsageError: the shapes differ or are not ``[N, H, W]``.
            NonFiniteLossError: a map holds NaN or infinity; names the first such image.
        """
        maps = check_maps(maps)
        truth = np.asarray(masks) != 0
        if truth.shape != maps.shape:
            raise UsageError(
                f"masks have shape {truth.shape}, maps {maps.shape}",
                hint="resize maps and masks to one height and width",
            )
        if inside is not None:
            truth &= inside
        weights, regions = _region_weights(truth)
        defect = maps[truth]
        order = np.argsort(defect)[::-1]
        defect = defect[order]
        last = np.flatnonzero(np.append(defect[1:] != defect[:-1], True)) if defect.size else np.empty(0, np.intp)
        thresholds = defect[last]
        normal = maps[~truth] if inside is None else maps[~truth & inside]
        normal.sort()
        return cls(
            true_positives=(last + 1).astype(np.float64),
            false_positives=(normal.size - np.searchsorted(normal, thresholds, side="left")).astype(np.float64),
            false_positives_above=(normal.size - np.searchsorted(normal, thresholds, side="right")).astype(np.float64),
            overlap=np.cumsum(weights[order])[last],
            normal=int(normal.size),
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


def check_maps(maps: NDArray[Any]) -> NDArray[Any]:
    """The maps as a float array, once their shape and values are known to be good.

    Args:
        maps: ``[N, H, W]`` numbers.

    Raises:
        UsageError: not three axes, or not real numbers.
        NonFiniteLossError: NaN or infinity in a map.
    """
    checked = np.asarray(maps)
    if checked.ndim != 3:
        raise UsageError(f"maps have shape {checked.shape}, expected [images, height, width]")
    if checked.dtype.kind not in "fiub":
        raise UsageError(f"maps are of type {checked.dtype}, expected real numbers")
    if checked.dtype.kind != "f":
        return checked.astype(np.float64)
    # The least and greatest of an image are finite only if all of it is, and need no [N, H, W] of booleans.
    if checked.size:
        finite = np.isfinite(checked.min(axis=(1, 2))) & np.isfinite(checked.max(axis=(1, 2)))
        if not finite.all():
            first = int(np.argmin(finite))
            raise NonFiniteLossError(
                f"the anomaly map of image {first} holds NaN or infinity; so do {int((~finite).sum()) - 1} others",
                hint="the model's weights are damaged or training diverged; lower the learning rate",
            )
    return checked


def _region_weights(truth: NDArray[np.bool_]) -> tuple[Floats, int]:
    """What each anomalous pixel adds to the mean overlap, and the number of regions.

    A pixel of a region of s pixels, with R regions in all, adds ``1 / (s * R)``.
    """
    with_defect = truth[truth.any(axis=(1, 2))]
    if not with_defect.size:
        return np.empty(0, np.float64), 0
    labels, regions = ndimage.label(with_defect, structure=_NEIGHBOURS)
    region_of = labels[with_defect]
    sizes = np.bincount(region_of, minlength=regions + 1)
    return 1.0 / (sizes[region_of] * float(regions)), int(regions)


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
