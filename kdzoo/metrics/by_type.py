"""Metrics of each defect type by itself: which kinds of defects are found, and which are missed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdzoo.metrics.binomial import Share
from kdzoo.metrics.image import ImageScores
from kdzoo.metrics.maps import Maps, is_one, some_of
from kdzoo.metrics.pixel import PixelCurve


def by_defect_type(
    maps: Maps,
    masks: Maps | None,
    scores: NDArray[Any],
    labels: NDArray[Any],
    kinds: Sequence[str],
    *,
    threshold: float,
    fpr_limit: float,
    inside: Maps | None = None,
) -> dict[str, dict[str, Any]]:
    """What is reached on each defect type, as JSON values; metrics without a value are left out.

    Image metrics are of the type's images beside all normal ones, pixel metrics of the type's images alone.

    Args:
        maps: ``[N, H, W]`` float, or a sequence of N of ``[H, W]``.
        masks: likewise, non-zero where a pixel is anomalous; None without pixel truth.
        scores: ``[N]`` image scores.
        labels: ``[N]``, 1 for an anomalous image, 0 for a normal one.
        kinds: of each image, its defect type.
        threshold: an image scoring above it alarms.
        fpr_limit: AUPRO's false-positive limit, in (0, 1].
        inside: ``[H, W]`` or one a map, bool, the pixels that count; None: all.

    Returns:
        Type, in order of its name, to ``images``, ``image_auroc``, ``image_ap``, ``pixel_auroc``, ``pixel_ap``,
        ``aupro`` and ``misses``, a share with its interval.
    """
    normal, names = np.flatnonzero(labels == 0), np.asarray(kinds)
    found = {}
    for kind in sorted(set(names[labels == 1].tolist())):
        own = np.flatnonzero((labels == 1) & (names == kind))
        both = np.concatenate([normal, own])
        image = ImageScores(scores=scores[both], labels=labels[both])
        values: dict[str, float | None] = {"image_auroc": image.image_auroc(), "image_ap": image.image_ap()}
        if masks is not None:
            numbers = own.tolist()
            counted = inside if inside is None or is_one(inside) else some_of(inside, numbers)
            curve = PixelCurve.from_maps(some_of(maps, numbers), some_of(masks, numbers), counted)
            values |= {"pixel_auroc": curve.pixel_auroc(), "pixel_ap": curve.pixel_ap()}
            values["aupro"] = curve.aupro(fpr_limit)
        missed = int((np.asarray(scores[own], np.float64) <= threshold).sum())
        found[kind] = {
            "images": len(own),
            **{name: value for name, value in values.items() if value is not None},
            "misses": Share.counted(missed, len(own)).as_dict(),
        }
    return found
