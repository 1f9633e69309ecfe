"""Textures photometrically augmented, at just the pixels that are needed: the list of DRAEM (arXiv 2108.07610).

An anomaly covers a few per cent of an image, so augmenting whole textures would spend nearly all its time on pixels
that nobody sees. Here the needed pixels of all textures stand in one list, together with a regular sample of each
texture, from which the two operations that look at the whole picture (autocontrast, equalize) take their statistics.
Rotation and sharpness, which look at neighbours, come first, as the pixels are read; the others follow in random order.

Letters: T textures, H height, W width, R pixels in the list, S sample pixels a texture.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor

ROUNDS = 3
"""Different operations a texture."""

_SAMPLE_SIDE = 24


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Pixels of some textures, and what an operation may know about them.

    Attributes:
        colour: ``[R, 3]`` float in [0, 1].
        owner: ``[R]`` int64, the texture that each belongs to.
        dice: ``[T, 2]`` in [0, 1), each texture's own.
        sample: ``[T, S, 3]`` float in [0, 1], pixels spread over each whole texture.
    """

    colour: Tensor
    owner: Tensor
    dice: Tensor
    sample: Tensor

    def own(self, values: Tensor) -> Tensor:
        """For each pixel the value of its texture: ``[T, ...]`` to ``[R, ...]``."""
        return values.index_select(0, self.owner)

    def spread(self, which: int, low: float, high: float) -> Tensor:
        """One of the dice, scaled from [0, 1) to [low, high), for each pixel: ``[R, 1]``."""
        return self.own(self.dice[:, which] * (high - low) + low)[:, None]


Tone: TypeAlias = Callable[[Pixels], Tensor]
"""Changes colours: gives ``[R, 3]`` float in [0, 1]."""


def augmented_pixels(textures: Tensor, places: tuple[Tensor, Tensor, Tensor], generator: Generator) -> Tensor:
    """Reads pixels from textures, each texture changed by three of ten operations drawn at random.

    Args:
        textures: ``[T, 3, H, W]``, uint8, or float in [0, 1]; left unchanged.
        places: texture number, row and column of each pixel, each ``[R]`` int64, 0 or more; beyond its far edges a
            texture goes on mirrored, so that it may be smaller than what it fills.
        generator: source of all randomness, on the textures' device.

    Returns:
        ``[R, 3]`` float32 in [0, 1].
    """
    count, device = len(textures), textures.device
    drawn = torch.rand((count, len(TONES) + 2), generator=generator, device=device).argsort(dim=1)[:, :ROUNDS]
    dice = torch.rand((ROUNDS + 1, count, 2), generator=generator, device=device)
    angle = (dice[-1, :, 0] * 2 - 1) * math.radians(45) * (drawn == len(TONES)).any(dim=1)
    sharpness = torch.where((drawn == len(TONES) + 1).any(dim=1), dice[-1, :, 1] * 2.8 + 0.2, 1.0)
    owner, rows, columns = _with_sample(places, textures)
    colour = read_pixels(textures, (owner, rows, columns), angle, sharpness)
    sampled = count * _SAMPLE_SIDE**2
    # One transfer tells which operations each round needs; the rest is work on whole groups of pixels.
    needed = [sorted(set(choices)) for choices in drawn.t().tolist()]
    for round_ in range(ROUNDS):
        sample = colour[:sampled].clone().view(count, -1, 3)
        choice = drawn[:, round_].index_select(0, owner)
        for number in needed[round_]:
            if number < len(TONES):
                members = (choice == number).nonzero().flatten()
                group = Pixels(
                    colour=colour.index_select(0, members),
                    owner=owner.index_select(0, members),
                    dice=dice[round_],
                    sample=sample,
                )
                colour.index_copy_(0, members, TONES[number](group))
    return colour[sampled:]


def _with_sample(places: tuple[Tensor, Tensor, Tensor], textures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The places with a regular grid of sample places for each texture put in front."""
    count, _, height, width = textures.shape
    line = (torch.arange(_SAMPLE_SIDE, device=textures.device) + 0.5) / _SAMPLE_SIDE
    rows = (line * height).long().repeat_interleave(_SAMPLE_SIDE).repeat(count)
    columns = (line * width).long().repeat(_SAMPLE_SIDE * count)
    owner = torch.arange(count, device=textures.device).repeat_interleave(_SAMPLE_SIDE**2)
    return torch.cat([owner, places[0]]), torch.cat([rows, places[1]]), torch.cat([columns, places[2]])


def read_pixels(textures: Tensor, places: tuple[Tensor, Tensor, Tensor], angle: Tensor, sharpness: Tensor) -> Tensor:
    """Reads pixels from textures that are turned about their middle and made sharper or softer.

    Args:
        textures: ``[T, 3, H, W]``, uint8, or float in [0, 1].
        places: texture number, row and column of each pixel, each ``[R]`` int64.
        angle: ``[T]`` radians. Beyond its edges a texture is mirrored.
        sharpness: ``[T]``: 1 leaves a texture as it is, 0 gives the mean of 3x3 pixels, more than 1 sharpens.

    Returns:
        ``[R, 3]`` float32 in [0, 1].
    """
    owner, rows, columns = places
    book = _Book(textures)
    height, width = book.height, book.width
    cos, sin = torch.cos(angle).index_select(0, owner), torch.sin(angle).index_select(0, owner)
    down, right = rows - (height - 1) / 2, columns - (width - 1) / 2
    y = _mirrored(cos * down + sin * right + (height - 1) / 2, height)
    x = _mirrored(cos * right - sin * down + (width - 1) / 2, width)
    colour = book.at(owner, y.long(), x.long())
    turned = (angle != 0).index_select(0, owner).nonzero().flatten()
    colour.index_copy_(0, turned, book.between(owner[turned], y[turned], x[turned]))
    filtered = (sharpness != 1).index_select(0, owner).nonzero().flatten()
    middle, centre, whose = y[filtered].round().long(), x[filtered].round().long(), owner[filtered]
    soft = torch.zeros_like(colour[filtered])
    for shift in range(9):
        row = (middle + (shift // 3 - 1)).clamp(0, height - 1)
        soft += book.at(whose, row, (centre + (shift % 3 - 1)).clamp(0, width - 1)) / 9
    sharp = soft + (colour[filtered] - soft) * sharpness[whose, None]
    return colour.index_copy_(0, filtered, sharp.clamp_(0, 1))


def chroma_matrix(angle: Tensor, scale: Tensor) -> Tensor:
    """Turns and scales chroma in YIQ and keeps luma, as one matrix on RGB columns.

    Args:
        angle: ``[T]`` radians.
        scale: ``[T]``, 1 keeps the saturation.

    Returns:
        ``[T, 3, 3]``.
    """
    device = angle.device
    to_yiq = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], device=device)
    to_rgb = torch.tensor([[1, 0.956, 0.619], [1, -0.272, -0.647], [1, -1.106, 1.703]], device=device)
    turn = torch.zeros((len(angle), 3, 3), device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = scale * torch.cos(angle)
    turn[:, 2, 1] = scale * torch.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    return to_rgb @ turn @ to_yiq


class _Book:
    """Textures laid end to end for reading single pixels."""

    def __init__(self, textures: Tensor) -> None:
        self.height, self.width = textures.shape[-2:]
        self._values = textures.reshape(-1)
        self._channels = torch.arange(3, device=textures.device) * (self.height * self.width)

    def at(self, owner: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The pixels at whole coordinates: ``[R, 3]`` float32 in [0, 1]."""
        red = (owner * (3 * self.height) + rows) * self.width + columns
        colour = self._values.index_select(0, (red[:, None] + self._channels).flatten()).view(-1, 3)
        return colour / 255 if colour.dtype == torch.uint8 else colour.float()

    def between(self, owner: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Bilinear interpolation at places between the pixels: ``[R, 3]`` float32 in [0, 1]."""
        top, left = y.long(), x.long()
        bottom, right = (top + 1).clamp_max(self.height - 1), (left + 1).clamp_max(self.width - 1)
        beside = (x - left)[:, None]
        upper = torch.lerp(self.at(owner, top, left), self.at(owner, top, right), beside)
        lower = torch.lerp(self.at(owner, bottom, left), self.at(owner, bottom, right), beside)
        return torch.lerp(upper, lower, (y - top)[:, None])


def _mirrored(place: Tensor, length: int) -> Tensor:
    """Coordinates folded back into [0, length - 1]."""
    last = max(length - 1, 1)
    folded = last - ((place % (2 * last)) - last).abs()
    return folded.clamp(0, length - 1)


def _gamma(pixels: Pixels) -> Tensor:
    """Exponent from 0.5 to 2."""
    return torch.pow(pixels.colour, torch.exp2(pixels.spread(0, -1, 1)))


def _brightness(pixels: Pixels) -> Tensor:
    """Gain from 0.8 to 1.2, offset of up to 30 of 255."""
    return (pixels.colour * pixels.spread(0, 0.8, 1.2) + pixels.spread(1, -30 / 255, 30 / 255)).clamp(0, 1)


def _hue_saturation(pixels: Pixels) -> Tensor:
    """Chroma turned by up to 70 degrees and scaled by 0.4 to 1.6, luma kept."""
    angle = (pixels.dice[:, 0] * 2 - 1) * math.radians(70)
    matrix = chroma_matrix(angle, pixels.dice[:, 1] * 1.2 + 0.4)
    red, green, blue = (pixels.own(matrix[:, :, one]) * pixels.colour[:, one, None] for one in range(3))
    return (red + green + blue).clamp(0, 1)


def _solarize(pixels: Pixels) -> Tensor:
    """Inverts what is brighter than a threshold from 32 to 128 of 255."""
    return torch.where(pixels.colour > pixels.spread(0, 32 / 255, 128 / 255), 1 - pixels.colour, pixels.colour)


def _posterize(pixels: Pixels) -> Tensor:
    """Two to sixteen levels (one to four bits) a channel."""
    levels = torch.exp2(1 + torch.floor(pixels.spread(0, 0, 4)))
    return (torch.floor(pixels.colour * levels) / (levels - 1)).clamp(0, 1)


def _invert(pixels: Pixels) -> Tensor:
    """The negative."""
    return 1 - pixels.colour


def _autocontrast(pixels: Pixels) -> Tensor:
    """Each channel stretched to the whole range; a flat channel stays as it is."""
    low, high = pixels.own(pixels.sample.amin(dim=1)), pixels.own(pixels.sample.amax(dim=1))
    stretched = (pixels.colour - low) / (high - low).clamp_min(1 / 255)
    return torch.where(high - low > 1 / 255, stretched.clamp(0, 1), pixels.colour)


def _equalize(pixels: Pixels) -> Tensor:
    """Each channel's histogram of 256 levels made flat: a colour becomes the share of the sample that is darker."""
    count, size, _ = pixels.sample.shape
    channel = torch.arange(3 * count, device=pixels.sample.device) * 256
    levels = (pixels.sample * 255).long()
    histogram = torch.bincount((levels + channel.view(count, 1, 3)).flatten(), minlength=768 * count)
    ranks = histogram.view(count, 3, 256).cumsum(dim=2)
    lowest = ranks.gather(2, levels.amin(dim=1)[:, :, None])
    table = ((ranks - lowest) / (size - lowest).clamp_min(1)).clamp_min(0)
    place = (pixels.colour * 255).long() + pixels.own(channel.view(count, 3))
    return table.flatten().index_select(0, place.flatten()).view(-1, 3)


TONES: tuple[Tone, ...] = (
    _gamma,
    _brightness,
    _hue_saturation,
    _solarize,
    _posterize,
    _invert,
    _autocontrast,
    _equalize,
)
"""The eight operations that change colours; the other two of the ten are rotation and sharpness."""
