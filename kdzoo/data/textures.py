"""Textures by formula: a whole batch of varied colour pictures made on the device.

Five kinds in equal shares: spectral noise, woven waves, cells, dead leaves and gradients. Each image draws a kind, that
kind's parameters, and a palette. No file is read.

Letters: B images, H height, W width, P points.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.errors import UsageError

_CELLS = 40
_LEAVES = 56
_STOPS = 4


def formula_textures(
    count: int, size: int | tuple[int, int], generator: Generator, device: torch.device | str
) -> Tensor:
    """Makes textures.

    Args:
        count: how many, 0 or more.
        size: side in pixels, or (height, width).
        generator: source of all randomness, on ``device``; the same seed gives the same bits on the same device.
        device: where the textures are made.

    Returns:
        ``[count, 3, H, W]`` float32 in [0, 1].

    Raises:
        UsageError: a negative count or a size below 1.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if count < 0 or height < 1 or width < 1:
        raise UsageError(f"cannot make {count} textures of {height}x{width} pixels", hint="ask for at least one pixel")
    draw = _Dice(generator, torch.device(device))
    textures = torch.empty((count, 3, height, width), device=draw.device)
    # Kinds take turns from a random start, in a random order of images: how many are of each kind is then known
    # without asking the device, and still every image may be of any kind.
    order = torch.randperm(count, generator=generator, device=draw.device)
    kinds: tuple[Callable[[_Dice, int, int, int], Tensor], ...] = (_spectral, _waves, _cells, _leaves, _gradients)
    start = int(torch.randint(len(kinds), (1,), generator=generator, device=draw.device))
    for number, kind in enumerate(kinds):
        places = order[(number - start) % len(kinds) :: len(kinds)]
        if len(places):
            textures[places] = kind(draw, len(places), height, width)
    return textures


class _Dice:
    """Random tensors from one generator on one device."""

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.generator = generator
        self.device = device

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device) * (high - low) + low

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    def grid(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Rows ``[H, 1]`` and columns ``[1, W]`` of the pixel centres, in units of the longer side."""
        side = max(height, width)
        rows = (torch.arange(height, device=self.device) + 0.5) / side
        columns = (torch.arange(width, device=self.device) + 0.5) / side
        return rows[:, None], columns[None, :]


def _painted(draw: _Dice, field: Tensor) -> Tensor:
    """Colours a field: ``[B, H, W]`` in [0, 1] to ``[B, 3, H, W]``, along a line of `_STOPS` random colours."""
    stops = draw.uniform(len(field), 3, _STOPS)
    # The stops are pulled towards grey, and the line towards one colour: most real textures have few, muted hues.
    grey = draw.uniform(len(field), 1, 1)
    stops = stops + (stops.mean(dim=1, keepdim=True) - stops) * grey
    base = draw.uniform(len(field), 3, 1)
    base = base + (base.mean(dim=1, keepdim=True) - base) * grey
    stops = torch.lerp(base, stops, draw.uniform(len(field), 1, 1, low=0.25))
    place = field.clamp(0, 1).unsqueeze(1) * (_STOPS - 1)
    colour = stops[:, :, :1, None].expand(-1, -1, *field.shape[1:])
    for stop in range(_STOPS - 1):
        step = (stops[:, :, stop + 1] - stops[:, :, stop])[:, :, None, None]
        colour = torch.addcmul(colour, step, (place - stop).clamp(0, 1))
    return colour


def _stretched(field: Tensor) -> Tensor:
    """Each field scaled to mean 0.5, with two standard deviations reaching 0 and 1."""
    deviation, mean = torch.std_mean(field, dim=(1, 2), keepdim=True, correction=0)
    return 0.5 + (field - mean) / (4 * deviation + 1e-8)


def _noise(draw: _Dice, count: int, height: int, width: int, slope: Tensor, stretch: Tensor, angle: Tensor) -> Tensor:
    """Noise whose amplitude falls as ``1 / f^slope``, drawn out by ``stretch`` at ``angle``; ``[B, H, W]``."""
    spectrum = torch.fft.rfft2(draw.normal(count, height, width))
    rows = torch.fft.fftfreq(height, device=draw.device)[:, None]
    columns = torch.fft.rfftfreq(width, device=draw.device)[None, :]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    along, across = cos * columns + sin * rows, cos * rows - sin * columns
    frequency = torch.sqrt((along * stretch[:, None, None]) ** 2 + across**2)
    gain = (frequency + 1 / max(height, width)) ** -slope[:, None, None]
    noise: Tensor = torch.fft.irfft2(spectrum * gain, s=(height, width))
    return noise


def _spectral(draw: _Dice, count: int, height: int, width: int) -> Tensor:
    """Clouds, grain and brushed surfaces."""
    slope = draw.uniform(count, low=0.4, high=2.2)
    stretch = torch.exp(draw.uniform(count, high=math.log(10)) * (draw.uniform(count) < 0.6))
    angle = draw.uniform(count, high=math.pi)
    return _painted(draw, _stretched(_noise(draw, count, height, width, slope, stretch, angle)))


def _waves(draw: _Dice, count: int, height: int, width: int) -> Tensor:
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
    grain = _stretched(_noise(draw, count, height, width, slope, stretch, angle[:, 0, 0])) - 0.5
    return _painted(draw, field + grain * draw.uniform(count, 1, 1, high=0.35))


def _cells(draw: _Dice, count: int, height: int, width: int) -> Tensor:
    """Scales, stones and crackle: the distance to the nearest point, to the border between two, or a colour a cell."""
    half = (max(1, height // 2), max(1, width // 2))
    nearest, second, owner = _nearest(draw, count, *half, _CELLS)
    scale = math.sqrt(_CELLS)
    border = ((second - nearest) * scale * 2.5).clamp(0, 1)
    tone = torch.gather(draw.uniform(count, _CELLS), 1, owner.flatten(1)).view_as(nearest)
    kind = draw.uniform(count, 1, 1)
    field = torch.where(kind < 0.3, nearest * scale, torch.where(kind < 0.6, border, tone * (0.4 + 0.6 * border)))
    return _enlarged(_painted(draw, field), height, width)


def _nearest(draw: _Dice, count: int, height: int, width: int, points: int) -> tuple[Tensor, Tensor, Tensor]:
    """Distances to the nearest and second-nearest of random points, and the nearest's number; each ``[B, H, W]``."""
    rows, columns = draw.grid(height, width)
    centre = draw.uniform(count, points, 2)
    # Points crowd together along an axis that is stretched.
    stretch = torch.exp(draw.uniform(count, 1, low=-0.7, high=0.7))
    row_gap = ((rows[None, :, 0, None] - centre[:, None, :, 0]) * stretch[:, :, None]) ** 2
    column_gap = (columns[:, :, None] - centre[:, None, :, 1]) ** 2
    squared = row_gap[:, :, None, :] + column_gap[:, None, :, :]
    best, owner = squared.topk(2, dim=3, largest=False)
    distance = best.sqrt()
    return distance[..., 0], distance[..., 1], owner[..., 0]


def _leaves(draw: _Dice, count: int, height: int, width: int) -> Tensor:
    """Dead leaves: discs and flakes that fall on one another, each with a colour and a shade of its own."""
    half = (max(1, height // 2), max(1, width // 2))
    rows, columns = draw.grid(*half)
    field = draw.uniform(count, 1, 1).expand(-1, *half)
    middle = draw.uniform(2, _LEAVES, count, 1, 1)
    # Radii fall off as a power law, as in photographs.
    radius = 0.055 * (1 - draw.uniform(_LEAVES, count, 1, 1) * 0.97) ** -0.5
    angle = draw.uniform(_LEAVES, count, 1, 1, high=math.pi)
    flat = draw.uniform(_LEAVES, count, 1, 1, low=1.0, high=2.2)
    cos, sin = torch.cos(angle) / radius, torch.sin(angle) / radius
    tone = draw.uniform(_LEAVES, count, 1, 1)
    for leaf in range(_LEAVES):
        down, right = rows - middle[0, leaf], columns - middle[1, leaf]
        along = cos[leaf] * right + sin[leaf] * down
        across = (cos[leaf] * down - sin[leaf] * right) * flat[leaf]
        squared = along**2 + across**2
        field = torch.where(squared < 1, tone[leaf] * (1 - 0.3 * squared), field)
    return _enlarged(_painted(draw, field), height, width)


def _gradients(draw: _Dice, count: int, height: int, width: int) -> Tensor:
    """Slow changes of colour with a little grain, as on a painted or polished surface."""
    rows, columns = draw.grid(height, width)
    weight = draw.uniform(4, count, 1, 1, low=-1, high=1)
    field = weight[0] * rows + weight[1] * columns + weight[2] * (rows - 0.5) ** 2 * 2 + weight[3] * rows * columns
    low, high = field.amin(dim=(1, 2), keepdim=True), field.amax(dim=(1, 2), keepdim=True)
    field = (field - low) / (high - low + 1e-8)
    grain = draw.normal(count, height, width) * draw.uniform(count, 1, 1, high=0.06)
    return _painted(draw, field + grain)


def _enlarged(textures: Tensor, height: int, width: int) -> Tensor:
    return functional.interpolate(textures, (height, width), mode="bilinear", align_corners=False)
