"""From the distances of several levels to one map, added as they are or each by its spread on normal images.

The papers add the levels' distances as they are. Where a student follows the teacher badly at one level, that level's
distances are large and uneven everywhere, and what another level knows of a defect is lost in the sum. Z-scores are
centred and divided by the level's own spread first.
Shapes: B images, H x W input size, h x w positions of a level.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kdzoo.methods.base import Frozen, Method, Shown
from kdzoo.methods.config import LevelSumConfig
from kdzoo.methods.layers.maps import mean_of_largest, smooth, sum_of_levels
from kdzoo.teachers.backbone import Teacher

_CENTRE, _UPPER = 0.5, 0.95
_UPPER_IN_SIGMAS = 1.6448536269514722
"""The upper quantile of a Gaussian: where values are Gaussian the spread is their standard deviation."""
_LEAST_SPREAD = 1e-6
"""Below this a spread is rounding alone: distances are float32 up to 2."""


class LevelScale(nn.Module):
    """Centre and spread of each level on normal images, kept with the method's weights.

    The centre is the median, the spread the way from there to the 95th percentile, in sigmas: parts of an image that a
    student never learns stretch a standard deviation and not these. Measured on the maps as they are added, at full
    size and smoothed, since smoothing takes most of a fine level's noise away and little of a coarse one's.

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


class LevelSum(Method):
    """Base of the methods whose map is the smoothed sum of their levels' distances.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    config: LevelSumConfig

    def __init__(self, teacher: Teacher, config: LevelSumConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        levels = len(teacher.shape.channels)
        self.scale = LevelScale(levels) if config.level_scale == "zscore" else None

    @abstractmethod
    def distances(self, features: list[Tensor]) -> list[Tensor]:
        """What `targets` gave, ``[B, C, h, w]`` a level, to a distance map ``[B, h, w]`` for each level."""

    def targets(self, images: Tensor) -> list[Tensor]:
        """Normalised images ``[B, 3, H, W]`` to what the student is compared with; default the teacher's features."""
        features: list[Tensor] = self.teacher(images)
        return features

    def frozen(self) -> Frozen:
        """The teacher's features, which the student learns and maps compare with."""
        return self.frozen_teacher()

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Distances of the levels that count, scaled if asked for, added, smoothed: ``[B, 3, H, W]`` to ``[B, H, W]``.

        The papers add all levels. Ours: `LevelSumConfig.map_levels` leaves some out of the map; they are learned all
        the same.
        """
        levels = self.distances(self.targets(images) if features is None else features)
        scaled = levels if self.scale is None else self.scale(levels)
        return self._mapped([scaled[level] for level in self.config.added_levels], images)

    def image_score(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` maps to ``[B]`` scores: the mean of the ``top_t`` largest pixels; of 1, the papers' maximum."""
        return mean_of_largest(maps, self.config.top_t)

    def settle(self, normal: Iterable[Shown]) -> None:
        """Takes each level's centre and spread, where the levels are scaled by them."""
        if self.scale is not None:
            self.scale.fit(self._maps_by_level(shown) for shown in normal)

    def settled(self) -> dict[str, Any]:
        """Each level's centre and spread, level 1 first, where the levels are scaled by them."""
        if self.scale is None:
            return {}
        return {"level_centre": self.scale.centre.tolist(), "level_spread": self.scale.spread.tolist()}

    def _maps_by_level(self, shown: Shown) -> list[Tensor]:
        features = self.targets(shown.images) if shown.features is None else shown.features
        maps = [self._mapped([level], shown.images) for level in self.distances(features)]
        return maps if shown.inside is None else [level[shown.inside] for level in maps]

    def _mapped(self, levels: list[Tensor], images: Tensor) -> Tensor:
        return smooth(sum_of_levels(levels, size=(images.shape[-2], images.shape[-1])), self.config.smoothing_sigma)
