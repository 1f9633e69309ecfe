"""Where an image is anomalous: the connected regions of what a detector marked.

Shapes: H height, W width of the image as given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.config import Config, knob
from kdzoo.errors import ImageError

_NEIGHBOURS = np.ones((3, 3), dtype=bool)
"""Pixels that touch at a corner belong together, as in AUPRO."""

_AT_ONCE = 2**20
"""Pixels whose numbers are held at once."""


@dataclass(frozen=True, kw_only=True)
class RegionRule(Config):
    """What of an image's map counts.

    With a `min_area` an image is anomalous only if a region of that size is marked, too.
    """

    min_area: int = knob(0, "regions of fewer pixels do not count", low=0, high=2**31)
    border: int = knob(0, "pixels along each edge of the image that cannot alarm", low=0, high=2**31)

    def inside(self, shape: tuple[int, ...], size: int | tuple[int, int] | None = None) -> NDArray[np.bool_] | None:
        """What is not border, ``[H, W]`` bool; None where there is no border.

        Args:
            shape: of the image, height and width first, pixels.
            size: height and width, or the side, of a map of the whole image, which is then judged by the centres of its
                pixels.

        Raises:
            ImageError: the border leaves nothing of the image.
        """
        height, width = shape[:2]
        if not self.border:
            return None
        if 2 * self.border >= min(height, width):
            raise ImageError(
                f"a border of {self.border} pixels leaves nothing of an image of {width}x{height}",
                hint="lower --border",
            )
        high, wide = (size, size) if isinstance(size, int) else size or (height, width)
        rows, columns = _beyond(height, self.border, high), _beyond(width, self.border, wide)
        kept: NDArray[np.bool_] = rows[:, None] & columns[None, :]
        if not kept.any():
            raise ImageError(
                f"a border of {self.border} pixels leaves nothing of an image of {width}x{height} at the size "
                f"{wide}x{high}",
                hint="lower --border",
            )
        return kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Region:
    """One connected region of marked pixels.

    Attributes:
        box: left, top, right, bottom in pixels of the image; right and bottom are the first ones beyond.
        area: marked pixels.
        share: of the image's pixels.
        peak: largest map value.
        mean: of its map values.
        centroid: mean x and y of its pixels' centres.
    """

    box: tuple[int, int, int, int]
    area: int
    share: float
    peak: float
    mean: float
    centroid: tuple[float, float]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "box": list(self.box),
            "area": self.area,
            "share": self.share,
            "peak": self.peak,
            "mean": self.mean,
            "centroid": list(self.centroid),
        }


def find_regions(
    mask: NDArray[np.bool_], anomaly_map: NDArray[Any], *, min_area: int = 0
) -> tuple[tuple[Region, ...], NDArray[np.bool_]]:
    """The connected regions of a mask, the largest first; of equal size, the one with the higher peak.

    Args:
        mask: ``[H, W]`` marked pixels.
        anomaly_map: ``[H, W]`` float.
        min_area: regions of fewer pixels are left out.

    Returns:
        The regions, and the mask without those that were left out.
    """
    if not mask.any():
        return (), mask
    # Labels take four bytes a pixel, so of a large image only what has marks is labelled.
    part = tuple(_extent(mask.any(axis=axis)) for axis in (1, 0))
    top, left = (side.start for side in part)
    labels, count = ndimage.label(mask[part], structure=_NEIGHBOURS)
    areas, peaks, (means, columns, rows) = _measured(labels, anomaly_map[part], count)
    boxes = ndimage.find_objects(labels)
    kept = areas >= min_area
    order = sorted(np.flatnonzero(kept), key=lambda each: (-areas[each], -peaks[each]))
    regions = tuple(
        Region(
            box=_moved(boxes[each], top, left),
            area=int(areas[each]),
            share=float(areas[each] / mask.size),
            peak=float(peaks[each]),
            mean=float(means[each]),
            centroid=(float(columns[each] + left) + 0.5, float(rows[each] + top) + 0.5),
        )
        for each in order
    )
    if kept.all():
        return regions, mask
    without = np.zeros_like(mask)
    without[part] = np.concatenate([[False], kept])[labels]
    return regions, without


def _extent(marked: NDArray[np.bool_] | np.bool_) -> slice:
    """From the first to the last that is marked."""
    places = np.flatnonzero(marked)
    return slice(int(places[0]), int(places[-1]) + 1)


def _moved(box: tuple[slice, slice], top: int, left: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a box of a part that begins there."""
    rows, columns = box
    return columns.start + left, rows.start + top, columns.stop + left, rows.stop + top


def _measured(
    labels: NDArray[np.int32], anomaly_map: NDArray[Any], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Of each region its area, its peak, and ``[3, regions]`` the means of its values, columns and rows.

    Some rows of the image at a time: of a large one that is marked all over, whole arrays of numbers would be many
    times the image.
    """
    height, width = labels.shape
    areas, peaks, sums = np.zeros(count, np.int64), np.full(count, -np.inf), np.zeros((3, count))
    step = max(1, _AT_ONCE // width)
    for top in range(0, height, step):
        rows, columns = np.nonzero(labels[top : top + step])
        label = labels[top : top + step][rows, columns] - 1
        values = anomaly_map[top : top + step][rows, columns].astype(np.float64)
        areas += np.bincount(label, minlength=count)
        np.maximum.at(peaks, label, values)
        for total, each in zip(sums, (values, columns, rows + top), strict=True):
            total += np.bincount(label, weights=each, minlength=count)
    return areas, peaks, sums / areas


def _beyond(extent: int, border: int, size: int) -> NDArray[np.bool_]:
    """Which of ``size`` equal parts of a side have their centre beyond the border at both of its ends."""
    centres = (np.arange(size) + 0.5) * extent / size
    kept: NDArray[np.bool_] = (centres > border) & (centres < extent - border)
    return kept
