"""Outlines by formula: blobs and strokes, a batch at a time, with all sizes in units of the image's side.

Letters: B images, S side in pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from kdzoo.data.formula.dice import Dice

_LOBES = (2, 3, 5)


def blobs(draw: Dice, count: int, side: int, *, smallest: float, largest: float) -> Tensor:
    """One wobbly ellipse an image, a quarter of them boxes; ``[B, S, S]`` bool.

    Args:
        draw: source of randomness.
        count: B.
        side: S.
        smallest: least mean radius.
        largest: greatest mean radius; radii are drawn on a logarithmic scale.
    """
    down, right = _from_centre(draw, count, side, low=-0.05, high=1.05)
    radius = torch.exp(draw.uniform(count, 1, 1, low=math.log(smallest), high=math.log(largest)))
    along, across = _turned(draw, count, down, right)
    long = torch.exp(draw.uniform(count, 1, 1, low=-0.8, high=0.8))
    along, across = along * long, across / long
    angle = torch.atan2(across, along)
    wobble = torch.ones_like(radius)
    for lobes in _LOBES:
        depth, phase = draw.uniform(count, 1, 1, high=0.25), draw.uniform(count, 1, 1, high=2 * math.pi)
        wobble = wobble + depth * torch.cos(lobes * angle + phase)
    boxes = torch.maximum(along.abs(), across.abs()) < 0.8 * radius
    return torch.where(draw.uniform(count, 1, 1) < 0.25, boxes, torch.hypot(along, across) < radius * wobble)


def strokes(draw: Dice, count: int, side: int) -> Tensor:
    """One thin stroke an image, bent or waved, 1 to 3 pixels wide; ``[B, S, S]`` bool."""
    down, right = _from_centre(draw, count, side, low=0.0, high=1.0)
    along, across = _turned(draw, count, down, right)
    wave = draw.uniform(count, 1, 1, high=0.05) * torch.sin(along * draw.uniform(count, 1, 1, low=5, high=40))
    across = across + wave + draw.uniform(count, 1, 1, low=-0.8, high=0.8) * along**2
    half_width = draw.uniform(count, 1, 1, low=0.6, high=1.6) / side
    return (across.abs() < half_width) & (along.abs() < draw.uniform(count, 1, 1, low=0.05, high=0.3))


def _from_centre(draw: Dice, count: int, side: int, *, low: float, high: float) -> tuple[Tensor, Tensor]:
    """Rows ``[B, S, 1]`` and columns ``[B, 1, S]`` as seen from a random point."""
    rows, columns = draw.grid(side, side)
    centre = draw.uniform(2, count, 1, 1, low=low, high=high)
    return rows - centre[0], columns - centre[1]


def _turned(draw: Dice, count: int, down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates along and across a random direction; each ``[B, S, S]``."""
    angle = draw.uniform(count, 1, 1, high=2 * math.pi)
    cos, sin = torch.cos(angle), torch.sin(angle)
    return right * cos + down * sin, down * cos - right * sin
