"""Where the product is in images that are kept as tiles: estimated on small copies of the whole images, then cut alike.

What is product and what is background shows on an image as a whole; a tile may be all of one.

Shapes: N images, T tiles of all, S x S pixels each; P side of a small copy's square.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdzoo.data.foreground.masks import tiled_foreground_masks
from kdzoo.data.placement import Place
from kdzoo.data.samples import Sample
from kdzoo.training.scratch import room
from kdzoo.training.tiles import Tiles

SMALL: Final = 256
"""P, pixels."""


def small_copies(
    tiles: Tiles, images: NDArray[np.uint8], numbers: Sequence[int] | None = None
) -> tuple[NDArray[np.uint8], list[Place]]:
    """``[N, P, P, 3]`` uint8, whole images made small and padded, and where each lies in its square.

    Args:
        tiles: of the images.
        images: ``[T, S, S, 3]``.
        numbers: which images; default all.
    """
    chosen = range(len(tiles)) if numbers is None else numbers
    places = [Place.of(tiles.grids[number].shape, SMALL, "pad") for number in chosen]
    made = np.empty((len(places), SMALL, SMALL, 3), np.uint8)
    for index, (number, place) in enumerate(zip(chosen, places, strict=True)):
        whole = Image.fromarray(np.ascontiguousarray(tiles.whole(number, images)))
        size = place.width, place.height
        made[index] = place.edge_padded(np.asarray(whole.resize(size, Image.Resampling.BOX, reducing_gap=2.0)))
    return made, places


def cut_foreground(
    found: NDArray[np.bool_], places: Sequence[Place], tiles: Tiles, *, side: int, folder: Path
) -> NDArray[np.bool_]:
    """``[T, S, S]``: masks of small copies as those of the tiles, within what counts.

    Args:
        found: ``[N, P, P]``, of the small copies.
        places: of these in their squares.
        tiles: of the images, one after the other.
        side: S.
        folder: where the result may lie, if it is too large for memory.

    Raises:
        StorageError: there is no room for it.
    """
    made = _room(tiles, side, folder)
    for number, (mask, place, grid) in enumerate(zip(found, places, tiles.grids, strict=True)):
        small = Image.fromarray(mask[place.rows, place.columns])
        height, width = grid.shape
        whole = np.asarray(small.resize((width, height), Image.Resampling.NEAREST))
        made[tiles.rows[number]] = grid.cut(whole)
    return _counted(made, tiles)


def given_foreground(
    masks: Path, samples: Sequence[Sample], tiles: Tiles, *, names: Iterable[str], side: int, folder: Path
) -> NDArray[np.bool_]:
    """``[T, S, S]``: a person's masks of the images, cut into tiles, within what counts.

    Args:
        masks: the folder that `kdzoo.data.foreground.masks` reads.
        samples: the images.
        tiles: of these, one after the other.
        names: what the category's own folder within ``masks`` may be called.
        side: S.
        folder: where the result may lie, if it is too large for memory.

    Raises:
        DatasetError: the masks are not there, incomplete or unusable.
        StorageError: there is no room for them.
    """
    made = _room(tiles, side, folder)
    tiled_foreground_masks(
        masks, samples, names=names, grids=tiles.grids, into=[made[rows[0] : rows[-1] + 1] for rows in tiles.rows]
    )
    return _counted(made, tiles)


def _room(tiles: Tiles, side: int, folder: Path) -> NDArray[np.bool_]:
    return room((sum(map(len, tiles.rows)), side, side), np.bool_, folder)


def _counted(made: NDArray[np.bool_], tiles: Tiles) -> NDArray[np.bool_]:
    inside = tiles.rows_inside
    if inside is not None and tiles.roi is not None:
        for rows in tiles.rows:
            made[rows] &= inside[rows]
    return made
