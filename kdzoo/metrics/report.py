"""The frozen report: seven metrics, and why those without a value have none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from kdzoo.errors import UsageError
from kdzoo.metrics.image import ImageScores
from kdzoo.metrics.maps import Maps, check_maps, counted_pixels
from kdzoo.metrics.names import DEFAULT_FPR_LIMIT, METRIC_NAMES, OBJECTIVES
from kdzoo.metrics.pixel import PixelCurve, check_fpr_limit

__all__ = ["DEFAULT_FPR_LIMIT", "METRIC_NAMES", "OBJECTIVES", "Report", "evaluate"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a detector reached on a set of images. Metrics are fractions in [0, 1], never rounded; None is undefined.

    Attributes:
        fpr_limit: AUPRO's false-positive limit, in (0, 1].
        images: number of images.
        anomalous_images: how many of them are labelled anomalous.
        pixels: number of pixels in all maps that count.
        undefined: ``(metric, reason)`` of each metric without a value.
    """

    image_auroc: float | None
    image_ap: float | None
    image_f1_max: float | None
    pixel_auroc: float | None
    pixel_ap: float | None
    pixel_f1_max: float | None
    aupro: float | None
    fpr_limit: float
    images: int
    anomalous_images: int
    pixels: int
    undefined: tuple[tuple[str, str], ...] = ()

    def as_dict(self, prefix: str = "test_") -> dict[str, float]:
        """The metrics that have a value, by prefixed name, in the order of `METRIC_NAMES`.

        Args:
            prefix: ``"test_"``, ``"val_"`` or ``""``.
        """
        values = {name: getattr(self, name) for name in METRIC_NAMES}
        return {prefix + name: value for name, value in values.items() if value is not None}


def evaluate(
    maps: Maps,
    masks: Maps | None,
    image_scores: NDArray[Any],
    labels: NDArray[Any],
    *,
    fpr_limit: float = DEFAULT_FPR_LIMIT,
    inside: Maps | None = None,
) -> Report:
    """Measures anomaly maps and image scores against the truth.

    Args:
        maps: ``[N, H, W]`` float anomaly maps, higher is more anomalous; or a sequence of N arrays ``[H, W]``, each of
            its own size.
        masks: likewise, non-zero where a pixel is anomalous; None when the data set has no pixel truth.
        image_scores: ``[N]`` float, one score an image.
        labels: ``[N]``, 1 for an anomalous image, 0 for a normal one.
        fpr_limit: AUPRO's false-positive limit, in (0, 1].
        inside: ``[H, W]`` or ``[N, H, W]`` bool, or a sequence of N, the pixels that count; None: all.

    Returns:
        The report. With one class only, the metrics are None and the reason is in ``undefined``.

    Raises:
        UsageError: shapes or labels do not fit together.
        ConfigError: ``fpr_limit`` is not in (0, 1].
        NonFiniteLossError: a map or a score is NaN or infinite.
    """
    check_fpr_limit(fpr_limit)
    maps = check_maps(maps)
    image = ImageScores(scores=image_scores, labels=labels)
    if len(maps) != len(image.labels):
        raise UsageError(f"{len(maps)} anomaly maps, but {len(image.labels)} image labels")
    pixel = None if masks is None else PixelCurve.from_maps(maps, masks, inside)
    pixel_reason = "the data set has no pixel masks" if pixel is None else pixel.undefined
    reasons = {name: image.undefined if name.startswith("image_") else pixel_reason for name in METRIC_NAMES}
    return Report(
        image_auroc=image.image_auroc(),
        image_ap=image.image_ap(),
        image_f1_max=image.image_f1_max(),
        pixel_auroc=pixel.pixel_auroc() if pixel else None,
        pixel_ap=pixel.pixel_ap() if pixel else None,
        pixel_f1_max=pixel.pixel_f1_max() if pixel else None,
        aupro=pixel.aupro(fpr_limit) if pixel else None,
        fpr_limit=fpr_limit,
        images=len(maps),
        anomalous_images=image.anomalous,
        pixels=counted_pixels(maps, inside),
        undefined=tuple((name, reason) for name, reason in reasons.items() if reason),
    )
