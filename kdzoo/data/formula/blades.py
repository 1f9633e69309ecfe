"""Blades: hundreds of short, bent, tapering strokes that lie on one another, as grass, fibres and chips do.

Letters: B images, H height, W width, P side of the patch that holds one stroke.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kdzoo.data.formula.dice import Dice, painted

_STROKES = 270
_PATCH = 28


def blades(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Makes textures of strokes; the field goes on over its border. ``[B, 3, H, W]`` in [0, 1]."""
    field = draw.uniform(count, 1, 1).expand(-1, height, width).clone()
    lean, spread = draw.uniform(count, high=2 * math.pi), draw.uniform(count, high=1.6)
    long = torch.exp(draw.uniform(count, 1, 1, low=math.log(0.03), high=math.log(0.25)))
    thick = torch.exp(draw.uniform(count, 1, 1, low=math.log(0.006), high=math.log(0.05)))
    window = torch.arange(_PATCH, device=draw.device) - _PATCH // 2
    image = torch.arange(count, device=draw.device)[:, None, None]
    # In pixels of a picture 144 wide, whatever its size: a stroke must fit its patch.
    down, right = (window / 144)[None, :, None], (window / 144)[None, None, :]
    for _ in range(_STROKES):
        rows = (draw.below(height, count)[:, None] + window) % height
        columns = (draw.below(width, count)[:, None] + window) % width
        angle = (lean + draw.normal(count) * spread)[:, None, None]
        along = right * torch.cos(angle) + down * torch.sin(angle)
        across = down * torch.cos(angle) - right * torch.sin(angle)
        across = across + 3 * along**2 * draw.normal(count, 1, 1)
        stroke = across.abs() < thick * (1 - (along / long).abs())
        tone = draw.uniform(count, 1, 1) * (1 - 15 * across.abs()).clamp(0.5, 1)
        place = (image, rows[:, :, None], columns[:, None, :])
        field[place] = torch.where(stroke, tone, field[place])
    return painted(draw, field)
