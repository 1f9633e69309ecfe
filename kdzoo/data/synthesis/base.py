"""The interface of synthetic anomalies: a whole batch in, a whole batch out, on the batch's device.

Shapes: B images, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Generator, Tensor

from kdzoo.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SyntheticBatch:
    """Images with planted anomalies.

    Attributes:
        images: ``[B, 3, H, W]`` float in [0, 1], RGB.
        masks: ``[B, 1, H, W]`` float, 1 where the anomaly was planted, all 0 where an image stayed as it was.
    """

    images: Tensor
    masks: Tensor


class Synthesizer(Protocol):
    """Plants anomalies into a batch of normal images."""

    def __call__(self, images: Tensor, foreground: Tensor, generator: Generator) -> SyntheticBatch:
        """Plants anomalies.

        Args:
            images: ``[B, 3, H, W]`` float in [0, 1], RGB; left unchanged.
            foreground: ``[B, 1, H, W]`` bool, where anomalies may lie.
            generator: source of all randomness, on the images' device; the same seed gives the same anomalies.
        """
        ...


def check_shapes(images: Tensor, foreground: Tensor) -> None:
    """Checks what a synthesizer is given.

    Raises:
        UsageError: the foreground's shape does not fit the images'.
    """
    expected = (len(images), 1, *images.shape[-2:])
    if tuple(foreground.shape) != expected:
        raise UsageError(
            f"foreground {list(foreground.shape)} does not fit images {list(images.shape)}",
            hint=f"expected {list(expected)}",
        )
