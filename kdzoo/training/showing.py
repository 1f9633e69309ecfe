"""Normal images as a method is shown them: by `Method.settle`, and in a stage of one pass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kdzoo.methods.base import Method, OnePass, Shown
from kdzoo.methods.config import MethodConfig
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import exact
from kdzoo.training.features import FeatureSource
from kdzoo.training.images import ImageSource
from kdzoo.training.telling import Told, nobody
from kdzoo.training.tiles import RowsInside
from kdzoo.training.trial_features import TrialFeatures


@exact()
def take_pass(
    stage: OnePass,
    method: Method,
    data: TrialData,
    source: ImageSource,
    kept: TrialFeatures,
    config: MethodConfig,
    told: Told = nobody,
) -> dict[str, float]:
    """Shows a method all train images in order, in eval mode and in full float32; gives what is to be logged.

    Args:
        stage: the one that is due.
        method: on its device.
        data: the trial's.
        source: of its train images.
        kept: where their features come from, in blocks of one size as those of the selection part do.
        config: says how many images at once.
        told: how far it is.
    """
    method.eval()
    method.requires_grad_(False)
    features = kept.of_train(stage, source, passes=1)
    _, inside = data.train_set.by_row
    batches = shown(method, source, np.arange(len(source)), config.batch_size, inside, features)
    return stage.take(_told(batches, -(-len(source) // config.batch_size), told), len(source))


def _told(batches: Iterator[Shown], total: int, told: Told) -> Iterator[Shown]:
    for done, batch in enumerate(batches, start=1):
        yield batch
        told("steps", done, total)


def shown(
    method: Method,
    source: ImageSource,
    chosen: NDArray[np.int64],
    batch_size: int,
    inside: NDArray[np.bool_] | RowsInside | None,
    features: FeatureSource | None,
) -> Iterator[Shown]:
    """Batches of some images, made as they are asked for.

    Args:
        method: whose teacher normalises.
        source: of the images, on the method's device.
        chosen: their indices.
        batch_size: images at once.
        inside: ``[S, S]`` or ``[N, S, S]`` bool, or the like of tiles, what counts of the images; None: everything.
        features: where the frozen features of the images come from; None leaves them to the method.
    """
    for start in range(0, len(chosen), batch_size):
        indices = chosen[start : start + batch_size]
        images = method.teacher.normalise(source.batch(indices))
        yield Shown(
            images=images,
            features=None if features is None else features.batch(indices, images),
            inside=None if inside is None else _inside_of(inside, indices).to(images.device),
        )


def _inside_of(inside: NDArray[np.bool_] | RowsInside, indices: NDArray[np.intp]) -> Tensor:
    """``[B, S, S]`` bool, what counts of some of the images."""
    if isinstance(inside, np.ndarray) and inside.ndim == 2:
        return torch.from_numpy(inside).expand(len(indices), -1, -1)
    return torch.from_numpy(inside[indices])
