"""Images that are kept as tiles: which tiles make up each, and whole images, masks and the like put together of them.

Two images may share tiles: one with an anomaly planted differs from the one that it was planted on in a few alone.

Shapes: N images, T tiles of all, K of one, S x S pixels each; h x w a whole image as it is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kdzoo.data.roi import Roi
from kdzoo.data.tiling import Grid
from kdzoo.metrics.maps import LazyImages


@dataclass(frozen=True, kw_only=True, eq=False)
class Tiles:
    """Which tiles make up each image.

    Attributes:
        grids: of the N images.
        rows: of each its K rows of an array of tiles, in its grid's order.
        roi: the region of interest; None: all of an image.
    """

    grids: tuple[Grid, ...]
    rows: tuple[NDArray[np.int64], ...]
    roi: Roi | None = None

    @classmethod
    def in_order(cls, grids: Sequence[Grid], roi: Roi | None = None) -> Self:
        """Of an array that holds the tiles of each image one after the other."""
        starts = np.cumsum([0, *map(len, grids)]).tolist()
        rows = tuple(np.arange(*between) for between in pairwise(starts))
        return cls(grids=tuple(grids), rows=rows, roi=roi)

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.grids)

    def whole(self, number: int, made: NDArray[Any]) -> NDArray[Any]:
        """``[h, w, ...]``, one image of ``[T, S, S, ...]``."""
        return self.grids[number].joined(made, self.rows[number])

    def wholes(self, made: NDArray[Any]) -> LazyImages:
        """All of them, each put together when it is asked for."""
        return LazyImages(lambda number: self.whole(number, made), len(self))

    @cached_property
    def inside(self) -> LazyImages | None:
        """``[h, w]`` bool, what counts of each image; None: all of all."""
        if self.roi is None:
            return None
        found = lru_cache(maxsize=2)(self.roi.inside)  # a camera's images have one size
        return LazyImages(lambda number: found(*self.grids[number].shape), len(self))

    @cached_property
    def rows_inside(self) -> RowsInside | None:
        """What counts of each tile, where that is not all: not what is beside a small image."""
        return None if self.roi is None and not any(grid.padded for grid in self.grids) else RowsInside(self)

    @cached_property
    def owners(self) -> dict[int, list[tuple[int, int]]]:
        """Of each row that is used, ascending: the images that it is part of, and its number in their grids."""
        found: dict[int, list[tuple[int, int]]] = {}
        for image, rows in enumerate(self.rows):
            for number, row in enumerate(rows.tolist()):
                found.setdefault(row, []).append((image, number))
        return dict(sorted(found.items()))


class RowsInside:
    """``[B, S, S]`` bool of ``[B]`` rows: what counts of tiles.

    Args:
        tiles: whose.
    """

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles
        self._of_grid = lru_cache(maxsize=2)(self._cut)

    def __getitem__(self, rows: NDArray[np.integer]) -> NDArray[np.bool_]:
        return np.stack([self._of(int(row)) for row in rows])

    def any(self, row: int) -> bool:
        """Whether something of a tile counts."""
        return bool(self._of(row).any())

    def _of(self, row: int) -> NDArray[np.bool_]:
        image, number = self._tiles.owners[row][0]
        found: NDArray[np.bool_] = self._of_grid(self._tiles.grids[image])[number]
        return found

    def _cut(self, grid: Grid) -> NDArray[np.bool_]:
        roi = self._tiles.roi
        return grid.cut(np.ones(grid.shape, bool) if roi is None else roi.inside(*grid.shape))
