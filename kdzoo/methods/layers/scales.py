"""What is normal for each level of distances: measured on normal images, kept with a method's weights.

Measured on the maps as they are added, at full size and smoothed, since smoothing takes most of a fine level's noise
away and little of a coarse one's.
Shapes: B images, H x W input size, h x w positions of a level, L levels, G = 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

_CENTRE, _UPPER = 0.5, 0.95
_UPPER_IN_SIGMAS = 1.6448536269514722
"""The upper quantile of a Gaussian: where values are Gaussian the spread is their standard deviation."""
_LEAST_SPREAD = 1e-6
"""Below this a spread is rounding alone: distances are float32 up to 2."""
_GRID: Final = 8
"""Cells a side: of 256 pixels 32, twice what a Gaussian of the default smoothing covers."""

Maps = tuple[list[Tensor], Tensor | None]
"""Of normal images: a map ``[B, H, W]`` for each level, and what counts of them, ``[B, H, W]`` bool; None: all."""


class LevelScale(nn.Module):
    """Centre and spread of each level on normal images, kept with the method's weights.

    The centre is the median, the spread the way from there to the 95th percentile, in sigmas: parts of an image that a
    student never learns stretch a standard deviation and not these.

    Before `fit` it changes nothing: centres 0, spreads 1.

    Args:
        levels: how many.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(levels))
        self.register_buffer("spread", torch.ones(levels))

    def fit(self, batches: Iterable[list[Tensor]]) -> None:
        """Takes centre and spread over all pixels of all images: exact quantiles, the same for the same maps.

        Args:
            batches: of normal images, at least one: for each level a map ``[B, H, W]``, or its pixels that count.
        """
        kept = [[level.detach().float().cpu().numpy() for level in batch] for batch in batches]
        for k, maps in enumerate(zip(*kept, strict=True)):
            pixels = np.concatenate([each.ravel() for each in maps]).astype(np.float64)
            centre, upper = np.quantile(pixels, (_CENTRE, _UPPER))
            self.centre[k] = float(centre)
            self.spread[k] = max(float(upper - centre) / _UPPER_IN_SIGMAS, _LEAST_SPREAD)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Distance maps of each level, of any shape, to their z-scores."""
        return [(level - self.centre[k]) / self.spread[k] for k, level in enumerate(levels)]

    def take(self, normal: Iterable[Maps]) -> None:
        """`fit` to the pixels that count."""
        self.fit(maps if inside is None else [level[inside] for level in maps] for maps, inside in normal)

    def offset(self, levels: Sequence[int], size: tuple[int, int]) -> Tensor | None:
        """What is left to be taken off a map after `forward`: nothing."""

    def told(self) -> dict[str, Any]:
        """Centre and spread of each level, as JSON values."""
        return {"level_centre": self.centre.tolist(), "level_spread": self.spread.tolist()}


class PlaceScale(nn.Module):
    """A centre for each place of each level, and the level's spread about it, kept with the method's weights.

    Where normal images are alike, so are the places where a student follows badly: an edge of the product, the border
    of the image. There a plain z-score is high on every image, and a maximum finds it in place of a defect. The centre
    is the mean over normal images of each cell of a coarse grid, brought to full size bilinearly, so that no defect's
    neighbourhood is learned by heart; the spread is that of `LevelScale`, of what is left. Ours.

    To be taken from train images: sixty-four centres a level follow the images that they are taken from, which would
    score lower than images to come.

    Before `take` it changes nothing: centres 0, spreads 1.

    Args:
        levels: L.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(levels, _GRID, _GRID))
        self.register_buffer("spread", torch.ones(levels))

    def take(self, normal: Iterable[Maps]) -> None:
        """Learns centres and spreads from normal images, at least one."""
        kept = [([level.detach().float().cpu() for level in maps], inside) for maps, inside in normal]
        insides = [None if inside is None else inside.cpu() for _, inside in kept]
        for level in range(len(self.spread)):
            maps = [each[level] for each, _ in kept]
            grid = _means_by_cell(maps, insides)
            rest = [made - _full(grid[None], made.shape[-2:])[0] for made in maps]
            pixels = _counted(rest, insides)
            centre, upper = np.quantile(pixels, (_CENTRE, _UPPER))
            self.centre[level] = grid + float(centre)
            self.spread[level] = max(float(upper - centre) / _UPPER_IN_SIGMAS, _LEAST_SPREAD)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Distance maps of each level, of any shape, by their spread; what is normal is still to be taken off."""
        return [level / self.spread[k] for k, level in enumerate(levels)]

    def offset(self, levels: Sequence[int], size: tuple[int, int]) -> Tensor | None:
        """``[H, W]``: what is normal for the sum of some levels after `forward`."""
        chosen = list(levels)
        return _full(self.centre[chosen] / self.spread[chosen][:, None, None], size).sum(dim=0)

    def told(self) -> dict[str, Any]:
        """Mean centre and spread of each level, as JSON values."""
        return {"level_centre": self.centre.mean(dim=(1, 2)).tolist(), "level_spread": self.spread.tolist()}


def _means_by_cell(maps: list[Tensor], insides: list[Tensor | None]) -> Tensor:
    """``[G, G]``: the mean of what counts in each cell; where nothing counts, of all that does."""
    total, weight = torch.zeros(_GRID, _GRID), torch.zeros(_GRID, _GRID)
    for made, inside in zip(maps, insides, strict=True):
        counts = torch.ones_like(made) if inside is None else inside.float()
        total += F.adaptive_avg_pool2d((made * counts)[:, None], _GRID).sum(dim=(0, 1))
        weight += F.adaptive_avg_pool2d(counts[:, None], _GRID).sum(dim=(0, 1))
    overall = total.sum() / weight.sum().clamp_min(_LEAST_SPREAD)
    return torch.where(weight > 0, total / weight.clamp_min(_LEAST_SPREAD), overall)


def _counted(maps: list[Tensor], insides: list[Tensor | None]) -> NDArray[np.float64]:
    """All pixels that count, in one row."""
    pairs = zip(maps, insides, strict=True)
    return np.concatenate(
        [(made if inside is None else made[inside]).numpy().ravel() for made, inside in pairs]
    ).astype(np.float64)


def _full(grids: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """``[n, G, G]`` to ``[n, H, W]``, bilinearly."""
    return F.interpolate(grids[:, None], size=tuple(size), mode="bilinear", align_corners=False)[:, 0]


SCALES: Final[dict[str, type[LevelScale] | type[PlaceScale]]] = {"zscore": LevelScale, "place": PlaceScale}
"""By `kdzoo.methods.config.LevelSumConfig.level_scale`."""
