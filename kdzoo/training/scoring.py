"""A set's maps and scores, whether its images are seen whole or in tiles.

Of tiled images each tile is looked at once, also where several images have it. Their maps are of the images' own sizes;
more of them than memory should hold lie in a file.

Shapes: N images, S x S pixels of a tile, h x w a whole image.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kdzoo.data.images import scaled_rgb
from kdzoo.data.tiling import Blend, Tiling
from kdzoo.methods.base import Method
from kdzoo.training.evaluation import EVALUATION_BATCH, Scored, check_finite, evaluating, exact, score_images
from kdzoo.training.evaluation_set import EvaluationSet
from kdzoo.training.features import FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.scratch import room
from kdzoo.training.tiles import Tiles

_ON_A_CPU = 8
"""Tiles at once."""


def score_set(
    method: Method,
    truth: EvaluationSet,
    source: ImageSource,
    *,
    folder: Path,
    features: FeatureSource | None = None,
    batch_size: int = EVALUATION_BATCH,
) -> Scored:
    """Runs a method over a set's images, in eval mode; the mode it was in is restored.

    Args:
        method: to be run.
        truth: the set.
        source: of its images, or tiles, on the method's device.
        folder: where maps may lie that are too large for memory.
        features: where the method's frozen features of them come from; None leaves them to the method.
        batch_size: images, or tiles, at once.

    Raises:
        NonFiniteLossError: a map holds NaN or infinite values.
        StorageError: there is no room for the maps.
    """
    if truth.tiles is None:
        counted = None if truth.inside is None else np.asarray(truth.inside)
        return score_images(method, source, inside=counted, features=features, batch_size=batch_size)
    maps = _tile_maps(method, truth.tiles, source, folder, features, batch_size)
    inside = truth.inside
    scores = np.empty(len(maps), np.float32)
    for number, made in enumerate(maps):
        check_finite(made)
        scores[number] = score_of_map(method, made, None if inside is None else inside[number], source.device)
    return Scored(maps=maps, scores=scores)


@exact()
def _tile_maps(
    method: Method,
    tiles: Tiles,
    source: ImageSource,
    folder: Path,
    features: FeatureSource | None,
    batch_size: int,
) -> list[NDArray[np.float32]]:
    """``[h, w]`` of each image."""
    ends = np.cumsum([0, *(prod(grid.shape) for grid in tiles.grids)]).tolist()
    flat = room((ends[-1],), np.float32, folder)
    blends = [
        Blend(grid, flat[start:stop].reshape(grid.shape)) for grid, start, stop in zip(tiles.grids, ends, ends[1:])
    ]
    rows = np.array(list(tiles.owners))
    with evaluating(method):
        for start in range(0, len(rows), batch_size):
            indices = rows[start : start + batch_size]
            images = method.teacher.normalise(source.batch(indices))
            given = () if features is None else (features.batch(indices, images),)
            made = method.anomaly_map(images, *given).float().cpu().numpy()
            for row, one in zip(indices.tolist(), made, strict=True):
                for image, number in tiles.owners[row]:
                    blends[image].add(number, one[None])
    return [blend.done() for blend in blends]


@exact()
def map_of_image(
    method: Method, image: NDArray[np.uint8], tiling: Tiling, device: torch.device, *, batch_size: int | None = None
) -> NDArray[np.float32]:
    """``[h, w]``, the map of one image as it is seen; beside it no more than a batch of tiles is held.

    Args:
        method: on the device.
        image: ``[H, W, 3]`` uint8.
        tiling: how it is cut.
        device: of the method.
        batch_size: tiles at once; default `EVALUATION_BATCH` on a GPU, few on a CPU, which gains nothing by more.
    """
    grid = tiling.grid(*image.shape[:2])
    # Not through another copy, where it is seen as it is: it may be most of what memory holds.
    seen = image if grid.shape == image.shape[:2] else scaled_rgb(image, grid.shape)
    canvas = grid.on_canvas(seen, edge=True)
    boxes, blend = list(grid.boxes()), Blend(grid)
    step = batch_size or (EVALUATION_BATCH if device.type == "cuda" else _ON_A_CPU)
    with evaluating(method):
        for start in range(0, len(boxes), step):
            tiles = np.stack([canvas[box] for box in boxes[start : start + step]])
            images = torch.from_numpy(tiles).to(device).permute(0, 3, 1, 2).float().div_(255)
            made = method.anomaly_map(method.teacher.normalise(images))
            blend.add(start, made.float().cpu().numpy())
    return blend.done()


@exact()
def score_of_map(
    method: Method, made: NDArray[np.float32], inside: NDArray[np.bool_] | None, device: torch.device
) -> float:
    """The image score of a whole map; what does not count gets the least value of the rest, in place.

    Args:
        method: says how a map is scored.
        made: ``[h, w]``.
        inside: ``[h, w]`` bool; None: all counts.
        device: where it is scored.
    """
    if inside is not None:
        np.copyto(made, made.min(where=inside, initial=np.inf), where=~inside)
    return float(method.image_score(torch.from_numpy(made)[None].to(device)))
