"""From two sets of features to an anomaly map.

Shapes: B images, C channels, h x w positions of a level, H x W input size.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_TRUNCATE = 4.0


def cosine_distance_map(teacher: list[Tensor], student: list[Tensor], *, size: tuple[int, int]) -> Tensor:
    """``[B, H, W]``: over the levels, the sum of 1 - cosine similarity, upsampled bilinearly with aligned corners.

    Source: Deng & Li, CVPR 2022, equations 1 and 4.
    """
    return sum_of_levels(cosine_distances(teacher, student), size=size)


def cosine_distances(teacher: list[Tensor], student: list[Tensor]) -> list[Tensor]:
    """1 - cosine similarity over channels: levels ``[B, C, h, w]`` to ``[B, h, w]``."""
    pairs = zip(teacher, student, strict=True)
    return [1 - F.cosine_similarity(expected, found, dim=1) for expected, found in pairs]


def sum_of_levels(levels: list[Tensor], *, size: tuple[int, int]) -> Tensor:
    """Maps ``[B, h, w]`` of each level, upsampled bilinearly with aligned corners and added: ``[B, H, W]``."""
    total: Tensor | None = None
    for distance in levels:
        level = F.interpolate(distance[:, None], size=size, mode="bilinear", align_corners=True)[:, 0]
        total = level if total is None else total + level
    if total is None:
        raise ValueError("no levels to compare")
    return total


def mean_of_largest(maps: Tensor, count: int) -> Tensor:
    """``[B, H, W]`` maps to ``[B]``: the mean of each one's ``count`` largest pixels, at most all of them."""
    pixels = maps.flatten(1)
    if count == 1:
        return pixels.amax(dim=1)
    return pixels.topk(min(count, pixels.shape[1]), dim=1).values.mean(dim=1)


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """A Gaussian over ``[B, H, W]`` maps, truncated at 4 sigma, the border mirrored (edge pixel repeated).

    Written as two small matrix products, which hold the border rule exactly for any size.
    """
    if sigma <= 0:
        return maps
    height, width = maps.shape[-2:]
    rows = _gaussian_matrix(height, sigma, maps.dtype, maps.device)
    columns = _gaussian_matrix(width, sigma, maps.dtype, maps.device)
    return rows @ maps @ columns.T


@lru_cache(maxsize=32)
def _gaussian_matrix(size: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``[size, size]`` matrix that blurs a vector of ``size`` values; computed in float64."""
    radius = int(_TRUNCATE * sigma + 0.5)
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    # Mirroring with the edge repeated has period 2 * size: ... 1 0 | 0 1 2 ... n-1 | n-1 n-2 ...
    source = (torch.arange(size)[:, None] + offsets.long()) % (2 * size)
    source = torch.where(source < size, source, 2 * size - 1 - source)
    matrix = torch.zeros(size, size, dtype=torch.float64)
    return matrix.scatter_add_(1, source, kernel.expand(size, -1)).to(dtype=dtype, device=device)
