"""Patches of an image: the teacher's features by position, for methods that remember normal ones.

Shapes: B images, C channels over all levels that are taken, h x w positions of the finest, H x W input size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def patches_of(features: list[Tensor], levels: Sequence[int], neighbourhood: int) -> Tensor:
    """The teacher's levels to ``[B, C, h, w]``: each averaged over a neighbourhood, brought to the finest's positions.

    Source: Roth et al., CVPR 2022 (arXiv 2106.08265), section 3.1; beyond the border are zeros, as anomalib has it.
    With the mean of what there is, patches at the border, which average over fewer, are a normal image's most unusual.

    Args:
        features: ``[B, C_k, h_k, w_k]`` a level, the finest first.
        levels: which of them, ascending.
        neighbourhood: side of the square that is averaged over, odd.
    """
    pooled = [F.avg_pool2d(features[level], neighbourhood, stride=1, padding=neighbourhood // 2) for level in levels]
    size = pooled[0].shape[-2:]
    brought = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in pooled[1:]]
    return torch.cat([pooled[0], *brought], dim=1)


def positions_inside(inside: Tensor | None, patches: Tensor) -> Tensor:
    """``[B, h w]`` bool: the patches of which some pixel counts.

    Args:
        inside: ``[B, H, W]`` bool; None: everything counts.
        patches: ``[B, C, h, w]``.
    """
    images, _, height, width = patches.shape
    if inside is None:
        return torch.ones(images, height * width, dtype=torch.bool, device=patches.device)
    return F.adaptive_max_pool2d(inside[:, None].float(), (height, width)).bool().flatten(1)


def random_rows(rows: Tensor, most: int) -> Tensor:
    """A copy of ``[n, C]`` rows, or of a random choice of them, in order; drawn by torch's own generator."""
    if len(rows) <= most:
        return rows.clone()
    return rows[torch.randperm(len(rows))[:most].sort().values.to(rows.device)]


def share_of(most: int, image: int, images: int) -> int:
    """How many patches an image may give, so that all together give no more than ``most``."""
    return most * (image + 1) // images - most * image // images
