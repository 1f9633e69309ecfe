"""Feature-level masking: positions are zeroed at random, and a small block fills them back.

Source: the generation block of MGD (Yang et al., arXiv 2205.01529), one a level, as MRKD uses it. Its
convolutions start as in MRKD's released code, where they are part of the decoder and start as its own do.
Shapes: B images, C_k channels and h x w positions of level k.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import initialise


class Generation(nn.Module):
    """One generation block a level: 3x3 convolution, ReLU, 3x3 convolution, channels kept.

    It masks nothing by itself, in no mode: what it gives depends on its input alone.

    Args:
        channels: C_k of each level.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.ReLU(inplace=True), nn.Conv2d(c, c, 3, padding=1))
            for c in channels
        )
        initialise(self)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Levels ``[B, C_k, h, w]`` to levels of the same shapes."""
        return [block(level) for block, level in zip(self.blocks, levels, strict=True)]


def mask_positions(levels: list[Tensor], ratios: Sequence[float]) -> list[Tensor]:
    """Zeroes positions at random, each by itself and for all channels at once, from PyTorch's own generator.

    Args:
        levels: ``[B, C_k, h, w]``.
        ratios: probability of each level that a position is zeroed; 0 leaves the level as it is.

    Returns:
        Levels of the same shapes.
    """
    masked = []
    for level, ratio in zip(levels, ratios, strict=True):
        if ratio:
            batch, _, height, width = level.shape
            level = level * (torch.rand((batch, 1, height, width), device=level.device) >= ratio)
        masked.append(level)
    return masked
