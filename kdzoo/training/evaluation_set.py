"""Images with their truth: what selection looks at, and what the report is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from kdzoo.data.placement import Place
from kdzoo.metrics.maps import Maps
from kdzoo.training.selection_anomalies import KINDS, SelectionAnomalies
from kdzoo.training.tiles import RowsInside, Tiles

SYNTHETIC: Final = "synthetic"
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Images with their truth.

    Attributes:
        images: ``[N, S, S, 3]`` uint8; where images are tiled, ``[T, S, S, 3]``, their tiles.
        masks: ``[N, S, S]`` uint8 of {0, 1}, or a sequence of ``[h, w]`` of tiled images; None when the data set has no
            pixel truth.
        labels: ``[N]`` int64, 1 for anomalous.
        names: what each image is called in pictures and reports.
        kinds: the defect type of each; `SYNTHETIC` of an anomaly that was planted, and what is normal says so in its
            data set's word.
        inside: ``[S, S]`` bool, or ``[N, S, S]`` where images differ in shape, or a sequence of ``[h, w]`` of tiled
            ones: what counts of them, in the image and in the region of interest, outside of which masks are 0; None:
            everything.
        places: of each image in its square; None where all fill it.
        tiles: which of the tiles make up each image; None where images are not tiled.
    """

    images: NDArray[np.uint8]
    masks: Maps | None
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    inside: Maps | None = None
    places: tuple[Place, ...] | None = None
    tiles: Tiles | None = None

    @cached_property
    def by_row(self) -> tuple[NDArray[np.int64], NDArray[np.bool_] | RowsInside | None]:
        """Labels of the rows of ``images``, and what counts of them: of tiles, 1 is what no normal image shows, too.

        A tile of which nothing counts is left out like an anomalous one.
        """
        if self.tiles is None:
            return self.labels, None if self.inside is None else np.asarray(self.inside)
        labels, inside = np.ones(len(self.images), np.int64), self.tiles.rows_inside
        for row, owners in self.tiles.owners.items():
            normal = any(self.labels[image] == 0 for image, _ in owners)
            labels[row] = 0 if normal and (inside is None or inside.any(row)) else 1
        return labels, inside


def with_synthetic_anomalies(
    normal: EvaluationSet, product: NDArray[np.bool_], *, seed: int, kinds: Sequence[str] = KINDS
) -> EvaluationSet:
    """Held-out normal images, and the same once more with an anomaly planted on each.

    Made on the CPU from the split's seed, so that every trial on every machine selects on the same pixels.
    """
    generator = torch.Generator().manual_seed(seed)
    synthesizer = SelectionAnomalies(kinds)
    foreground = torch.from_numpy(product)[:, None]
    planted, masks = [], []
    for start in range(0, len(normal.images), _CHUNK):
        chunk = torch.from_numpy(np.array(normal.images[start : start + _CHUNK])).permute(0, 3, 1, 2).float() / 255
        made = synthesizer(chunk, foreground[start : start + _CHUNK], generator)
        planted.append((made.images * 255).round().byte().permute(0, 2, 3, 1).numpy())
        masks.append(made.masks[:, 0].byte().numpy())
    mask, inside = np.concatenate(masks), None if normal.inside is None else np.asarray(normal.inside)
    if inside is not None:
        mask = mask * inside.astype(np.uint8)
    anomalous = np.asarray(mask.any(axis=(1, 2)))
    again = np.flatnonzero(anomalous).tolist()
    return EvaluationSet(
        images=np.concatenate([normal.images, np.concatenate(planted)[anomalous]]),
        masks=np.concatenate([np.zeros_like(mask), mask[anomalous]]),
        labels=np.concatenate([np.zeros(len(mask), np.int64), np.ones(int(anomalous.sum()), np.int64)]),
        names=(*normal.names, *(f"{normal.names[number]} + synthetic" for number in again)),
        kinds=(*normal.kinds, *(SYNTHETIC for _ in again)),
        inside=inside if inside is None or inside.ndim == 2 else np.concatenate([inside, inside[anomalous]]),
        places=None if normal.places is None else (*normal.places, *(normal.places[number] for number in again)),
    )
