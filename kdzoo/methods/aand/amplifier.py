"""Residual Anomaly Amplification (RAA): makes anomalous teacher features differ more, leaves normal ones alone.

Source: Tang et al., arXiv 2405.02068, stage 1 (matching-guided residual gate, attribute-scaling residual generator).
Convolutions start as in the authors' released code, like a ResNet's: on a ResNet's features |s| is then 0.8 in the
mean, and 0.16 with PyTorch's own start.
Shapes: B images, C channels, H x W positions of a level, M prototypes of each half.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import initialise
from kdzoo.methods.layers.exact import exact, exact_products

_WIDEST = 1024


class ResidualAmplifier(nn.Module):
    """One RAA block, for one level.

    Args:
        channels: C of the level.
        prototypes: M; the first M prototypes stand for normal, the last M for anomalous.
        temperature: of the softmax over all 2M similarities.
    """

    def __init__(self, channels: int, *, prototypes: int, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.query = _mlp(channels)
        self.scale = _mlp(channels)
        self.prototypes = nn.Parameter(torch.randn(1, 2 * prototypes, channels))
        initialise(self)

    def gate(self, features: Tensor) -> Tensor:
        """How anomalous each position looks: ``[B, C, H, W]`` to ``[B, H*W, 1]`` in (0, 1)."""
        encoding = position_encoding(*features.shape[1:], device=features.device).to(features.dtype)
        queries = exact(self.query(features + encoding)).flatten(2).transpose(1, 2)
        with exact_products(queries):
            similarity = F.normalize(queries, dim=-1) @ F.normalize(self.prototypes, dim=-1).transpose(1, 2)
        matches = (similarity / self.temperature).softmax(dim=-1)
        half = self.prototypes.shape[1] // 2
        return matches[..., half:].sum(dim=-1, keepdim=True)

    def residual(self, features: Tensor) -> Tensor:
        """What the gate lets through: ``s * F`` with ``s = tanh(MLP(F))``, ``[B, C, H, W]``."""
        return torch.tanh(self.scale(features)) * features

    def forward(self, features: Tensor, gate: Tensor | None = None) -> Tensor:
        """Amplified features ``A = F + g * r``, ``[B, C, H, W]``.

        Args:
            features: ``[B, C, H, W]`` of the plain teacher.
            gate: ``[B, H*W, 1]`` to use in place of the block's own; the true mask in training.
        """
        batch, _, height, width = features.shape
        opened = self.gate(features) if gate is None else gate
        return features + opened.transpose(1, 2).reshape(batch, 1, height, width) * self.residual(features)


@lru_cache(maxsize=32)
def position_encoding(channels: int, height: int, width: int, device: torch.device | None = None) -> Tensor:
    """Fixed 2-D sine/cosine encoding ``[channels, height, width]``: the first half of the channels tells the column.

    Base 10^4, sine on even and cosine on odd channels of each half. A channel count that is no multiple of 4 takes
    the first channels of the next one that is.
    """
    half = math.ceil(channels / 4) * 2
    frequencies = torch.exp(torch.arange(0, half, 2, dtype=torch.float64) * -(math.log(10_000.0) / half))

    def axis(length: int) -> Tensor:
        angles = torch.arange(length, dtype=torch.float64)[:, None] * frequencies
        return torch.stack([angles.sin(), angles.cos()], dim=-1).reshape(length, half).T

    columns = axis(width)[:, None, :].expand(half, height, width)
    rows = axis(height)[:, :, None].expand(half, height, width)
    return torch.cat([columns, rows])[:channels].float().to(device)


def _mlp(channels: int) -> nn.Sequential:
    hidden = min(2 * channels, _WIDEST)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, 1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden, hidden, 1), nn.ReLU(inplace=True),
        nn.Conv2d(hidden, channels, 1),
    )  # fmt: skip
