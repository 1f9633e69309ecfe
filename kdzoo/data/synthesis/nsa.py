"""Synthetic anomalies made of the image itself: patches cut at one place and pasted at another.

Source: the patch swaps of NSA (Schlueter et al., arXiv 2109.15222) as MRKD uses them (Jiang et al., arXiv 2512.15326):
a hard swap, no blending, no resizing. All patches of a batch are drawn at once: each gets as many candidates as there
may be failed draws, and takes its first that keeps the rules. How much of the object a candidate covers is read from a
table of sums, so that a candidate costs four look-ups whatever its size.

Ours, where the papers leave it open: size and place of a cut are drawn together until they keep the rule on the object,
then places to paste on until one keeps the rule on the overlap; all places lie wholly within the image.

Letters: B images, H height, W width, N patches an image, D draws a patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.config import knob
from kdzoo.data.devices import constant
from kdzoo.data.synthesis.base import SyntheticBatch, check_shapes
from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.data.synthesis.knobs import SwapKnobs
from kdzoo.data.synthesis.pixels import Marked, as_mask, read_colours, with_colours

_MEDIAN_SIDE = 7
"""Of the median filter over the background, in pixels."""


@dataclass(frozen=True, kw_only=True)
class NsaConfig(SwapKnobs, SynthesisConfig):
    """What is planted; shares of the side and of areas are in [0, 1], grey levels in [0, 255]."""

    size_offset: float = knob(0.03, "added to the Gamma draw of a half-width, as a share of the side", low=0, high=0.5)
    size_scale: float = knob(0.05, "scale of the Gamma draw (shape 2) of a half-width", low=0, high=0.5)
    max_draws: int = knob(200, "draws of a cut, then of a place for it; a patch without is left out", low=1, high=1000)
    inside: bool = knob(True, "paste only the pixels that lie on the object, not the whole rectangle")


@dataclass(frozen=True, kw_only=True)
class Patches:
    """Rectangles to be cut and pasted, in pixels.

    Attributes:
        size: ``[2, B, N]`` int64, height and width.
        source: ``[2, B, N]`` int64, top row and left column that it is cut at.
        target: ``[2, B, N]`` int64, top row and left column that it is pasted at.
        used: ``[B, N]`` bool; one that is not used has no meaning.
    """

    size: Tensor
    source: Tensor
    target: Tensor
    used: Tensor


class Nsa:
    """Swaps patches within each image; a `Synthesizer`.

    Args:
        config: what is planted.
    """

    def __init__(self, config: NsaConfig | None = None) -> None:
        self.config = config or NsaConfig()

    def __call__(self, images: Tensor, foreground: Tensor, generator: Generator) -> SyntheticBatch:
        """Plants anomalies.

        Args:
            images: ``[B, 3, H, W]`` float in [0, 1], RGB; left unchanged.
            foreground: ``[B, 1, H, W]`` bool, where the object is; of no account when the configuration names a
                background level.
            generator: source of all randomness, on the images' device; the same seed gives the same anomalies.

        Returns:
            Images whose changed pixels are copies of pixels of the same given image, and masks of all pasted pixels
            (also where a copy happens to equal what it covers). With ``inside`` no mask leaves the object. An image
            none of whose patches kept the rules stays as it was, with an empty mask.

        Raises:
            UsageError: shapes that do not fit.
        """
        check_shapes(images, foreground)
        config = self.config
        level = config.background_level
        product = foreground if level is None else object_mask(images, level, config.background_tolerance)
        patches = draw_patches(product[:, 0], config, generator)
        top = _topmost(patches, product[:, 0], inside=config.inside)
        planted = top.clamp_max(1).view(torch.bool)
        marked = Marked.of(planted)
        places = marked.places
        image = torch.div(places, top[0].numel(), rounding_mode="floor")
        # What no patch covers has none, and is read from where it is.
        patch = (image * config.patches + top.view(-1).index_select(0, places) - 1).clamp_min(0)
        down, right = patches.source - patches.target
        shift = marked.keep((down * images.shape[-1] + right).view(-1).index_select(0, patch), 0)
        swapped = with_colours(images, places, read_colours(images, places + shift))
        return SyntheticBatch(images=swapped, masks=as_mask(planted[:, None], images.dtype))


def _topmost(patches: Patches, product: Tensor, *, inside: bool) -> Tensor:
    """For each pixel the number of the last patch that covers it, from 1; 0 for none: ``[B, H, W]`` uint8."""
    device = product.device
    top = torch.zeros_like(product, dtype=torch.uint8)
    lines = [torch.arange(side, device=device) for side in product.shape[1:]]
    for number in range(patches.used.shape[1]):
        tall, wide = (
            (line >= start[:, number, None]) & (line < (start + size)[:, number, None])
            for line, start, size in zip(lines, patches.target, patches.size, strict=True)
        )
        value = (tall & patches.used[:, number, None]).to(torch.uint8) * (number + 1)
        top = torch.maximum(top, value[:, :, None] * wide.to(torch.uint8)[:, None, :])
    return top * product.view(torch.uint8) if inside else top


def draw_patches(product: Tensor, config: NsaConfig, generator: Generator) -> Patches:
    """Draws the patches of a batch.

    Args:
        product: ``[B, H, W]`` bool, where the object is.
        config: the rules.
        generator: source of all randomness, on the same device.
    """
    count, device = len(product), product.device
    sides = constant(tuple(product.shape[1:]), device, torch.int64).view(2, 1, 1, 1)
    dice = torch.rand((4, 2, count, config.patches, config.max_draws), generator=generator, device=device)
    chance = torch.rand((2, count, config.patches), generator=generator, device=device)
    sums = functional.pad(product.int().cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32), (1, 0, 1, 0))
    sizes = _sizes(dice[:2], sides, config)
    sources = _places(dice[2], sides - sizes)
    area = sizes.prod(dim=0)
    allowed = (area > 0) & (covered_pixels(sums, sources, sizes) >= config.min_object_pct * area)
    size, source, cut = _first(allowed, sizes, sources)
    targets = _places(dice[3], sides - size[..., None])
    covered = covered_pixels(sums, targets, size[..., None].expand_as(targets))
    allowed = covered >= config.min_overlap_pct * size.prod(dim=0)[..., None]
    allowed &= (targets != source[..., None]).any(dim=0)
    if config.inside:
        allowed &= covered > 0
    target, _, pasted = _first(allowed, targets, targets)
    used = chance[0] < 0.5
    used[:, 0] = True
    picked = chance[1, :, :1] < config.probability
    return Patches(size=size, source=source, target=target, used=used & picked & cut & pasted)


def _sizes(dice: Tensor, sides: Tensor, config: NsaConfig) -> Tensor:
    """Heights and widths of the draws: ``[2, 2, B, N, D]`` in [0, 1) to ``[2, B, N, D]`` int64, all even."""
    low, high = (
        constant(ends, dice.device).view(2, 1, 1, 1) * sides
        for ends in ((config.rows_low, config.columns_low), (config.rows_high, config.columns_high))
    )
    # The sum of two exponential draws is a Gamma draw of shape 2.
    gamma = -torch.log1p(-dice).sum(dim=0)
    half = ((config.size_offset + config.size_scale * gamma) * sides).clamp(low, high).round().long()
    return 2 * half.clamp_min(1).minimum(sides // 2)


def _places(dice: Tensor, room: Tensor) -> Tensor:
    """Top rows and left columns, ``[2, B, N, D]`` int64 in 0 to ``room``, each as likely."""
    return (dice * (room + 1)).long().minimum(room)


def _first(allowed: Tensor, *draws: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each patch the first allowed draw, ``[2, B, N, D]`` to ``[2, B, N]``, and whether there is one."""
    first = allowed.to(torch.uint8).argmax(dim=2, keepdim=True).expand(2, -1, -1, -1)
    one, other = (each.gather(3, first)[..., 0] for each in draws)
    return one, other, allowed.any(dim=2)


def covered_pixels(sums: Tensor, place: Tensor, size: Tensor) -> Tensor:
    """How many pixels of the object rectangles cover.

    Args:
        sums: ``[B, H + 1, W + 1]`` int32, the table of sums: pixels of the object above and left of each corner.
        place: ``[2, B, N, D]`` int64, top row and left column.
        size: ``[2, B, N, D]`` int64, height and width.

    Returns:
        ``[B, N, D]`` int32.
    """
    table, width = sums.flatten(1), sums.shape[2]

    def before(rows: Tensor, columns: Tensor) -> Tensor:
        return table.gather(1, (rows * width + columns).flatten(1)).view(rows.shape)

    (top, left), (bottom, right) = place, place + size
    return before(bottom, right) - before(top, right) - before(bottom, left) + before(top, left)


def object_mask(images: Tensor, level: float, tolerance: float) -> Tensor:
    """Where the object is on a background of a known grey level.

    Background is where the mean of the three channels is within the tolerance of the level; a 7x7 median (the edge
    repeated) takes specks out.

    Args:
        images: ``[B, 3, H, W]`` float in [0, 1].
        level: of 255.
        tolerance: of 255.

    Returns:
        ``[B, 1, H, W]`` bool.
    """
    grey = images.mean(dim=1, keepdim=True) * 255
    found = ((grey - level).abs() > tolerance).float()
    padded = functional.pad(found, (_MEDIAN_SIDE // 2,) * 4, mode="replicate")
    # The median of zeros and ones is one where more than half of them are.
    return functional.avg_pool2d(padded, _MEDIAN_SIDE, stride=1) > 0.5
