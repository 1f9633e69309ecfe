"""Textures by formula: the two sets that the rest of the house asks for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

from kdzoo.data.formula.blades import blades
from kdzoo.data.formula.dice import Dice
from kdzoo.data.formula.kinds import plain_textures
from kdzoo.data.formula.rich import blends, lattices, sine_networks
from kdzoo.errors import UsageError

_RICH: tuple[Callable[[Dice, int, int, int], Tensor], ...] = (
    *(plain_textures, sine_networks, lattices, plain_textures, blends),
    *(lattices, blades, blends, blades),
)


def formula_textures(
    count: int, size: int | tuple[int, int], generator: Generator, device: torch.device | str
) -> Tensor:
    """Makes plain textures, which cost little: spectral noise, waves, cells, dead leaves and gradients.

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
    height, width = _checked(count, size)
    return plain_textures(Dice(generator, torch.device(device)), count, height, width)


def rich_textures(count: int, size: int | tuple[int, int], generator: Generator, device: torch.device | str) -> Tensor:
    """Makes textures of many structures: the plain kinds, sine networks, repeated motifs, blades and blends.

    Args, returns and errors as of `formula_textures`; the values may overshoot [0, 1] by nothing: they are clamped.
    """
    height, width = _checked(count, size)
    draw = Dice(generator, torch.device(device))
    textures = torch.empty((count, 3, height, width), device=draw.device)
    order, start = draw.order(count), draw.whole(len(_RICH))
    for number, kind in enumerate(_RICH):
        places = order[(number - start) % len(_RICH) :: len(_RICH)]
        if len(places):
            textures[places] = kind(draw, len(places), height, width)
    return textures.clamp_(0, 1)


def _checked(count: int, size: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else size
    if count < 0 or height < 1 or width < 1:
        raise UsageError(f"cannot make {count} textures of {height}x{width} pixels", hint="ask for at least one pixel")
    return height, width
