"""Nearest neighbours: how far each patch of an image is from the nearest normal one that was kept.

What is left of PatchCore (Roth et al., CVPR 2022, arXiv 2106.08265) without its coreset and its weight of image scores:
patches are drawn at random, which takes no time, and an image's score is its map's. It learns nothing, so it is what
a method that learns has to beat.
Shapes: B images, C channels, h x w positions of the finest level, H x W input size, r rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.errors import TrainingError
from kdzoo.methods.base import Frozen, Method, OnePass, Shown
from kdzoo.methods.layers.exact import exact_products
from kdzoo.methods.layers.maps import mean_of_largest, smooth
from kdzoo.methods.layers.patches import patches_of, positions_inside, random_rows, share_of
from kdzoo.methods.nearest.config import NearestConfig
from kdzoo.teachers.backbone import Teacher

_AT_ONCE: Final = 2048
"""Patches that are compared at once: with 8,000 rows 64 MiB of distances."""
_PROBES: Final = 512
"""Patches of train images that are asked how near the bank is."""


class Bank(nn.Module):
    """Normal patches ``[r, C]``, none at first.

    Args:
        channels: C.
    """

    rows: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("rows", torch.empty(0, channels))

    def forward(self, patches: Tensor) -> Tensor:
        """``[n, C]`` to ``[n]``: Euclidean distance to the nearest row.

        Raises:
            TrainingError: there are no rows.
        """
        if not len(self.rows):
            raise TrainingError("no normal patches are kept", hint="train the method first")
        with exact_products(patches):
            # Which row is nearest is found by products, many times faster than by differences, of centred features;
            # how far it is, by differences: of a difference of large squares little but rounding would be left.
            centre = self.rows.mean(dim=0)
            rows = self.rows - centre
            squares = rows.square().sum(dim=1)
            found = []
            for some in torch.split(patches - centre, _AT_ONCE):
                nearest = torch.addmm(squares, some.detach(), rows.T, alpha=-2).argmin(dim=1)
                found.append(torch.linalg.vector_norm(some - rows[nearest], dim=1))
        return torch.cat(found)


class Nearest(Method):
    """One pass over normal images.

    Args:
        teacher: frozen backbone.
        config: knobs.
    """

    def __init__(self, teacher: Teacher, config: NearestConfig) -> None:
        super().__init__()
        self.teacher, self.config = teacher, config
        self.bank = Bank(sum(teacher.shape.channels[level] for level in config.chosen_levels))

    def stages(self) -> Sequence[OnePass]:
        """The bank is filled."""
        return [OnePass(name="remember", modules=[self.bank], take=self._take, frozen=self.frozen())]

    def frozen(self) -> Frozen:
        """The teacher's features: all that a map begins with."""
        return self.frozen_teacher()

    def lengths(self) -> dict[str, int]:
        """The bank's rows follow from the images."""
        return {"bank.rows": self.config.rows}

    def anomaly_map(self, images: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """The patches' distances at full size: ``[B, 3, H, W]`` to ``[B, H, W]``."""
        patches = self._patches(images, features)
        batch, _, height, width = patches.shape
        distances = self.bank(patches.flatten(2).transpose(1, 2).flatten(0, 1)).view(batch, 1, height, width)
        size = (images.shape[-2], images.shape[-1])
        maps = F.interpolate(distances, size=size, mode="bilinear", align_corners=False)[:, 0]
        return smooth(maps, self.config.smoothing_sigma)

    def image_score(self, maps: Tensor) -> Tensor:
        """``[B, H, W]`` maps to ``[B]`` scores: the mean of the ``top_t`` largest pixels."""
        return mean_of_largest(maps, self.config.top_t)

    def _patches(self, images: Tensor, features: list[Tensor] | None) -> Tensor:
        levels = self.teacher(images) if features is None else features
        return patches_of(levels, self.config.chosen_levels, self.config.neighbourhood)

    def _take(self, batches: Iterable[Shown], images: int) -> dict[str, float]:
        """Fills the bank, as evenly from all images as it has rows.

        Gives how many it keeps, and how far a train image's patch is from the nearest of them, on average over some.
        """
        kept, probes, seen = list[Tensor](), list[Tensor](), 0
        for shown in batches:
            patches = self._patches(shown.images, shown.features)
            inside = positions_inside(shown.inside, patches)
            for number in range(len(patches)):
                rows = patches[number].flatten(1).T[inside[number]]
                kept.append(random_rows(rows, share_of(self.config.rows, seen, images)))
                probes.append(random_rows(rows, share_of(_PROBES, seen, images)))
                seen += 1
        self.bank.rows = torch.cat(kept)
        if not len(self.bank.rows):
            raise TrainingError("nothing of the train images counts", hint="widen the region of interest")
        return {"rows": float(len(self.bank.rows)), "distance": float(self.bank(torch.cat(probes)).mean())}
