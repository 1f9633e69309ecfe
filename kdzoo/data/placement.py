"""Where an image lies in the square that networks see, and what stands beside it there.

``stretch`` brings both sides to the square's, whatever their ratio. ``pad`` brings the longer side to it and keeps the
ratio: the image lies in the middle, and beside it its own edge pixels go on, so that there is no edge where the image
has none. What is padding counts no more than what lies outside of a region of interest.

Shapes: H height, W width of an image, S side of the square, h x w the image's part of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Resize = Literal["stretch", "pad"]
"""How an image is brought to a square; a square one is brought there in the same way by both."""

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An image's part of the square.

    Attributes:
        size: S, pixels.
        top: rows above the image.
        left: columns left of it.
        height: h, pixels, from 1 to S.
        width: w, likewise.
    """

    size: int
    top: int
    left: int
    height: int
    width: int

    @classmethod
    def of(cls, shape: Sequence[int], size: int, resize: Resize) -> Self:
        """The place of an image.

        The shorter side is rounded to the nearest pixel, at least one; of an odd number of rows or columns beside the
        image, the larger part is below or on the right.

        Args:
            shape: of the image, height and width first, pixels.
            size: S, pixels.
            resize: how it is brought to the square.
        """
        if resize == "stretch":
            return cls(size=size, top=0, left=0, height=size, width=size)
        height, width = (_scaled(int(side), max(shape[:2]), size) for side in shape[:2])
        return cls(size=size, top=(size - height) // 2, left=(size - width) // 2, height=height, width=width)

    @property
    def whole(self) -> bool:
        """Whether the image is all of the square."""
        return self.height == self.width == self.size

    @property
    def rows(self) -> slice:
        """The image's rows of the square."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """The image's columns of the square."""
        return slice(self.left, self.left + self.width)

    def edge_padded(self, values: NDArray[T]) -> NDArray[T]:
        """``[h, w, ...]`` to ``[S, S, ...]``: beside the image, the pixel of it that is nearest."""
        return self._padded(values, mode="edge")

    def zero_padded(self, values: NDArray[T]) -> NDArray[T]:
        """``[h, w, ...]`` to ``[S, S, ...]``: beside the image, zeros."""
        return self._padded(values, mode="constant")

    def _padded(self, values: NDArray[T], *, mode: Literal["edge", "constant"]) -> NDArray[T]:
        if self.whole:
            return values
        below, right = self.size - self.top - self.height, self.size - self.left - self.width
        around: list[tuple[int, int]] = [(self.top, below), (self.left, right), *[(0, 0)] * (values.ndim - 2)]
        return np.pad(values, around, mode=mode)


def places_of(shapes: NDArray[Any], size: int, resize: Resize) -> list[Place]:
    """The place of each image, by ``[N, 2]`` heights and widths."""
    return [Place.of((int(height), int(width)), size, resize) for height, width in shapes]


def _scaled(side: int, longest: int, size: int) -> int:
    """``side * size / longest``, to the nearest whole number, half up, at least 1."""
    return max(1, (2 * side * size + longest) // (2 * longest))
