"""Textures photometrically augmented, at just the pixels that are needed: the list of DRAEM (arXiv 2108.07610).

An anomaly covers a few per cent of an image, so augmenting whole textures would spend nearly all its time on pixels
that nobody sees. Rotation and sharpness, which look at neighbours, come first, as the needed pixels are read; the other
operations follow in random order. Of these all but one change each channel by itself, and so a run of them is a table
of 256 levels a channel: operations are computed on such tables, and a pixel is looked up once. The one that mixes
channels, hue and saturation, is a matrix between two tables.

Autocontrast and equalize look at a whole picture; they take their statistics from a regular sample of it, which goes
through the same operations as the tables.

Letters: T fillings, K textures, H height, W width, N colours a filling, R pixels in the list, S sample pixels a
filling.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor

from kdzoo.data.devices import beside, constant, uploaded
from kdzoo.data.synthesis.filling import Filling
from kdzoo.data.synthesis.pixels import Marked

ROUNDS = 3
"""Different operations a texture."""

_SAMPLE_SIDE = 16
_LEVELS = 256


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Colours of some fillings, and what an operation may know about these.

    Attributes:
        colour: ``[T, 3, N]`` float in [0, 1].
        dice: ``[T, 2]`` in [0, 1), each filling's own.
        sample: ``[T, 3, S]`` float in [0, 1], pixels spread over each whole texture.
    """

    colour: Tensor
    dice: Tensor
    sample: Tensor

    def spread(self, which: int, low: float, high: float) -> Tensor:
        """One of the dice, scaled from [0, 1) to [low, high): ``[T, 1, 1]``."""
        return (self.dice[:, which] * (high - low) + low)[:, None, None]


Tone: TypeAlias = Callable[[Colours], Tensor]
"""Changes colours: gives ``[T, 3, N]`` float in [0, 1]."""


def augmented_pixels(filling: Filling, places: tuple[Tensor, Tensor, Tensor], generator: Generator) -> Tensor:
    """Reads pixels of fillings, each changed by three of ten operations drawn at random.

    Args:
        filling: what to fill with; left unchanged.
        places: number of the filling, row and column of each pixel, each ``[R]`` int64, 0 or more.
        generator: source of all randomness, on the textures' device.

    Returns:
        ``[3, R]`` float32 in [0, 1].
    """
    textures, chosen = filling.textures, filling.chosen
    count, device = len(chosen), chosen.device
    if textures.dtype != torch.uint8:
        textures = (textures * (_LEVELS - 1)).round().byte()
    drawn = torch.rand((count, len(TONES) + 2), generator=beside(generator)).argsort(dim=1)[:, :ROUNDS]
    dice = torch.rand((ROUNDS + 1, count, 2), generator=generator, device=device)
    known = uploaded(drawn, device)
    angle = (dice[-1, :, 0] * 2 - 1) * math.radians(45) * (known == len(TONES)).any(dim=1)
    sharpness = torch.where((known == len(TONES) + 1).any(dim=1), dice[-1, :, 1] * 2.8 + 0.2, 1.0)
    owner, rows, columns = _with_sample(places, count, (textures.shape[-2], textures.shape[-1]))
    rows, columns = (
        line + start.index_select(0, owner) for line, start in zip((rows, columns), filling.start, strict=True)
    )
    levels = read_pixels(Book(textures, chosen), (owner, rows, columns), angle, sharpness)
    sampled = count * _SAMPLE_SIDE**2
    sample = levels[:, :sampled].reshape(3, count, -1).transpose(0, 1) / (_LEVELS - 1)
    return _toned(levels[:, sampled:], places[0], toning(sample, drawn, dice))


def _with_sample(
    places: tuple[Tensor, Tensor, Tensor], count: int, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """The places with a regular grid of sample places for each of `count` fillings put in front."""
    device = places[0].device
    line = (torch.arange(_SAMPLE_SIDE, device=device) + 0.5) / _SAMPLE_SIDE
    rows = (line * size[0]).long().repeat_interleave(_SAMPLE_SIDE).repeat(count)
    columns = (line * size[1]).long().repeat(_SAMPLE_SIDE * count)
    owner = torch.arange(count, device=device).repeat_interleave(_SAMPLE_SIDE**2)
    return torch.cat([owner, places[0]]), torch.cat([rows, places[1]]), torch.cat([columns, places[2]])


@dataclass(frozen=True, kw_only=True)
class Toning:
    """What becomes of each of 256 levels: a table, and for some fillings a matrix on RGB and another table after it.

    Attributes:
        first: ``[T, 3, 256]`` float in [0, 1].
        mixed: ``[T]`` bool, the fillings that the matrix and the last table are for.
        matrix: ``[T, 3, 3]`` float.
        last: ``[T, 3, 256]`` float in [0, 1].
    """

    first: Tensor
    mixed: Tensor
    matrix: Tensor
    last: Tensor


def toning(sample: Tensor, drawn: Tensor, dice: Tensor) -> Toning:
    """Works out what the tones drawn for each filling do to its colours.

    Args:
        sample: ``[T, 3, S]`` float in [0, 1].
        drawn: ``[T, ROUNDS]`` int64 on the host, the numbers of its operations in order; those beyond the tones are
            passed over.
        dice: ``[ROUNDS, T, 2]`` or more, in [0, 1).
    """
    device = sample.device
    count, mixing = len(sample), TONES.index(_hue_saturation)
    plain = torch.linspace(0, 1, _LEVELS, device=device)
    # What the levels have become so far, and behind them the sample.
    state = torch.cat([plain.expand(count, 3, -1), sample], dim=2)
    first, matrix = state[:, :, :_LEVELS].clone(), torch.zeros((count, 3, 3), device=device)
    # In each round the fillings in the order of their tones, so that a tone's are a piece of it.
    choices, order = drawn.t().sort(dim=1, stable=True)
    members_of = uploaded(order.contiguous(), device)
    for round_, numbers in enumerate(choices.tolist()):
        for number in sorted(set(numbers)):
            if number >= len(TONES):
                continue
            first_one = numbers.index(number)
            members = members_of[round_, first_one : first_one + numbers.count(number)]
            colour = state.index_select(0, members)
            group = Colours(colour=colour, dice=dice[round_].index_select(0, members), sample=colour[:, :, _LEVELS:])
            changed = TONES[number](group)
            if number == mixing:
                first.index_copy_(0, members, colour[:, :, :_LEVELS])
                matrix.index_copy_(0, members, _hue_matrix(group))
                changed[:, :, :_LEVELS] = plain
            state.index_copy_(0, members, changed)
    last = state[:, :, :_LEVELS].contiguous()
    mixed = uploaded((drawn == mixing).any(dim=1), device)
    return Toning(first=torch.where(mixed[:, None, None], first, last), mixed=mixed, matrix=matrix, last=last)


def _toned(levels: Tensor, owner: Tensor, toning: Toning) -> Tensor:
    """Pixels ``[3, R]`` uint8 of fillings ``owner [R]`` with their toning: ``[3, R]`` float32 in [0, 1]."""
    colour = _looked_up(toning.first, owner, levels)
    mixed = Marked.of(toning.mixed.index_select(0, owner))
    whose = owner.index_select(0, mixed.places)
    weight = _columns(toning.matrix.flatten(1).t(), whose).view(3, 3, -1)
    before = _columns(colour, mixed.places)
    mixture = (weight * before).sum(dim=1).clamp_(0, 1)
    again = _looked_up(toning.last, whose, mixture.mul_(_LEVELS - 1).round_().byte())
    return _put_columns(colour, mixed.places, mixed.keep(again, before))


def _looked_up(table: Tensor, owner: Tensor, levels: Tensor) -> Tensor:
    """``[3, R]`` uint8 in each filling's own table, ``[T, 3, 256]``: ``[3, R]``."""
    channels = torch.arange(3, device=owner.device)[:, None] * _LEVELS
    return table.view(-1).index_select(0, (owner * (3 * _LEVELS) + channels + levels).flatten()).view(3, -1)


def _columns(rows: Tensor, places: Tensor) -> Tensor:
    """Columns of a table: ``[C, R]`` to ``[C, P]``; as one row of numbers, which is read far faster."""
    starts = torch.arange(len(rows), device=rows.device)[:, None] * rows.shape[1]
    return rows.reshape(-1).index_select(0, (starts + places).flatten()).view(len(rows), -1)


def _put_columns(rows: Tensor, places: Tensor, values: Tensor) -> Tensor:
    """Writes columns ``[C, P]`` into a contiguous table ``[C, R]``, which is given back."""
    starts = torch.arange(len(rows), device=rows.device)[:, None] * rows.shape[1]
    rows.view(-1).scatter_(0, (starts + places).flatten(), values.flatten())
    return rows


def read_pixels(book: Book, places: tuple[Tensor, Tensor, Tensor], angle: Tensor, sharpness: Tensor) -> Tensor:
    """Reads pixels of fillings that are turned about their texture's middle and made sharper or softer.

    Args:
        book: the textures, and which of them each filling is made of.
        places: number of the filling, row and column of each pixel, each ``[R]`` int64; beyond its far edges a texture
            goes on mirrored, so that it may be smaller than what it fills.
        angle: ``[T]`` radians.
        sharpness: ``[T]``: 1 leaves a texture as it is, 0 gives the mean of 3x3 pixels, more than 1 sharpens.

    Returns:
        ``[3, R]`` uint8.
    """
    owner, rows, columns = places
    height, width = book.height, book.width
    y, x = _mirrored(rows, height), _mirrored(columns, width)
    colour = book.at(owner, y, x)
    turned = Marked.of((angle != 0).index_select(0, owner))
    if len(turned.places):
        whose, down, right = (each.index_select(0, turned.places) for each in places)
        cos, sin = torch.cos(angle).index_select(0, whose), torch.sin(angle).index_select(0, whose)
        down, right = down - (height - 1) / 2, right - (width - 1) / 2
        above = _mirrored(cos * down + sin * right + (height - 1) / 2, height)
        before = _mirrored(cos * right - sin * down + (width - 1) / 2, width)
        between = book.between(whose, above, before).round_().byte()
        _put_columns(colour, turned.places, turned.keep(between, colour))
        y.index_copy_(0, turned.places, turned.keep(above.round().long(), y))
        x.index_copy_(0, turned.places, turned.keep(before.round().long(), x))
    filtered = Marked.of((sharpness != 1).index_select(0, owner))
    if len(filtered.places):
        whose, middle, centre = (each.index_select(0, filtered.places) for each in (owner, y, x))
        plain, soft = _columns(colour, filtered.places), book.mean_of_nine(whose, middle, centre)
        sharp = torch.lerp(soft, plain.float(), sharpness.index_select(0, whose))
        sharp = sharp.round_().clamp_(0, _LEVELS - 1).byte()
        _put_columns(colour, filtered.places, filtered.keep(sharp, plain))
    return colour


class Book:
    """Textures laid end to end for reading single pixels; coordinates are ``[R]``, colours ``[3, R]`` in [0, 255].

    Args:
        textures: ``[K, 3, H, W]`` uint8.
        chosen: ``[T]`` int64, the texture of each owner of pixels.
    """

    def __init__(self, textures: Tensor, chosen: Tensor) -> None:
        self.height, self.width = textures.shape[-2:]
        self._values = textures.reshape(-1)
        self._first_rows = chosen * (3 * self.height)
        self._channels = torch.arange(3, device=textures.device)[:, None] * (self.height * self.width)

    def at(self, owner: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The pixels at whole coordinates, uint8."""
        red = (self._first_rows.index_select(0, owner) + rows) * self.width + columns
        return self._values.index_select(0, (red + self._channels).flatten()).view(3, -1)

    def between(self, owner: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Bilinear interpolation at places between the pixels, float32."""
        top, left = y.long(), x.long()
        bottom, right = (top + 1).clamp_max(self.height - 1), (left + 1).clamp_max(self.width - 1)
        beside = x - left
        upper = torch.lerp(self.at(owner, top, left).float(), self.at(owner, top, right).float(), beside)
        lower = torch.lerp(self.at(owner, bottom, left).float(), self.at(owner, bottom, right).float(), beside)
        return torch.lerp(upper, lower, y - top)

    def mean_of_nine(self, owner: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The mean of the pixels at and around whole coordinates, the edge repeated, float32."""
        total = torch.zeros((3, len(owner)), dtype=torch.int16, device=owner.device)
        across = [(columns + shift).clamp(0, self.width - 1) for shift in (-1, 0, 1)]
        for shift in (-1, 0, 1):
            row = (rows + shift).clamp(0, self.height - 1)
            for column in across:
                total += self.at(owner, row, column)
        return total / 9


def _mirrored(place: Tensor, length: int) -> Tensor:
    """Coordinates, whole or not, folded back into [0, length - 1]."""
    last = max(length - 1, 1)
    folded = last - ((place % (2 * last)) - last).abs()
    return folded.clamp(0, length - 1)


def chroma_matrix(angle: Tensor, scale: Tensor) -> Tensor:
    """Turns and scales chroma in YIQ and keeps luma, as one matrix on RGB columns.

    Args:
        angle: ``[T]`` radians.
        scale: ``[T]``, 1 keeps the saturation.

    Returns:
        ``[T, 3, 3]``.
    """
    device = angle.device
    to_yiq = constant((0.299, 0.587, 0.114, 0.5959, -0.2746, -0.3213, 0.2115, -0.5227, 0.3112), device).view(3, 3)
    to_rgb = constant((1.0, 0.956, 0.619, 1.0, -0.272, -0.647, 1.0, -1.106, 1.703), device).view(3, 3)
    turn = torch.zeros((len(angle), 3, 3), device=device)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = scale * torch.cos(angle)
    turn[:, 2, 1] = scale * torch.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    return to_rgb @ turn @ to_yiq


def _gamma(colours: Colours) -> Tensor:
    """Exponent from 0.5 to 2."""
    return torch.pow(colours.colour, torch.exp2(colours.spread(0, -1, 1)))


def _brightness(colours: Colours) -> Tensor:
    """Gain from 0.8 to 1.2, offset of up to 30 of 255."""
    return (colours.colour * colours.spread(0, 0.8, 1.2) + colours.spread(1, -30 / 255, 30 / 255)).clamp(0, 1)


def _hue_matrix(colours: Colours) -> Tensor:
    """Chroma turned by up to 70 degrees and scaled by 0.4 to 1.6: ``[T, 3, 3]``."""
    angle = (colours.dice[:, 0] * 2 - 1) * math.radians(70)
    return chroma_matrix(angle, colours.dice[:, 1] * 1.2 + 0.4)


def _hue_saturation(colours: Colours) -> Tensor:
    """Chroma turned and scaled, luma kept."""
    return (_hue_matrix(colours) @ colours.colour).clamp(0, 1)


def _solarize(colours: Colours) -> Tensor:
    """Inverts what is brighter than a threshold from 32 to 128 of 255."""
    return torch.where(colours.colour > colours.spread(0, 32 / 255, 128 / 255), 1 - colours.colour, colours.colour)


def _posterize(colours: Colours) -> Tensor:
    """Two to sixteen levels (one to four bits) a channel."""
    levels = torch.exp2(1 + torch.floor(colours.spread(0, 0, 4)))
    return (torch.floor(colours.colour * levels) / (levels - 1)).clamp(0, 1)


def _invert(colours: Colours) -> Tensor:
    """The negative."""
    return 1 - colours.colour


def _autocontrast(colours: Colours) -> Tensor:
    """Each channel stretched to the whole range; a flat channel stays as it is."""
    low, high = torch.aminmax(colours.sample, dim=2, keepdim=True)
    stretched = (colours.colour - low) / (high - low).clamp_min(1 / 255)
    return torch.where(high - low > 1 / 255, stretched.clamp(0, 1), colours.colour)


def _equalize(colours: Colours) -> Tensor:
    """Each channel's histogram of 256 levels made flat: a colour becomes the share of the sample that is darker."""
    count, _, size = colours.sample.shape
    levels = (colours.sample * 255).long()
    ranks = (
        torch.zeros((count, 3, _LEVELS), device=levels.device)
        .scatter_add_(2, levels, torch.ones_like(colours.sample))
        .cumsum(dim=2)
    )
    lowest = ranks.gather(2, levels.amin(dim=2, keepdim=True))
    table = ((ranks - lowest) / (size - lowest).clamp_min(1)).clamp_min(0)
    return table.gather(2, (colours.colour * 255).long())


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
