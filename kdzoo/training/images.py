"""Decoded images on their way to the device: gathered a batch at a time, no per-image Python.

Shapes: N images of a part, B of a batch, S x S pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.training.rows import Rows


class ImageSource:
    """A part's uint8 images, read from the shared memory map (CPU) or kept on the GPU when they fit.

    Args:
        images: ``[N, S, S, 3]`` uint8, usually a memory map.
        device: where batches are wanted.
    """

    def __init__(self, images: NDArray[np.uint8], device: torch.device) -> None:
        self.images, self.device = images, device
        self._rows = Rows(images, device)

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: NDArray[np.int64]) -> Tensor:
        """``[B, 3, S, S]`` float in [0, 1] on the device, in channels-last memory order."""
        return self._rows.take(indices).permute(0, 3, 1, 2).float().div_(255)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        """All images in order, as `batch` gives them."""
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))))


def shuffled_batches(count: int, batch_size: int, generator: np.random.Generator) -> list[NDArray[Any]]:
    """A random order of ``count`` indices, cut into batches of nearly equal size, none above ``batch_size``.

    Equal sizes rather than a short last batch: with batches of three and more, batch norm sees a lone image only when
    there is only one.
    """
    return np.array_split(generator.permutation(count), -(-count // batch_size))


def digest_of_pixels(images: NDArray[np.uint8]) -> str:
    """sha256 hex over shape and values of ``[N, S, S, 3]`` uint8 images."""
    digest = hashlib.sha256(repr(images.shape).encode())
    for image in images:
        digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
