"""Richer formula pictures, for training a teacher: sine networks, repeated motifs and blended, warped textures.

They cost several times what the plain kinds of `kdzoo.data.formula.kinds` cost, so synthetic anomalies do without them.

Sources of the ideas: compositional pattern-producing networks (Stanley 2007); "Procedural Image Programs for
Representation Learning" (Baradad et al., NeurIPS 2022), whose finding it is that variety of structure is what counts.

Letters: B images, H height, W width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from kdzoo.data.formula.dice import Dice, painted, stretched
from kdzoo.data.formula.kinds import plain_textures

_HIDDEN = 12
_MOTIF = 32


def sine_networks(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """Random three-layer networks of sines over the coordinates: blobs, marbling, folds; ``[B, 3, H, W]`` in [0, 1]."""
    rows = torch.linspace(-1, 1, height, device=draw.device)
    columns = torch.linspace(-1, 1, width, device=draw.device)
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).view(1, 2, -1)
    frequency = torch.exp(draw.uniform(count, 1, 1, low=math.log(1.5), high=math.log(14)))
    hidden = torch.sin(
        (draw.normal(count, _HIDDEN, 2) * frequency) @ places + draw.uniform(count, _HIDDEN, 1, high=6.3)
    )
    for _ in range(2):
        weight = draw.normal(count, _HIDDEN, _HIDDEN) * draw.uniform(count, 1, 1, low=0.3, high=1.2)
        hidden = torch.sin(weight @ hidden + draw.uniform(count, _HIDDEN, 1, high=6.3))
    colour = (draw.normal(count, 3, _HIDDEN) @ hidden) * draw.uniform(count, 1, 1, low=0.3, high=1.5)
    colour = 0.5 + 0.5 * torch.tanh(colour).view(count, 3, height, width)
    colour = colour + (colour.mean(dim=1, keepdim=True) - colour) * draw.uniform(count, 1, 1, 1)
    return colour * draw.uniform(count, 3, 1, 1, low=0.6, high=1.0)


def lattices(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """A motif repeated on a grid or in staggered rows, turned or straight: cloth, mesh, tiles; ``[B, 3, H, W]``."""
    motif = torch.where(draw.uniform(count, 1, 1) < 0.5, _motifs(draw, count), _weaves(draw, count))
    rows = torch.arange(height, device=draw.device, dtype=torch.float32)[None, :, None]
    columns = torch.arange(width, device=draw.device, dtype=torch.float32)[None, None, :]
    angle = draw.uniform(count, 1, 1, high=2 * math.pi) * (draw.uniform(count, 1, 1) < 0.6)
    bend = draw.uniform(count, 1, 1, high=1.5) * torch.sin(columns * draw.uniform(count, 1, 1, high=0.06))
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows, columns = rows * cos - columns * sin + bend, columns * cos + rows * sin
    tall = torch.exp(draw.uniform(count, 1, 1, low=math.log(7), high=math.log(48)))
    wide = tall * torch.exp(draw.uniform(count, 1, 1, low=-0.7, high=0.7))
    stagger = draw.uniform(count, 1, 1) * (draw.uniform(count, 1, 1) < 0.5)
    down = rows / tall
    right = columns / wide + torch.floor(down) * stagger
    field = _read(motif, down % 1, right % 1)
    # Motifs are read at whole positions; a box of two pixels takes the stairs off.
    field = (field + field.roll(1, 1) + field.roll(1, 2) + field.roll((1, 1), (1, 2))) / 4
    grain = draw.normal(count, height, width) * draw.uniform(count, 1, 1, high=0.08)
    return painted(draw, stretched(field) + grain)


def _read(motif: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Motifs ``[B, 32, 32]`` at places in [0, 1), ``[B, H, W]``."""
    y, x = ((place * _MOTIF).long().clamp(0, _MOTIF - 1) for place in (down, right))
    return torch.gather(motif.flatten(1), 1, (y * _MOTIF + x).flatten(1)).view_as(y)


def _weaves(draw: Dice, count: int) -> Tensor:
    """``[B, 32, 32]`` of rounded threads that pass over and under each other: plain weave, twills, baskets."""
    threads = 4
    over = (draw.below(2, count, threads, threads)).float()
    line = torch.arange(threads, device=draw.device)
    step = draw.below(3, count, 1, 1) + 1
    twill = ((line[:, None] * step + line[None, :]) % threads < 1 + draw.below(threads - 1, count, 1, 1)).float()
    over = torch.where(draw.uniform(count, 1, 1) < 0.75, twill, over)
    side = _MOTIF // threads
    over = over.repeat_interleave(side, 1).repeat_interleave(side, 2)
    place = (torch.arange(_MOTIF, device=draw.device) % side + 0.5) / side
    round_ = torch.sin(math.pi * place).clamp_min(0)
    depth = draw.uniform(count, 1, 1, low=0.2, high=1.5)
    across, along = round_[None, None, :] ** depth, round_[None, :, None] ** depth
    tone = draw.uniform(2, count, 1, 1)
    return torch.where(over > 0, (0.3 + tone[0]) * across, (0.3 + tone[1]) * along)


def _motifs(draw: Dice, count: int) -> Tensor:
    """``[B, 32, 32]`` periodic noise of random smoothness, two in five cut at its median."""
    spectrum = torch.fft.rfft2(draw.normal(count, _MOTIF, _MOTIF))
    rows = torch.fft.fftfreq(_MOTIF, device=draw.device)[:, None]
    columns = torch.fft.rfftfreq(_MOTIF, device=draw.device)[None, :]
    slope = draw.uniform(count, 1, 1, low=0.5, high=2.2)
    motif: Tensor = torch.fft.irfft2(spectrum * (torch.hypot(rows, columns) + 0.06) ** -slope, s=(_MOTIF, _MOTIF))
    hard = draw.uniform(count, 1, 1) < 0.4
    return torch.where(hard, (motif > motif.flatten(1).median(dim=1).values[:, None, None]).float(), motif)


def blends(draw: Dice, count: int, height: int, width: int) -> Tensor:
    """A texture turned, enlarged and warped, in thirds: shaded by another, mixed with it, alone; ``[B, 3, H, W]``."""
    first, second = (plain_textures(draw, count, height, width) for _ in range(2))
    rows = torch.linspace(-1, 1, height, device=draw.device)
    columns = torch.linspace(-1, 1, width, device=draw.device)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    bend = functional.interpolate(
        draw.normal(count, 2, 7, 7) * draw.uniform(count, 1, 1, 1, high=0.12), (height, width), mode="bicubic"
    ).permute(0, 2, 3, 1)
    angle = draw.uniform(count, 1, 1, high=2 * math.pi)
    cos, sin = torch.cos(angle), torch.sin(angle)
    zoom = draw.uniform(count, 1, 1, 1, low=0.35, high=1.0)
    places = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1) * zoom + bend
    first = functional.grid_sample(first, places, padding_mode="reflection", align_corners=False)
    kind = draw.uniform(count, 1, 1, 1)
    shaded = first * (0.4 + 1.2 * second.mean(dim=1, keepdim=True))
    return torch.where(kind < 0.4, shaded, torch.where(kind < 0.7, torch.lerp(first, second, 0.5), first))
