"""The two parts of ADPS that turn distilled features into an anomaly map.

Source: Xing et al., arXiv 2210.10495: Weight Mask Block (WMB) and Post-Segmentation Module (PSM). No code was released;
the layers below are this project's reading of what the paper says the parts do.
Shapes: B images, C_k channels and h x w positions of level k = 1..3, H x W input size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kdzoo.methods.layers.blocks import conv_norm, initialise
from kdzoo.methods.layers.exact import exact
from kdzoo.methods.layers.masks import start_at_prior
from kdzoo.teachers.levels import LEVEL_REDUCTIONS

_MASK_CHANNELS = 64


class WeightMask(nn.Module):
    """WMB of one level: where student and teacher disagree, as a coarse mask.

    It sees the product of the unit features, channel by channel, and their cosine distance.

    Args:
        channels: C of the level.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        head = nn.Conv2d(_MASK_CHANNELS, 1, 3, padding=1)
        self.body = nn.Sequential(*conv_norm(channels + 1, _MASK_CHANNELS, 3), nn.ReLU(inplace=True), head)
        initialise(self)
        start_at_prior(head)

    def forward(self, teacher: Tensor, student: Tensor) -> Tensor:
        """Logits of the mask: twice ``[B, C, h, w]`` to ``[B, 1, h, w]``."""
        product = F.normalize(exact(teacher), dim=1) * F.normalize(exact(student), dim=1)
        distance = 1 - product.sum(dim=1, keepdim=True)
        # Times C, the mean over channels is the cosine similarity: both inputs are then of one size.
        return self.body(torch.cat([product * teacher.shape[1], distance], dim=1))  # type: ignore[no-any-return]


class PostSegmentation(nn.Module):
    """PSM: a top-down decoder over the three weighted teacher levels, to a map of the input's size.

    Each step takes in the next finer level, at twice the size where that is so; more steps lead from level 1 to full
    resolution, each doubling the size (the first one multiplies it by what is odd): two of a ResNet's, four of a
    transformer's with patches of 16 pixels.

    Args:
        channels: C_1, C_2, C_3.
        width: channels of the decoder; half and a quarter of it in the last two steps.
        reductions: input size over feature size of each level.
    """

    def __init__(
        self, channels: tuple[int, int, int], *, width: int, reductions: tuple[int, int, int] = LEVEL_REDUCTIONS
    ) -> None:
        super().__init__()
        first, second, third = reductions
        self._merging = (third // second, second // first)
        self._refining = _factors(first)
        self.skips = nn.ModuleList(
            nn.Sequential(*conv_norm(each, width, 1), nn.ReLU(inplace=True)) for each in channels
        )
        self.merges = nn.ModuleList(_step(2 * width, width) for _ in channels[:-1])
        widths = [*[width] * (len(self._refining) - 1), width // 2, width // 4]
        self.refine = nn.ModuleList(map(_step, widths, widths[1:]))
        self.head = nn.Conv2d(width // 4, 1, 1)
        initialise(self)
        start_at_prior(self.head)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Logits of the map: three levels to ``[B, 1, H, W]``."""
        finer = [skip(level) for skip, level in zip(self.skips, features, strict=True)]
        merged = finer.pop()
        for merge, level, factor in zip(self.merges, reversed(finer), self._merging, strict=True):
            merged = merge(torch.cat([_enlarged(merged, factor), level], dim=1))
        for refine, factor in zip(self.refine, self._refining, strict=True):
            merged = refine(_enlarged(merged, factor))
        return self.head(merged)  # type: ignore[no-any-return]


def _step(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*conv_norm(inputs, outputs, 3), nn.ReLU(inplace=True))


def _factors(reduction: int) -> tuple[int, ...]:
    """The steps from level 1 to full size, at least two: what is odd first, then doublings."""
    doublings = []
    while reduction % 2 == 0:
        doublings.append(2)
        reduction //= 2
    found = (*([reduction] if reduction > 1 else []), *doublings)
    return (*[1] * (2 - len(found)), *found)


def _enlarged(features: Tensor, factor: int) -> Tensor:
    if factor == 1:
        return features
    return F.interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
