"""From the distances of several levels to one map, added as they are or each by its spread on normal images.

The papers add the levels' distances as they are. Where a student follows the teacher badly at one level, that level's
distances are large and uneven everywhere, and what another level knows of a defect is lost in the sum. Scaled levels
are centred and divided by their own spread first.
Shapes: B images, C channels, H x W input size, h x w positions of a level.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor

from kdzoo.methods.base import Frozen, Method, Shown
from kdzoo.methods.config import LevelSumConfig
from kdzoo.methods.layers.maps import mean_of_largest, smooth, sum_of_levels
from kdzoo.methods.layers.scales import SCALES, Maps, PlaceScale
from kdzoo.teachers.backbone import Teacher


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
        self.scale = SCALES[config.level_scale](levels) if config.level_scale in SCALES else None
        self._ignores_places = False

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
        chosen, size = self.config.added_levels, (images.shape[-2], images.shape[-1])
        if self.scale is None:
            return self._mapped([levels[level] for level in chosen], images)
        scaled = self.scale(levels)
        made, offset = self._mapped([scaled[level] for level in chosen], images), self._offset(chosen, size)
        return made if offset is None else made - offset

    def _offset(self, chosen: tuple[int, ...], size: tuple[int, int]) -> Tensor | None:
        """What is still to be taken off a map of scaled levels, ``[H, W]``, or ``[]`` where no place has its own."""
        if isinstance(self.scale, PlaceScale) and self._ignores_places:
            of_levels = self.scale.centre.mean(dim=(1, 2)) / self.scale.spread
            return of_levels[list(chosen)].sum()
        return None if self.scale is None else self.scale.offset(chosen, size)

    def image_score(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` maps to ``[B]`` scores: the mean of the ``top_t`` largest pixels; of 1, the papers' maximum."""
        return mean_of_largest(maps, self.config.top_t)

    @property
    def settles_on(self) -> Literal["selection", "train"]:
        """Places of train images; levels as a whole of the selection part's, which a student knows less well."""
        return "train" if self.config.level_scale == "place" else "selection"

    def settle(self, normal: Iterable[Shown]) -> None:
        """Takes each level's centre and spread, where the levels are scaled by them."""
        if self.scale is not None:
            self.scale.take(self._maps_by_level(shown) for shown in normal)

    def settled(self) -> dict[str, Any]:
        """Each level's centre and spread, level 1 first, where the levels are scaled by them."""
        return {} if self.scale is None else self.scale.told()

    def ignore_places(self) -> bool:
        """Takes the mean of a level's grid for the centre of each of its places."""
        self._ignores_places = isinstance(self.scale, PlaceScale)
        return self._ignores_places

    def _maps_by_level(self, shown: Shown) -> Maps:
        features = self.targets(shown.images) if shown.features is None else shown.features
        return [self._mapped([level], shown.images) for level in self.distances(features)], shown.inside

    def _mapped(self, levels: list[Tensor], images: Tensor) -> Tensor:
        return smooth(sum_of_levels(levels, size=(images.shape[-2], images.shape[-1])), self.config.smoothing_sigma)
