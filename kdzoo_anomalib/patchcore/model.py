"""PatchCore: how far each patch of an image is from the nearest of a memory of normal ones.

Source: Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022 (arXiv 2106.08265), by anomalib's
parts. What differs: the image score is the map's maximum, as of every method here, without the paper's weight for
patches whose neighbours in the bank are far apart; the bank has a bound, and so have the patches it is chosen from.
Shapes: B images, C channels, h x w positions of the finest level, H x W input size, n patches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kdzoo.errors import TrainingError
from kdzoo.methods.base import Frozen, Method, OnePass, Shown
from kdzoo.methods.layers.maps import smooth
from kdzoo.methods.layers.patches import positions_inside, random_rows, share_of
from kdzoo.teachers.backbone import Teacher
from kdzoo_anomalib.patchcore.config import PatchCoreConfig
from kdzoo_anomalib.patchcore.memory import PatchMemory


class PatchCore(Method):
    """One pass over normal images.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    def __init__(self, teacher: Teacher, config: PatchCoreConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.memory = PatchMemory(config.chosen_levels, teacher.shape.channels, config.neighbourhood)

    def stages(self) -> Sequence[OnePass]:
        """The bank is filled, and thinned to its coreset."""
        return [OnePass(name="remember", modules=[self.memory], take=self._take, frozen=self.frozen())]

    def frozen(self) -> Frozen:
        """The teacher's features: all that a map begins with."""
        return self.frozen_teacher()

    def lengths(self) -> dict[str, int]:
        """The bank's rows follow from the images."""
        return {"memory.memory_bank": self.config.most_rows}

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """The patches' distances at full size: ``[B, 3, H, W]`` to ``[B, H, W]``."""
        distances = self.memory.distances(self._patches(images, features))
        size = (images.shape[-2], images.shape[-1])
        maps = F.interpolate(distances[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]
        return smooth(maps, self.config.smoothing_sigma)

    def _patches(self, images: Tensor, features: list[Tensor] | None) -> Tensor:
        return self.memory.patches(self.teacher(images) if features is None else features)

    def _take(self, batches: Iterable[Shown], images: int) -> dict[str, float]:
        """Fills the bank; gives its rows, how many patches they were chosen from, and how well they cover these."""
        most, seen, kept = self.config.candidates, 0, list[Tensor]()
        for shown in batches:
            patches = self._patches(shown.images, shown.features)
            inside = positions_inside(shown.inside, patches)
            for number in range(len(patches)):
                kept.append(random_rows(patches[number].flatten(1).T[inside[number]], share_of(most, seen, images)))
                seen += 1
        candidates = torch.cat(kept)
        if not len(candidates):
            raise TrainingError("nothing of the train images counts", hint="widen the region of interest")
        rows = min(max(int(len(candidates) * self.config.coreset_ratio), 1), self.config.most_rows)
        radius = self.memory.fill(candidates, rows)
        return {"rows": float(rows), "patches": float(len(candidates)), "radius": radius}
