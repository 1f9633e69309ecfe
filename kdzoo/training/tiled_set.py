"""Sets of tiled images with their truth: as they are, and with anomalies planted.

An anomaly is planted on one tile of an image, so that it is as small beside the image as tiles let one find; the tiles
that overlap that one show their part of it. All other tiles are those of the image that it was planted on.

Shapes: N images, T tiles of all, S x S pixels each; h x w a whole image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kdzoo.data.cache.decoded import DecodedPart
from kdzoo.data.roi import Roi
from kdzoo.data.tiling import Grid
from kdzoo.metrics.maps import LazyImages
from kdzoo.training.evaluation_set import SYNTHETIC, EvaluationSet
from kdzoo.training.scratch import joined
from kdzoo.training.selection_anomalies import SelectionAnomalies
from kdzoo.training.tiles import Tiles

_CHUNK = 16


def tiled_set(part: DecodedPart, roi: Roi | None) -> EvaluationSet:
    """A decoded part of tiled images, whose masks are 0 outside of the region of interest."""
    tiles = Tiles.in_order(part.grids or (), roi)
    return EvaluationSet(
        images=part.images,
        masks=None if part.masks is None else _masks(tiles, part.masks),
        labels=part.labels,
        names=tuple(sample.id for sample in part.samples),
        kinds=tuple(sample.defect_type for sample in part.samples),
        inside=tiles.inside,
        tiles=tiles,
    )


def _masks(tiles: Tiles, masks: NDArray[np.uint8]) -> LazyImages:
    inside = tiles.inside
    if inside is None:
        return tiles.wholes(masks)
    return LazyImages(lambda number: tiles.whole(number, masks) * inside[number].astype(np.uint8), len(tiles))


@dataclass(kw_only=True)
class _Planted:
    """Tiles that planting changed, and the images that have them."""

    side: int
    first: int
    tiles: list[NDArray[np.uint8]] = field(default_factory=list)
    marks: list[NDArray[np.uint8]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    rows: list[NDArray[np.int64]] = field(default_factory=list)
    mark_rows: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, number: int, rows: NDArray[np.int64], changed: Iterator[tuple[int, Any, Any]]) -> None:
        """An image made of the tiles in ``rows``, but for those that were changed: their places, pixels and masks."""
        rows, marks = rows.copy(), np.zeros_like(rows)
        for place, tile, mark in changed:
            rows[place] = self.first + len(self.tiles)
            self.tiles.append(tile)
            self.marks.append(mark)
            marks[place] = len(self.marks)  # after the blank one
        self.numbers.append(number)
        self.rows.append(rows)
        self.mark_rows.append(marks)


def with_synthetic_tiles(
    normal: EvaluationSet, tiles: Tiles, product: NDArray[np.bool_], *, seed: int, folder: Path
) -> EvaluationSet:
    """Held-out normal images, and the same once more with an anomaly planted on a tile of each that shows product.

    Made on the CPU from the split's seed, so that every trial on every machine selects on the same pixels.

    Args:
        normal: the images.
        tiles: theirs.
        product: ``[T, S, S]``, where an anomaly may lie; within what counts.
        seed: of the anomalies.
        folder: where the tiles may lie, if they are too many for memory.

    Raises:
        StorageError: there is no room for them.
    """
    generator = torch.Generator().manual_seed(seed)
    synthesizer = SelectionAnomalies()
    planted = _Planted(side=normal.images.shape[1], first=len(normal.images))
    for start in range(0, len(tiles), _CHUNK):
        numbers = range(start, min(start + _CHUNK, len(tiles)))
        places = [_place(product[tiles.rows[number]], generator) for number in numbers]
        rows = np.array([tiles.rows[number][place] for number, place in zip(numbers, places, strict=True)])
        chunk = torch.from_numpy(normal.images[rows]).permute(0, 3, 1, 2).float() / 255
        made = synthesizer(chunk, torch.from_numpy(product[rows])[:, None], generator)
        images = (made.images * 255).round().byte().permute(0, 2, 3, 1).numpy()
        masks = made.masks[:, 0].byte().numpy()
        for number, place, image, mask in zip(numbers, places, images, masks, strict=True):
            if mask.any():
                own = tiles.rows[number]
                planted.add(number, own, _changed(tiles.grids[number], place, image, mask, normal.images, own))
    return _joined(normal, tiles, planted, folder)


def _place(product: NDArray[np.bool_], generator: torch.Generator) -> int:
    """One of an image's tiles, the likelier the more product it shows."""
    until = np.cumsum(np.count_nonzero(product, axis=(1, 2)))
    if not until[-1]:
        return 0
    drawn = int(torch.randint(int(until[-1]), (), generator=generator))
    return int(np.searchsorted(until, drawn, side="right"))


def _changed(
    grid: Grid,
    place: int,
    image: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    images: NDArray[np.uint8],
    rows: NDArray[np.int64],
) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Each tile that shows some of what was planted on one: its place, pixels and mask."""
    for other, own, shared in grid.shared_with(place):
        if mask[shared].any():
            tile, mark = np.array(images[rows[other]]), np.zeros_like(mask)
            tile[own], mark[own] = image[shared], mask[shared]
            yield other, tile, mark


def _joined(normal: EvaluationSet, tiles: Tiles, planted: _Planted, folder: Path) -> EvaluationSet:
    again = planted.numbers
    grids = (*tiles.grids, *(tiles.grids[number] for number in again))
    made = Tiles(grids=grids, rows=(*tiles.rows, *planted.rows), roi=tiles.roi)
    blank = np.zeros((planted.side, planted.side), np.uint8)
    mark_rows = (*(np.zeros_like(rows) for rows in tiles.rows), *planted.mark_rows)
    return EvaluationSet(
        images=joined([normal.images, *(tile[None] for tile in planted.tiles)], folder),
        masks=Tiles(grids=grids, rows=mark_rows).wholes(np.stack([blank, *planted.marks])),
        labels=np.repeat(np.array([0, 1], np.int64), [len(tiles), len(again)]),
        names=(*normal.names, *(f"{normal.names[number]} + synthetic" for number in again)),
        kinds=(*normal.kinds, *(SYNTHETIC for _ in again)),
        inside=made.inside,
        tiles=made,
    )
