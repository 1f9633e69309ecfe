"""The defects that pretraining plants in its images: what a surface may suffer, by formula.

Letters: B images, S side in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from kdzoo.data.formula.dice import Dice, boxed

DEFECTS = ("none", "foreign", "blur", "stain", "contrast", "displaced", "stroke")
"""What a position may show; the number of each is its place in this tuple."""

_VISIBLE = 0.02
STROKE = DEFECTS.index("stroke")


def spoiled(draw: Dice, images: Tensor, foreign: Tensor) -> tuple[Tensor, Tensor]:
    """Images with one defect over their whole area, of a kind drawn for each.

    Args:
        draw: source of randomness.
        images: ``[B, 3, S, S]`` in [0, 1].
        foreign: ``[B, 3, S, S]``, the material of foreign bodies.

    Returns:
        ``[B, 3, S, S]`` float, which may leave [0, 1]; and the defect's number ``[B]`` int64.
    """
    count, side = len(images), images.shape[-1]
    kind = draw.below(5, count)
    chosen = kind[:, None, None, None]
    blurred = boxed(boxed(images, 5), 3)
    blurred = torch.lerp(blurred, boxed(blurred, 5), draw.uniform(count, 1, 1, 1))
    tint, shift = draw.uniform(count, 3, 1, 1, low=0.5, high=1.2), draw.uniform(count, 3, 1, 1, low=-0.15, high=0.15)
    gain = torch.exp(draw.uniform(count, 1, 1, 1, low=-1.2, high=0.7))
    level = draw.uniform(count, 1, 1, 1, low=-0.2, high=0.2)
    moved = torch.roll(images, (side // 3, side // 2), dims=(2, 3))
    displaced = torch.where(draw.uniform(count, 1, 1, 1) < 0.5, images.transpose(2, 3), moved)
    out = torch.where(chosen == 1, blurred, foreign)
    out = torch.where(chosen == 2, images * tint + shift, out)
    out = torch.where(chosen == 3, (images - 0.5) * gain + 0.5 + level, out)
    return torch.where(chosen == 4, displaced, out), kind + 1


def scratched(draw: Dice, images: Tensor) -> Tensor:
    """Images lighter or darker by 0.15 to 0.55, a little off in colour; ``[B, 3, S, S]``, which may leave [0, 1]."""
    count = len(images)
    step = draw.uniform(count, 1, 1, 1, low=0.15, high=0.55) * torch.sign(draw.normal(count, 1, 1, 1))
    return images + step + draw.uniform(count, 3, 1, 1, low=-0.08, high=0.08)


def softened(draw: Dice, masks: Tensor) -> Tensor:
    """Masks as opacities: hard, or blurred once or twice, and 0.6 to 1 strong; ``[B, 1, S, S]``."""
    hard = masks.float()[:, None]
    once = boxed(hard, 3)
    twice = boxed(once, 3)
    kind = draw.uniform(len(masks), 1, 1, 1)
    edge = torch.where(kind < 0.3, hard, torch.where(kind < 0.65, once, twice))
    return edge * draw.uniform(len(masks), 1, 1, 1, low=0.6, high=1.0)


def visible(images: Tensor, worse: Tensor) -> Tensor:
    """Where two images differ by more than noise, ``[B, S, S]`` bool: a blur of plain paint is no defect."""
    return boxed((worse - images).abs().mean(dim=1, keepdim=True), 5)[:, 0] > _VISIBLE
