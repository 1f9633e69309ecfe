"""Gradients of one batch: as a whole, or part by part where the device's memory does not hold them for the whole.

In parts, each part's loss counts by its share of the images. For a loss that is a mean over images, or over the same
number of things in each image, the summed gradients are those of the whole batch up to rounding. They are not where

- batch norm trains: its statistics are those of a part;
- the loss draws at random, as `mrkd`'s masks do: each part has draws of its own;
- the loss compares images with each other (`aand`'s amplification pairs) or counts positions over the whole batch
  (`adps`'s distillation): pairs and counts stay within a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import Tensor

from kdzoo.errors import DeviceMemoryError
from kdzoo.methods.base import Batch, Stage
from kdzoo.training.precision import Precision
from kdzoo.training.spec import TrialSpec

HALVES = 2


class BatchGradients:
    """Computes gradients, by halves once the memory ran out for a whole batch; then for the rest of the trial.

    Args:
        precision: of the forward pass; default what PyTorch does by itself.
        spare: frees memory that is held to save time alone, and says whether there was any; asked before halving.

    Attributes:
        parts: in how many parts a batch is taken: 1 or `HALVES`.
    """

    def __init__(self, precision: Precision | None = None, spare: Callable[[], bool] | None = None) -> None:
        self.parts = 1
        self._precision = precision
        self._spare = spare

    def __call__(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        """Fills the gradients of the stage's modules, which hold none yet; gives the losses, detached.

        Raises:
            DeviceMemoryError: half of the batch does not fit either, or there is nothing to halve.
        """
        while True:
            try:
                return self._computed(stage, batch)
            except torch.OutOfMemoryError as error:
                spared = self._spare is not None and self._spare()
                if not spared and (self.parts == HALVES or len(batch.images) < HALVES):
                    raise DeviceMemoryError(_first_line(error)) from error
            # Only here, where the exception is gone, does nothing hold the tensors of the attempt that failed.
            for module in stage.modules:
                module.zero_grad(set_to_none=True)
            release_memory()
            if not spared:
                self.parts = HALVES

    def _computed(self, stage: Stage, batch: Batch) -> dict[str, Tensor]:
        totals: dict[str, Tensor] = {}
        for part in _cut(batch, self.parts):
            share = len(part.images) / len(batch.images)
            with nullcontext() if self._precision is None else self._precision.forward():
                losses = stage.loss(part)
            (losses["loss"] * share).backward()  # type: ignore[no-untyped-call]
            for name, value in losses.items():
                counted = value.detach() * share
                totals[name] = totals[name] + counted if name in totals else counted
        return totals


def out_of_memory(spec: TrialSpec, stage: str, parts: int, error: Exception) -> DeviceMemoryError:
    """What to tell; the error that told it would keep the memory, so it is let go.

    Args:
        spec: the trial.
        stage: name of the stage that ran out.
        parts: in how many a batch was taken.
        error: what PyTorch or `BatchGradients` raised.
    """
    said = str(error).splitlines()[0] if str(error) else "no more memory"
    size = spec.config.batch_size
    tried = f"batches of {size} images in {parts} parts" if parts > 1 else f"batches of {size} images"
    error.__traceback__ = error.__cause__ = error.__context__ = None
    release_memory()
    return DeviceMemoryError(
        f"the GPU's memory ran out in stage '{stage}' of {spec.method} on {spec.category_name} with {tried}: {said}",
        hint="lower batch_size or --image-size, or let fewer trials share a GPU (--gpus-per-trial)",
    )


def release_memory() -> None:
    """Gives memory that PyTorch only holds ready back to the GPU, where other trials may share it."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def _cut(batch: Batch, parts: int) -> Iterator[Batch]:
    """Consecutive parts of nearly equal size; the batch itself when it is one."""
    if parts == 1 or len(batch.images) < parts:
        yield batch
        return
    images, masks, foreground = (each.tensor_split(parts) for each in (batch.images, batch.masks, batch.foreground))
    # A loss may look whether anything was planted at all by asking whether both are the same tensor.
    augmented = images if batch.augmented is batch.images else batch.augmented.tensor_split(parts)
    # Level by level to part by part.
    features = (
        [None] * parts
        if batch.features is None
        else [list(levels) for levels in zip(*(level.tensor_split(parts) for level in batch.features), strict=True)]
    )
    for each in zip(images, augmented, masks, foreground, features, strict=True):
        yield Batch(images=each[0], augmented=each[1], masks=each[2], foreground=each[3], features=each[4])


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
