"""Synthetic anomalies made of recoloured pieces of the image: rectangles, and thin turned scars.

Source: CutPaste (Li et al., arXiv 2104.04015), which states a scar's size in pixels of an image of 256; here it is a
share of the side. Ours: a piece's middle lands on a random pixel of the foreground and only foreground is covered, so
that no draw fails; an aspect ratio is drawn evenly on a log scale.

Letters: B images, H height, W width, R pasted pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from kdzoo.config import knob
from kdzoo.data.devices import constant
from kdzoo.data.synthesis.base import SyntheticBatch, check_shapes
from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.data.synthesis.knobs import check_order
from kdzoo.data.synthesis.photometric import chroma_matrix
from kdzoo.data.synthesis.pixels import Marked, above, as_luma, as_mask, read_colours, with_colours

_PAIRS = (("area_low", "area_high"), ("scar_width_low", "scar_width_high"), ("scar_length_low", "scar_length_high"))


@dataclass(frozen=True, kw_only=True)
class CutPasteConfig(SynthesisConfig):
    """What is planted; the defaults are those of Li et al."""

    scar_share: float = knob(0.5, "share of the anomalies that are scars, not rectangles", low=0, high=1)
    area_low: float = knob(0.02, "least area of a rectangle, as a share of the image", above=0, high=1)
    area_high: float = knob(0.15, "largest area of a rectangle, as a share of the image", above=0, high=1)
    aspect: float = knob(3.3, "height to width of a rectangle is between this and its inverse", low=1, high=20)
    scar_width_low: float = knob(2 / 256, "least width of a scar, as a share of the shorter side", above=0, high=1)
    scar_width_high: float = knob(16 / 256, "largest width of a scar, as a share of the shorter side", above=0, high=1)
    scar_length_low: float = knob(10 / 256, "shortest a scar may be, as a share of the shorter side", above=0, high=1)
    scar_length_high: float = knob(25 / 256, "longest a scar may be, as a share of the shorter side", above=0, high=1)
    scar_rotation: float = knob(45.0, "a scar is turned by up to this many degrees either way", low=0, high=180)
    jitter: float = knob(0.1, "brightness, contrast, saturation and hue change by up to this share", low=0, high=0.5)

    def __post_init__(self) -> None:
        super().__post_init__()
        for low, high in _PAIRS:
            check_order(self, low, high)


class CutPaste:
    """Pastes a recoloured piece of each image onto it; a `Synthesizer`.

    Args:
        config: what is planted.
    """

    def __init__(self, config: CutPasteConfig | None = None) -> None:
        self.config = config or CutPasteConfig()

    def __call__(self, images: Tensor, foreground: Tensor, generator: Generator) -> SyntheticBatch:
        """Plants anomalies.

        Args:
            images: ``[B, 3, H, W]`` float in [0, 1], RGB; left unchanged.
            foreground: ``[B, 1, H, W]`` bool, where anomalies may lie.
            generator: source of all randomness, on the images' device; the same seed gives the same anomalies.

        Returns:
            Images equal to the given ones, to the bit, outside the masks, which mark all pasted pixels. An image
            without foreground stays as it was, with an empty mask.

        Raises:
            UsageError: shapes that do not fit.
        """
        check_shapes(images, foreground)
        dice = torch.rand((8, len(images)), generator=generator, device=images.device)
        shades = torch.rand((4, len(images)), generator=generator, device=images.device)
        size, angle = self._shapes(dice[:4], images.shape[-2], images.shape[-1])
        rows, columns = _within_piece(size, angle, _somewhere(foreground[:, 0], dice[4]), foreground)
        # How deep a pixel's middle lies within the piece: one comparison in place of four, which are the slow part.
        tall, wide = size[:, :, None, None] / 2
        # Nothing lies within the piece of an image that gets none.
        top = torch.where((dice[5] < self.config.probability)[:, None, None], tall, -math.inf)
        depth = torch.minimum(top - (rows + (0.5 - tall)).abs_(), wide - (columns + (0.5 - wide)).abs_())
        covered = above(depth, 0.0).bitwise_and_(foreground[:, 0])
        marked = Marked.of(covered)
        places = marked.places
        image = torch.div(places, covered[0].numel(), rounding_mode="floor")
        room = constant(tuple(images.shape[-2:]), images.device, torch.int64)[:, None] - size
        start = torch.minimum((dice[6:] * (room + 1)).long(), room)
        row, column = (
            marked.keep(first.index_select(0, image) + place.view(-1).index_select(0, places).long(), 0)
            for first, place in zip(start, (rows, columns), strict=True)
        )
        source = (image * images.shape[-2] + row) * images.shape[-1] + column
        colour = read_colours(images, marked.keep(source, places))
        pasted = marked.keep(self._recoloured(colour, image, shades, marked), colour)
        return SyntheticBatch(
            images=with_colours(images, places, pasted), masks=as_mask(covered[:, None], images.dtype)
        )

    def _shapes(self, dice: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Height and width of each piece, ``[2, B]`` int64, and the angle that it is turned by, ``[B]`` radians."""
        config = self.config
        kind, first, second, turn = dice
        area = _between(config.area_low, config.area_high, first) * (height * width)
        ratio = torch.exp((second * 2 - 1) * math.log(config.aspect))
        rectangle = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()])
        long = _between(config.scar_length_low, config.scar_length_high, first)
        thin = _between(config.scar_width_low, config.scar_width_high, second)
        is_scar = kind < config.scar_share
        size = torch.where(is_scar, torch.stack([long, thin]) * min(height, width), rectangle).round().long()
        most = constant((height, width), dice.device, torch.int64)[:, None]
        angle = torch.where(is_scar, (turn * 2 - 1) * math.radians(config.scar_rotation), 0.0)
        return torch.minimum(size.clamp_min(1), most), angle

    def _recoloured(self, colour: Tensor, image: Tensor, shades: Tensor, marked: Marked) -> Tensor:
        """Pixels with their piece's change of colour: ``[3, R]`` to ``[3, R]`` in [0, 1]; `shades` is ``[4, B]``."""
        if not self.config.jitter:
            return colour
        brightness, contrast, saturation, hue = (shades * 2 - 1) * self.config.jitter
        matrix = chroma_matrix(hue * (2 * math.pi), 1 + saturation) * ((1 + contrast) * (1 + brightness))[:, None, None]
        luma = as_luma(colour)
        # Not bincount, which asks a GPU for the largest number.
        number, total = (
            torch.zeros_like(hue).index_add_(0, image, marked.keep(each, 0.0)) for each in (torch.ones_like(luma), luma)
        )
        mean = total / number.clamp_min(1)
        # Contrast pulls a piece towards its own mean grey; brightness scales the outcome.
        changed: Tensor = (-contrast * mean * (1 + brightness)).index_select(0, image).repeat(3, 1)
        for target in range(3):
            for source in range(3):
                changed[target].addcmul_(matrix[:, target, source].index_select(0, image), colour[source])
        return changed.clamp_(0, 1).to(colour.dtype)


def _between(low: float, high: float, dice: Tensor) -> Tensor:
    return low + (high - low) * dice


def _somewhere(room: Tensor, dice: Tensor) -> Tensor:
    """A random marked pixel of each ``[H, W]`` field: row and column, ``[2, B]`` int64; of an empty one, its first."""
    counts = room.view(torch.uint8).sum(dim=2, dtype=torch.int32)
    ranks = counts.cumsum(dim=1)
    number = ranks[:, -1:]
    wanted = torch.minimum((dice[:, None] * number).long(), number - 1).clamp_min(0) + 1
    # First its row, then its column within that: a table of sums of all pixels would be most of the work.
    row = torch.searchsorted(ranks, wanted).clamp_max(room.shape[1] - 1)
    wanted = wanted - ranks.gather(1, row) + counts.gather(1, row)
    line = room.gather(1, row[:, :, None].expand(-1, -1, room.shape[2]))[:, 0]
    column = torch.searchsorted(line.cumsum(dim=1), wanted)
    place: Tensor = torch.where(number > 0, torch.cat([row, column], dim=1), 0)
    return place.t()


def _within_piece(size: Tensor, angle: Tensor, middle: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """For each pixel of the image its row and column within the piece, ``[B, H, W]`` whole float32, outside it too.

    The piece lies with its middle on ``middle [2, B]``, turned by ``angle [B]``; a piece that is not turned keeps whole
    pixels on whole pixels.
    """
    height, width = like.shape[-2:]
    down = torch.arange(height, device=like.device) - middle[0, :, None]
    right = torch.arange(width, device=like.device) - middle[1, :, None]
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    # Each is the sum of what the row gives and what the column gives.
    rows = (cos * down + size[0, :, None] / 2)[:, :, None] - (sin * right)[:, None, :]
    columns = (sin * down + size[1, :, None] / 2)[:, :, None] + (cos * right)[:, None, :]
    return rows.floor_(), columns.floor_()
