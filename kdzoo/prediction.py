"""What a detector says of one image, and what it can be asked about.

Shapes: H height, W width of the image as given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from kdzoo.data.depth import Intensity
from kdzoo.data.images import read_image, to_rgb_array
from kdzoo.errors import ImageError
from kdzoo.pictures import HeatScale, overlay, shrunk, step_to, with_legend
from kdzoo.regions import Region, find_regions

LONGEST_SIDE: Final = 2048
"""Of the pictures of predictions, pixels."""

BATCH_BYTES: Final = 2**26
"""Of the decoded images that are judged together: two dozen of 1024 x 1024, or one of any size."""

_Item = TypeVar("_Item")

_BOXES = 20
"""Regions that get a box in a picture; more would hide what they are about."""

Picture = str | Path | bytes | Image.Image | NDArray[Any] | Tensor
"""What can be predicted: a path, the bytes of an image file, a PIL image, a uint8 or uint16 array ``[H, W]`` or
``[H, W, C]``, a tensor ``[H, W]`` or ``[C, H, W]`` with 1 or 3 channels (uint8, or float in [0, 1])."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a detector says of one image.

    Attributes:
        score: image score; higher is more anomalous.
        threshold: what the score was compared with.
        anomalous: the decision: score above threshold; with a least area, only where a region is marked, too.
        anomaly_map: ``[H, W]`` float32 at the image's own size; outside of the region of interest, and in a border that
            cannot alarm, the least value of the rest.
        mask: ``[H, W]`` bool, pixels above what a normal image reaches, without regions below the least area.
        pixel_threshold: what the map was compared with.
        image: ``[H, W, 3]`` uint8, the image as it was seen.
        heat_scale: which map values are coloured in the overlay, the same for all images of the detector.
    """

    score: float
    threshold: float
    anomalous: bool
    anomaly_map: NDArray[np.float32] = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    pixel_threshold: float
    image: NDArray[np.uint8] = field(repr=False)
    heat_scale: HeatScale = field(repr=False)

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The connected regions of the mask, the largest first."""
        return find_regions(self.mask, self.anomaly_map)[0]

    def overlay(self) -> Image.Image:
        """The image with the anomaly map laid over it and the largest marked regions outlined and boxed.

        Coloured is what lies above the normal images of the calibration, and no more than that. An image of more than
        `LONGEST_SIDE` pixels is made smaller by a whole number; of what becomes one pixel, the highest value is shown.
        """
        step = step_to(self.image.shape, LONGEST_SIDE)
        image, made, mask = (shrunk(each, step) for each in (self.image, self.anomaly_map, self.mask))
        boxes = [_shrunk_box(region.box, step) for region in self.regions[:_BOXES]]
        return overlay(image, made, marked=mask, scale=self.heat_scale, boxes=boxes)

    @property
    def verdict(self) -> str:
        """Score, threshold and decision in words."""
        return f"score {self.score:.4f}, threshold {self.threshold:.4f}: {'anomalous' if self.anomalous else 'normal'}"

    def picture(self) -> Image.Image:
        """The overlay, with its scale of colours, the score and the threshold below it."""
        return with_legend(self.overlay(), self.heat_scale, self.verdict)


def _shrunk_box(box: tuple[int, int, int, int], step: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    return left // step, top // step, -(-right // step), -(-bottom // step)


def batched(images: object) -> list[Picture] | None:
    """The images of a list, or of a batch in one array or tensor; None of what is one image.

    Args:
        images: a list or tuple; an array ``[N, H, W, C]``; a tensor ``[N, C, H, W]``; anything else is one image.
    """
    if isinstance(images, list | tuple):
        return list(images)
    return list(images) if isinstance(images, np.ndarray | Tensor) and images.ndim == 4 else None


def in_batches(items: Iterable[_Item], most: int, size: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Items in lists that are judged together: few enough, and of no more than `BATCH_BYTES` unless one alone has more.

    Args:
        items: taken one by one, so that no more than a list of them and one more are held; none is asked for before a
            full list is used.
        most: items of a list, 1 or more.
        size: bytes of an item.
    """
    batch: list[_Item] = []
    total = 0
    for item in items:
        own = size(item)
        if batch and total + own > BATCH_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += own
        if len(batch) == most:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def rgb_of(image: Picture, intensity: Intensity | None) -> NDArray[np.uint8]:
    """Any accepted picture as ``[H, W, 3]`` uint8."""
    if isinstance(image, str | Path):
        return np.asarray(read_image(Path(image), intensity))
    if isinstance(image, bytes):
        return np.asarray(read_image(image, intensity))
    if isinstance(image, Tensor):
        if image.ndim == 2:
            image = image[None]
        if image.ndim != 3 or image.shape[0] not in (1, 3):
            raise ImageError(f"a tensor image must be [H, W], [1, H, W] or [3, H, W], got {list(image.shape)}")
        values = image.detach().cpu().permute(1, 2, 0)
        # NumPy has no bfloat16.
        return to_rgb_array((values.float() if values.is_floating_point() else values).numpy(), intensity)
    return to_rgb_array(image, intensity)
