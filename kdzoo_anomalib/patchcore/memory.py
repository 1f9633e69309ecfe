"""The memory of PatchCore: anomalib's model on features that are given, without a backbone of its own.

Shapes: B images, C channels over all chosen levels, h x w positions of the finest, n patches, r rows of the bank.
"""

from __future__ import annotations

import contextlib
import io
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from kdzoo.errors import TrainingError
from kdzoo_anomalib.parts import KCenterGreedy, PatchcoreModel, SparseRandomProjection

_DISTORTION: Final = 0.9
"""Of distances by the projection that the coreset is chosen under, as anomalib has it."""


class PatchMemory(PatchcoreModel):
    """anomalib's PatchCore from the features on; its ``memory_bank`` is ``[r, C]``, empty at first.

    Args:
        levels: which of the teacher's levels describe a patch, from 0, the finest first.
        channels: of each of the teacher's levels.
        neighbourhood: side of the square of positions that a patch averages over.
    """

    def __init__(self, levels: tuple[int, ...], channels: tuple[int, ...], neighbourhood: int) -> None:
        nn.Module.__init__(self)  # the model's own builds a backbone
        self.layers = [str(level) for level in levels]
        self.feature_pooler = nn.AvgPool2d(neighbourhood, stride=1, padding=neighbourhood // 2)
        self.memory_bank: Tensor
        self.register_buffer("memory_bank", torch.empty(0, sum(channels[level] for level in levels)))

    def patches(self, features: list[Tensor]) -> Tensor:
        """The teacher's levels to ``[B, C, h, w]``: each averaged over the neighbourhood, brought to the finest."""
        pooled = {name: self.feature_pooler(features[int(name)]) for name in self.layers}
        found: Tensor = self.generate_embedding(pooled)
        return found

    def distances(self, patches: Tensor) -> Tensor:
        """``[B, C, h, w]`` to ``[B, h, w]``: how far each patch is from the nearest of the bank.

        Raises:
            TrainingError: the bank is empty.
        """
        if not len(self.memory_bank):
            raise TrainingError("the memory bank is empty", hint="train the method first")
        images, _, height, width = patches.shape
        nearest, _ = self.nearest_neighbors(self.reshape_embedding(patches), n_neighbors=1)
        return torch.as_tensor(nearest).view(images, height, width)

    def fill(self, candidates: Tensor, rows: int) -> float:
        """Keeps a coreset: greedily, each time the patch that is farthest from those that are kept.

        It is chosen under a random projection. What is drawn comes from torch's generator.

        Args:
            candidates: ``[n, C]``.
            rows: r, how many to keep; from n on, all are.

        Returns:
            How far, under the projection, the candidate is from the bank that is farthest from it.
        """
        if rows >= len(candidates):
            self.memory_bank = candidates
            return 0.0
        # The sampler takes a share, and rounds down.
        sampler = KCenterGreedy(candidates, sampling_ratio=(rows + 0.5) / len(candidates))
        # By itself it would draw columns from NumPy's global generator.
        drawn = np.random.RandomState(int(torch.randint(2**31, ())))
        sampler.model = SparseRandomProjection(eps=_DISTORTION, random_state=drawn)
        with contextlib.redirect_stderr(io.StringIO()):  # a bar of its own
            chosen = sampler.select_coreset_idxs()
        self.memory_bank = candidates[chosen]
        sampler.update_distances(chosen[-1])
        return float(sampler.min_distances.max())
