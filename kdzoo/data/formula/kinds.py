"""The plain kinds of formula textures: spectral noise, woven waves, cells, dead leaves and gradients.

Cheap enough to fill the synthetic anomalies of every batch. Each image draws its kind's parameters and a palette.

Letters: B images, H height, W width, P points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from kdzoo.data.formula.dice import Dice, enlarged, noise, painted, stretched

_CELLS = 40
_LEAVES = 56


def plain_textures(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """The five plain kinds in equal shares; ``[count, 3, H, W]`` float32 in [0, 1]."""
    textures = torch.empty((count, 3, height, width), device=draw.device)
    # Kinds take turns from a random start, in a random order of images: how many are of each kind is then known
    # without asking the device, and still every image may be of any kind.
    order = draw.order(count)
    kinds: tuple[Callable[[Dice, int, int, int], Tensor], ...] = (spectral, waves, cells, leaves, gradients)
    start = draw.whole(len(kinds))
    for number, kind in enumerate(kinds):
        places = order[(number - start) % len(kinds) :: len(kinds)]
        if len(places):
            textures[places] = kind(draw, len(places), height, width)
    return textures


def spectral(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Clouds, grain and brushed surfaces."""
    slope = draw.uniform(count, low=0.4, high=2.2)
    stretch = torch.exp(draw.uniform(count, high=math.log(10)) * (draw.uniform(count) < 0.6))
    angle = draw.uniform(count, high=math.pi)
    return painted(draw, stretched(noise(draw, count, height, width, slope, stretch, angle)))


def waves(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Stripes, checks and ripples, smooth or hard, bent by slow waves."""
    rows, columns = draw.grid(height, width)
    angle = draw.uniform(count, 1, 1, high=math.pi)
    across = torch.cos(angle) * columns + torch.sin(angle) * rows
    along = torch.cos(angle) * rows - torch.sin(angle) * columns
    # From 3 to 40 periods a side, on a logarithmic scale.
    pitch = 2 * math.pi * torch.exp(draw.uniform(2, count, 1, 1, low=math.log(3), high=math.log(40)))
    bend = draw.uniform(count, 1, 1, high=2.5) * torch.sin(
        along * draw.uniform(count, 1, 1, low=4, high=25) + draw.uniform(count, 1, 1, high=6.3)
    )
    first = torch.sin(across * pitch[0] + bend)
    second = torch.sin(along * pitch[1] + draw.uniform(count, 1, 1, high=6.3))
    kind = draw.uniform(count, 1, 1)
    field = torch.where(kind < 0.4, first, torch.where(kind < 0.7, first * second, (first + second) / 2))
    hard = torch.exp(draw.uniform(count, 1, 1, high=math.log(12)))
    field = 0.5 + 0.5 * torch.tanh(field * hard) / torch.tanh(hard)
    slope, stretch = draw.uniform(count, low=0.2, high=1.0), torch.ones(count, device=draw.device)
    grain = stretched(noise(draw, count, height, width, slope, stretch, angle[:, 0, 0])) - 0.5
    return painted(draw, field + grain * draw.uniform(count, 1, 1, high=0.35))


def cells(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Scales, stones and crackle: the distance to the nearest point, to the border between two, or a colour a cell."""
    half = (max(1, height // 2), max(1, width // 2))
    nearest, second, owner = _nearest(draw, count, *half, _CELLS)
    scale = math.sqrt(_CELLS)
    border = ((second - nearest) * scale * 2.5).clamp(0, 1)
    tone = torch.gather(draw.uniform(count, _CELLS), 1, owner.flatten(1)).view_as(nearest)
    kind = draw.uniform(count, 1, 1)
    field = torch.where(kind < 0.3, nearest * scale, torch.where(kind < 0.6, border, tone * (0.4 + 0.6 * border)))
    return enlarged(painted(draw, field), height, width)


def _nearest(draw: Dice, count: int, height: int, width: int, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distances to the nearest and second-nearest of random points, and the nearest's number; each ``[B, H, W]``."""
    rows, columns = draw.grid(height, width)
    centre = draw.uniform(count, points, 2, 1)
    # Points crowd together along an axis that is stretched.
    stretch = torch.exp(draw.uniform(count, 1, 1, low=-0.7, high=0.7))
    row_gap = ((rows[:, 0] - centre[:, :, 0]) * stretch) ** 2
    column_gap = (columns - centre[:, :, 1]) ** 2
    squared = row_gap[:, :, :, None] + column_gap[:, :, None, :]
    # Floats that are not negative are in order as whole numbers too. With a point's number in the lowest bits, in place
    # of a hundred-thousandth of its distance, the nearest of all is a mere minimum.
    bits = (1 << (points - 1).bit_length()) - 1
    coded = squared.view(torch.int32).bitwise_and_(~bits)
    coded += torch.arange(points, dtype=torch.int32, device=draw.device)[:, None, None]
    nearest = coded.amin(dim=1)
    coded.masked_fill_(coded == nearest[:, None], torch.iinfo(torch.int32).max & ~(1 << 23))
    second = coded.amin(dim=1)
    distance, next_distance = ((code & ~bits).view(torch.float32).sqrt() for code in (nearest, second))
    return distance, next_distance, (nearest & bits).long()


def leaves(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Dead leaves: discs and flakes that fall on one another, each with a colour and a shade of its own."""
    half = (max(1, height // 2), max(1, width // 2))
    middle = draw.uniform(2, count, _LEAVES)
    # Radii fall off as a power law, as in photographs.
    radius = 0.055 * (1 - draw.uniform(count, _LEAVES) * 0.97) ** -0.5
    angle = draw.uniform(count, _LEAVES, high=math.pi)
    flat = draw.uniform(count, _LEAVES, low=1.0, high=2.2)
    squared = _ellipses(middle, radius, angle, flat, draw.grid(*half))
    # The topmost leaf at each pixel, numbered from 1; 0 is the ground.
    number = torch.arange(1, _LEAVES + 1, dtype=torch.uint8, device=draw.device)[:, None]
    top = ((squared < 1) * number).amax(dim=1, keepdim=True).long()
    tone, ground = draw.uniform(count, _LEAVES), draw.uniform(count, 1)
    tone = torch.cat([ground, tone], dim=1).gather(1, top[:, 0])
    shade = 0.3 * squared.gather(1, (top - 1).clamp_min(0))[:, 0] * (top[:, 0] > 0)
    return enlarged(painted(draw, (tone * (1 - shade)).view(count, *half)), height, width)


def _ellipses(middle: Tensor, radius: Tensor, angle: Tensor, flat: Tensor, grid: tuple[Tensor, Tensor]) -> Tensor:
    """How far out of each ellipse each pixel lies: 0 in its middle, 1 on its edge, growing as the square.

    Args:
        middle: ``[2, B, P]``, row and column.
        radius: ``[B, P]``, the longer one.
        angle: ``[B, P]`` radians.
        flat: ``[B, P]``, 1 or more: the longer radius over the shorter one.
        grid: rows ``[H, 1]`` and columns ``[1, W]`` in the same unit as the middles.

    Returns:
        ``[B, P, H * W]``.
    """
    height, width = grid[0].shape[0], grid[1].shape[1]
    rows, columns = (line.expand(height, width) - 0.5 for line in grid)
    down, right = middle - 0.5
    cos, sin = torch.cos(angle) / radius, torch.sin(angle) / radius
    # A quadratic form of the pixel's place: one matrix product for all ellipses, in place of a pass for each term.
    first, mixed, second = sin**2 + (cos * flat) ** 2, cos * sin * (1 - flat**2), cos**2 + (sin * flat) ** 2
    by_row, by_column = -2 * (first * down + mixed * right), -2 * (mixed * down + second * right)
    rest = first * down**2 + 2 * mixed * down * right + second * right**2
    terms = torch.stack([first, 2 * mixed, second, by_row, by_column, rest], dim=2)
    basis = torch.stack([rows**2, rows * columns, columns**2, rows, columns, torch.ones_like(rows)])
    return terms @ basis.flatten(1)


def gradients(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Slow changes of colour with a little grain, as on a painted or polished surface."""
    rows, columns = draw.grid(height, width)
    weight = draw.uniform(4, count, 1, 1, low=-1, high=1)
    field = weight[0] * rows + weight[1] * columns + weight[2] * (rows - 0.5) ** 2 * 2 + weight[3] * rows * columns
    low, high = field.amin(dim=(1, 2), keepdim=True), field.amax(dim=(1, 2), keepdim=True)
    field = (field - low) / (high - low + 1e-8)
    grain = draw.normal(count, height, width) * draw.uniform(count, 1, 1, high=0.06)
    return painted(draw, field + grain)
