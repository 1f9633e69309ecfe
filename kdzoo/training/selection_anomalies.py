"""Anomalies planted on held-out normal images, for a selection part without defects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Generator, Tensor

from kdzoo.data.synthesis.base import SyntheticBatch
from kdzoo.data.synthesis.registry import build_synthesizer, synthesis_config

KINDS: Final = ("perlin",)
"""The kinds of synthetic anomalies that select, each on its share of the images."""


class SelectionAnomalies:
    """Plants an anomaly on every image that has room for one; images take the kinds in turn.

    Args:
        kinds: names of the kinds, 1 or more.
    """

    def __init__(self, kinds: Sequence[str] = KINDS) -> None:
        self._synthesizers = [build_synthesizer(synthesis_config(kind)(probability=1.0)) for kind in kinds]

    def __call__(self, images: Tensor, foreground: Tensor, generator: Generator) -> SyntheticBatch:
        """Plants anomalies; see `kdzoo.data.synthesis.base.Synthesizer`."""
        planted, masks = images.clone(), torch.zeros_like(images[:, :1])
        step = len(self._synthesizers)
        for first, synthesizer in enumerate(self._synthesizers):
            rows = slice(first, None, step)
            if len(images[rows]):
                made = synthesizer(images[rows].contiguous(), foreground[rows].contiguous(), generator)
                planted[rows], masks[rows] = made.images, made.masks
        return SyntheticBatch(images=planted, masks=masks)
