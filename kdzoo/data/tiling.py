"""Large images as overlapping square tiles at their own resolution, and maps of tiles as one map again.

An image is scaled by a factor (1 by default), and covered by tiles of one side: as few in each direction as overlap by
at least so many pixels, evenly spaced, none beyond the image. An image that is smaller than a tile lies in the middle
of one, its own edge pixels around it. Where tiles overlap, their maps are blended: each one's weight falls linearly
towards its edge, where a network sees least of what is around, so that no seam is left.

Cost: tiles take ``(tile / (tile - overlap))**2`` times the pixels of the image, 1.31 times for 32 of 256.

Shapes: H x W the image in its file, h x w as it is seen (scaled), S side of a tile, K tiles of an image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import ConfigError

T = TypeVar("T", bound=np.generic)
Box = tuple[slice, slice]
"""Rows and columns."""

LARGEST_SCALE: Final = 4.0
SMALLEST_SCALE: Final = 0.01


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How images are cut.

    Attributes:
        side: S, pixels.
        overlap: that tiles beside each other share at least, pixels; at most half a tile.
        scale: of the image before it is cut.

    Raises:
        ConfigError: the overlap or the scale is out of range.
    """

    side: int
    overlap: int = 32
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.overlap <= self.side // 2:
            raise ConfigError(
                f"an overlap of {self.overlap} pixels does not fit tiles of {self.side}",
                hint=f"from 0 to half a tile, {self.side // 2}",
            )
        if not SMALLEST_SCALE <= self.scale <= LARGEST_SCALE:
            raise ConfigError(
                f"a scale of {self.scale:g} is out of range", hint=f"from {SMALLEST_SCALE:g} to {LARGEST_SCALE:g}"
            )

    def grid(self, height: int, width: int) -> Grid:
        """The tiles of an image of so many pixels in its file."""
        seen = _scaled(height, self.scale), _scaled(width, self.scale)
        high, wide = (max(each, self.side) for each in seen)
        return Grid(
            side=self.side,
            height=seen[0],
            width=seen[1],
            tops=_starts(high, self.side, self.overlap),
            lefts=_starts(wide, self.side, self.overlap),
            top=(high - seen[0]) // 2,
            left=(wide - seen[1]) // 2,
            overlap=self.overlap,
        )


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The tiles of an image.

    Attributes:
        side: S.
        height: h.
        width: w.
        tops: of the rows of tiles, in the canvas: the image, or a tile where a side of the image is smaller.
        lefts: of the columns of tiles, likewise.
        top: rows of the canvas above the image.
        left: columns of it on the left.
        overlap: over which a tile's weight falls, pixels.
    """

    side: int
    height: int
    width: int
    tops: tuple[int, ...]
    lefts: tuple[int, ...]
    top: int
    left: int
    overlap: int

    def __len__(self) -> int:
        """How many tiles there are."""
        return len(self.tops) * len(self.lefts)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the image as it is seen, height first."""
        return self.height, self.width

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of what the tiles cover."""
        return max(self.height, self.side), max(self.width, self.side)

    @property
    def seen(self) -> tuple[slice, slice]:
        """The image's rows and columns of the canvas."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)

    @property
    def padded(self) -> bool:
        """Whether the canvas is larger than the image."""
        return self.canvas != self.shape

    def boxes(self) -> Iterator[Box]:
        """Rows and columns of the canvas of each tile, row by row."""
        for top in self.tops:
            for left in self.lefts:
                yield slice(top, top + self.side), slice(left, left + self.side)

    def on_canvas(self, values: NDArray[T], *, edge: bool = False) -> NDArray[T]:
        """``[h, w, ...]`` in the canvas, itself where that is no larger; around it zeros, or its own edge."""
        if not self.padded:
            return values
        high, wide = self.canvas
        below, right = high - self.top - self.height, wide - self.left - self.width
        around = [(self.top, below), (self.left, right), *[(0, 0)] * (values.ndim - 2)]
        return np.pad(values, around, mode="edge") if edge else np.pad(values, around)

    def cut(self, values: NDArray[T]) -> NDArray[T]:
        """``[h, w, ...]`` as ``[K, S, S, ...]``, zeros beside a small image."""
        canvas = self.on_canvas(values)
        return np.stack([canvas[box] for box in self.boxes()])

    def joined(self, tiles: NDArray[T], rows: Iterable[int] | None = None) -> NDArray[T]:
        """``[h, w, ...]`` of ``[K, S, S, ...]`` that agree where they overlap: the inverse of `cut`.

        Args:
            tiles: the image's; or those of many, with the rows of this one.
            rows: the K rows of the image's tiles; default all.
        """
        canvas = np.empty((*self.canvas, *tiles.shape[3:]), tiles.dtype)
        for box, row in zip(self.boxes(), range(len(tiles)) if rows is None else rows, strict=True):
            canvas[box] = tiles[row]
        return canvas[self.seen]

    def shared_with(self, number: int) -> Iterator[tuple[int, Box, Box]]:
        """The tiles that overlap one, itself included: the number of each, and what they share, in its own rows and
        columns and in those of the one.
        """
        boxes = list(self.boxes())
        for other, box in enumerate(boxes):
            starts = [max(one.start, two.start) for one, two in zip(boxes[number], box)]
            stops = [min(one.stop, two.stop) for one, two in zip(boxes[number], box)]
            if all(start < stop for start, stop in zip(starts, stops)):
                yield other, _within(box, starts, stops), _within(boxes[number], starts, stops)

    @cached_property
    def weights(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """``[rows, S]`` and ``[columns, S]``: a tile's pixel weighs the product of both; those of a place sum to 1."""
        high, wide = self.canvas
        return _weights(self.tops, self.side, high, self.overlap), _weights(self.lefts, self.side, wide, self.overlap)


class Blend:
    """A map of a whole image, made of maps of its tiles, one batch after the other.

    Args:
        grid: of the image.
        into: ``[h, w]`` float32 of zeros that becomes the map; default a new one.
    """

    def __init__(self, grid: Grid, into: NDArray[np.float32] | None = None) -> None:
        self._grid, self._boxes = grid, list(grid.boxes())
        self._canvas = into if into is not None and not grid.padded else np.zeros(grid.canvas, np.float32)
        self._into = into

    def add(self, first: int, maps: NDArray[Any]) -> None:
        """Adds ``[B, S, S]`` maps of tiles from a number on."""
        rows, columns = self._grid.weights
        for number, made in enumerate(maps, first):
            row, column = divmod(number, len(self._grid.lefts))
            self._canvas[self._boxes[number]] += made * rows[row][:, None] * columns[column]

    def done(self) -> NDArray[np.float32]:
        """``[h, w]``, once every tile was added."""
        found = self._canvas[self._grid.seen]
        if self._into is None:
            return np.ascontiguousarray(found)
        if self._grid.padded:
            self._into[...] = found
        return self._into


def _scaled(side: int, scale: float) -> int:
    return max(1, int(side * scale + 0.5))


def _starts(extent: int, side: int, overlap: int) -> tuple[int, ...]:
    """Where tiles begin: as few as cover the extent, evenly spaced from its first pixel to its last."""
    count = 1 + -(-(extent - side) // (side - overlap))
    # In whole numbers, so that every machine cuts alike.
    return tuple((2 * number * (extent - side) + count - 1) // (2 * max(count - 1, 1)) for number in range(count))


def _within(box: Box, starts: Sequence[int], stops: Sequence[int]) -> Box:
    """What lies between, in the box's own rows and columns."""
    rows, columns = (
        slice(start - side.start, stop - side.start) for side, start, stop in zip(box, starts, stops, strict=True)
    )
    return rows, columns


def _weights(starts: tuple[int, ...], side: int, extent: int, overlap: int) -> NDArray[np.float32]:
    """``[N, S]`` float32: trapezoids that fall over the overlap at edges within the extent, normalised to sum to 1."""
    ramp = np.minimum((np.arange(side) + 0.5) / max(overlap, 1), 1.0)
    raw = np.ones((len(starts), side))
    total = np.zeros(extent)
    for number, start in enumerate(starts):
        if start > 0:
            raw[number] *= ramp
        if start + side < extent:
            raw[number] *= ramp[::-1]
        total[start : start + side] += raw[number]
    for number, start in enumerate(starts):
        raw[number] /= total[start : start + side]
    return raw.astype(np.float32)
