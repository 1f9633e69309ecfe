"""What pretraining asks of the features at every position of every level.

Two questions, both of the features' direction, since a cosine is what the distillation methods compare:

- *Which material is this?* Positions that lie wholly in the same region, in whatever image, must be more alike than
  any others: the supervised contrast of Khosla et al., NeurIPS 2020 (arXiv 2004.11362, equation 2), taken densely and
  without a projection head, so that it shapes the very space that is compared later. Positions on a border belong to
  no region: they are something else for all the others, so that thin things are seen.
- *Which defect is this?* A linear cosine classifier over the planted defects. (Ours.)

Letters: B images, C channels, h x w positions of a level, S side of the image, N compared positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from kdzoo.data.formula.dice import Dice
from kdzoo.pretraining.defects import DEFECTS
from kdzoo.pretraining.recipe import LEVEL_STRIDES, PretrainConfig
from kdzoo.pretraining.scenes import Scenes

_SHARPNESS = 16.0
# Most positions show nothing; displaced material is often like what it covers.
_DEFECT_WEIGHTS = (0.25, 1.0, 1.0, 1.0, 1.0, 0.5, 1.0)
# A position shows a defect that covers this share of it, none up to `_UNCLEAR`; what lies between is not asked.
_COVERED = {4: 0.2, 8: 0.12, 16: 0.12}
_UNCLEAR = 0.01


class Objective(nn.Module):
    """The loss and its learned part, the defects' directions.

    Args:
        channels: C of the three levels.
        config: the recipe.
    """

    def __init__(self, channels: tuple[int, int, int], config: PretrainConfig) -> None:
        super().__init__()
        self.config = config
        self.directions = nn.ParameterList(nn.Parameter(torch.randn(len(DEFECTS), width) * 0.05) for width in channels)
        self.register_buffer("weights", torch.tensor(_DEFECT_WEIGHTS), persistent=False)

    def forward(self, features: list[Tensor], scenes: Scenes, draw: Dice) -> dict[str, Tensor]:
        """The loss of a batch.

        Args:
            features: levels ``[B, C, h, w]`` float32.
            scenes: the batch.
            draw: draws the positions that are compared.

        Returns:
            ``loss``, its parts ``contrast`` and ``defect``, scalars; and ``found``, the share of positions with a
            defect that are called some defect, the levels' mean.
        """
        contrast, defect, found = [], [], []
        for level, stride in zip(features, LEVEL_STRIDES, strict=True):
            contrast.append(self._contrast(level, scenes.regions, stride, draw))
        for level, stride, directions in zip(features, LEVEL_STRIDES, self.directions, strict=True):
            loss, share = self._defect(level, directions, scenes.defects, stride)
            defect.append(loss)
            found.append(share)
        parts = {"contrast": torch.stack(contrast).sum(), "defect": torch.stack(defect).sum()}
        total = self.config.contrast_weight * parts["contrast"] + self.config.defect_weight * parts["defect"]
        return {"loss": total, **parts, "found": torch.stack(found).mean()}

    def _contrast(self, level: Tensor, regions: Tensor, stride: int, draw: Dice) -> Tensor:
        region, pure = _of_positions(regions, stride)
        # Whatever is no pure position of a material has a number of its own: other to all, like to none.
        region = torch.where(pure, region, -1 - torch.arange(len(region), device=region.device))
        chosen = draw.order(len(region))[: self.config.positions]
        region = region[chosen]
        points = functional.normalize(level.permute(0, 2, 3, 1).flatten(0, 2)[chosen], dim=1)
        itself = torch.eye(len(points), dtype=torch.bool, device=points.device)
        likeness = (points @ points.T / self.config.temperature).masked_fill(itself, -1e9)
        log_share = likeness - likeness.logsumexp(dim=1, keepdim=True)
        same = (region[:, None] == region[None, :]) & ~itself
        partners = same.sum(dim=1)
        loss = -(log_share * same).sum(dim=1) / partners.clamp(min=1)
        return (loss * (partners > 0)).sum() / (partners > 0).sum().clamp(min=1)

    def _defect(self, level: Tensor, directions: Tensor, defects: Tensor, stride: int) -> tuple[Tensor, Tensor]:
        shares = functional.one_hot(defects, len(DEFECTS)).permute(0, 3, 1, 2).float()
        cover, kind = functional.avg_pool2d(shares, stride)[:, 1:].max(dim=1)
        shown = cover > _COVERED[stride]
        target = torch.where(shown, kind + 1, 0).masked_fill(~shown & (cover > _UNCLEAR), -100)
        unit, axes = functional.normalize(level, dim=1), functional.normalize(directions, dim=1)
        scores = _SHARPNESS * torch.einsum("bchw,kc->bkhw", unit, axes)
        loss = functional.cross_entropy(scores, target, self.get_buffer("weights"))
        found = ((scores.argmax(dim=1) > 0) & shown).sum() / shown.sum().clamp(min=1)
        return loss, found


def _of_positions(regions: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Region and purity of each position: ``[B, S, S]`` to two ``[B h w]``."""
    count, side, _ = regions.shape
    blocks = regions.reshape(count, side // stride, stride, side // stride, stride)
    low, high = blocks.amin(dim=(2, 4)), blocks.amax(dim=(2, 4))
    return low.flatten(), (low == high).flatten()
