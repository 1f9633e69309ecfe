"""Photometric augmentations of a batch, several different ones at once: the list of DRAEM (arXiv 2108.07610).

Each operation takes ``[G, 3, H, W]`` float in [0, 1] and gives the same; G is the part of the batch that drew it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Generator, Tensor
from torch.nn import functional

_Operation: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def augment(textures: Tensor, generator: Generator, rounds: int = 3) -> Tensor:
    """Applies to each texture ``rounds`` different operations, drawn at random, one after the other.

    Args:
        textures: ``[B, 3, H, W]`` float in [0, 1]; left unchanged.
        generator: source of all randomness, on the textures' device.
        rounds: operations a texture, at most ten.

    Returns:
        ``[B, 3, H, W]`` float in [0, 1].
    """
    count, device = len(textures), textures.device
    if count == 0 or rounds == 0:
        return textures.clone()
    dice = torch.rand((rounds, count, 2), generator=generator, device=device)
    # One transfer tells which image drew what; everything after it is whole-group work on the device.
    ranks = torch.rand((count, len(OPERATIONS)), generator=generator, device=device)
    drawn = ranks.argsort(dim=1)[:, :rounds].t().tolist()
    result = textures
    for round_, choices in enumerate(drawn):
        # Gathering the groups side by side copies each image once a round instead of once an operation.
        order = sorted(range(count), key=choices.__getitem__)
        place = torch.tensor(order, device=device)
        groups, start = [], 0
        while start < count:
            choice = choices[order[start]]
            stop = start + sum(1 for one in order[start:] if choices[one] == choice)
            members = place[start:stop]
            groups.append(OPERATIONS[choice](result[members], dice[round_, members]))
            start = stop
        result = torch.empty_like(textures).index_copy_(0, place, torch.cat(groups))
    return result.clamp(0, 1)


def _spread(dice: Tensor, which: int, low: float, high: float) -> Tensor:
    """One of an image's two dice, ``[G, 1, 1, 1]``, scaled from [0, 1) to [low, high)."""
    return (dice[:, which] * (high - low) + low)[:, None, None, None]


def _gamma(images: Tensor, dice: Tensor) -> Tensor:
    """Exponent from 0.5 to 2."""
    return torch.pow(images.clamp_min(1e-6), torch.exp2(_spread(dice, 0, -1, 1)))


def _brightness(images: Tensor, dice: Tensor) -> Tensor:
    """Gain from 0.8 to 1.2, offset of up to 30 of 255."""
    return (images * _spread(dice, 0, 0.8, 1.2) + _spread(dice, 1, -30 / 255, 30 / 255)).clamp(0, 1)


def _sharpness(images: Tensor, dice: Tensor) -> Tensor:
    """Away from a 3x3 mean (sharper) or towards it (softer)."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    soft: Tensor = functional.avg_pool2d(padded, 3, stride=1)
    return (soft + (images - soft) * _spread(dice, 0, 0.2, 3.0)).clamp(0, 1)


def _hue_saturation(images: Tensor, dice: Tensor) -> Tensor:
    """Chroma turned by up to 70 degrees and scaled by 0.4 to 1.6, luma kept: one 3x3 matrix an image, in YIQ."""
    to_yiq = torch.tensor(
        [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], device=images.device
    )
    angle = (dice[:, 0] * 2 - 1) * math.radians(70)
    scale = dice[:, 1] * 1.2 + 0.4
    turn = torch.zeros((len(images), 3, 3), device=images.device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = scale * torch.cos(angle)
    turn[:, 2, 1] = scale * torch.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    matrix = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return (matrix.to(images.dtype) @ images.flatten(2)).view_as(images).clamp(0, 1)


def _solarize(images: Tensor, dice: Tensor) -> Tensor:
    """Inverts what is brighter than a threshold from 32 to 128 of 255."""
    return torch.where(images > _spread(dice, 0, 32 / 255, 128 / 255), 1 - images, images)


def _posterize(images: Tensor, dice: Tensor) -> Tensor:
    """Two to sixteen levels (one to four bits) a channel."""
    levels = torch.exp2(1 + torch.floor(_spread(dice, 0, 0, 4)))
    return (torch.floor(images * levels) / (levels - 1)).clamp(0, 1)


def _invert(images: Tensor, dice: Tensor) -> Tensor:
    """The negative."""
    return 1 - images


def _autocontrast(images: Tensor, dice: Tensor) -> Tensor:
    """Each channel stretched to the whole range; a flat channel stays as it is."""
    flat = images.flatten(2)
    low, high = flat.amin(dim=2)[..., None, None], flat.amax(dim=2)[..., None, None]
    return torch.where(high - low > 1 / 255, (images - low) / (high - low).clamp_min(1 / 255), images)


def _equalize(images: Tensor, dice: Tensor) -> Tensor:
    """Each channel's histogram made flat, over 256 levels."""
    channels = images.flatten(0, 1).flatten(1)
    levels = (channels * 255).to(torch.int64)
    first = torch.arange(len(channels), device=images.device)[:, None] * 256
    histogram = torch.bincount((levels + first).flatten(), minlength=256 * len(channels)).view(-1, 256)
    ranks = histogram.cumsum(dim=1)
    lowest = torch.gather(ranks, 1, levels.amin(dim=1, keepdim=True))
    table = (ranks - lowest) / (levels.shape[1] - lowest).clamp_min(1)
    return torch.gather(table.to(images.dtype), 1, levels).view_as(images)


def _rotation(images: Tensor, dice: Tensor) -> Tensor:
    """Turned by up to 45 degrees, the corners filled by reflection."""
    angle = (dice[:, 0] * 2 - 1) * math.radians(45)
    return rotated(images, angle, padding="reflection")


def rotated(images: Tensor, angle: Tensor, padding: str) -> Tensor:
    """Turns images about their middle.

    Args:
        images: ``[B, C, H, W]`` float.
        angle: ``[B]`` radians.
        padding: what lies outside, as in ``grid_sample``: ``zeros`` or ``reflection``.

    Returns:
        ``[B, C, H, W]``, bilinear.
    """
    height, width = images.shape[-2:]
    cos, sin, none = torch.cos(angle), torch.sin(angle), torch.zeros_like(angle)
    # The grid's axes run from -1 to 1 whatever the sides are: the ratio keeps a turn from becoming a shear.
    first = torch.stack([cos, -sin * (height / width), none], dim=1)
    second = torch.stack([sin * (width / height), cos, none], dim=1)
    grid = functional.affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode=padding, align_corners=False)


OPERATIONS: tuple[_Operation, ...] = (
    _gamma,
    _brightness,
    _sharpness,
    _hue_saturation,
    _solarize,
    _posterize,
    _invert,
    _autocontrast,
    _equalize,
    _rotation,
)
"""The ten operations, in DRAEM's order."""
