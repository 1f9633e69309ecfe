"""Synthetic anomalies made of the image itself: patches cut at one place and pasted at another.

Source: the patch swaps of NSA (Schlueter et al., arXiv 2109.15222) as MRKD uses them (Jiang et al., arXiv 2512.15326):
a hard swap, no blending, no resizing. All patches of a batch are drawn at once: each gets as many candidates as there
may be failed draws, and takes its first that keeps the rules. How much of the object a cut covers is read from a table
of sums, four look-ups a candidate whatever its size; how much of its object falls on the object is read from a
correlation of the two, which a Fourier transform gives for all places at once.

The rules on object and overlap, and which pixels are pasted, are those of MRKD's released code. Ours: size and place of
a cut are drawn together until they keep the rule on the object (there its size is drawn once), then places to paste
on; all places lie wholly within the image (there its edge clips a cut).

Letters: B images, H height, W width, N patches an image, D draws a patch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.config import knob
from kdzoo.data.devices import constant, waits
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
    inside: bool = knob(True, "paste only on the object; otherwise also what of the patch is object, beside it")

    @property
    def looks_for_object(self) -> bool:
        """Whether it matters where the object is; without a rule on it whole rectangles go anywhere."""
        return self.min_object_pct > 0 or self.min_overlap_pct > 0


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
            (also where a copy happens to equal what it covers). With ``inside`` no mask leaves the object; otherwise
            pixels of a rectangle are pasted that are object where they come from or where they go to, and all of them
            where neither rule asks for any object. An image none of whose patches kept the rules stays as it was, with
            an empty mask.

        Raises:
            UsageError: shapes that do not fit.
        """
        check_shapes(images, foreground)
        config = self.config
        level = config.background_level
        product = foreground if level is None else object_mask(images, level, config.background_tolerance)
        patches = draw_patches(product[:, 0], config, generator)
        top = _topmost(patches, product[:, 0], config)
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


def _topmost(patches: Patches, product: Tensor, config: NsaConfig) -> Tensor:
    """For each pixel the number of the last patch that is pasted on it, from 1; 0 for none: ``[B, H, W]`` uint8."""
    top = torch.zeros_like(product, dtype=torch.uint8)
    object_alone = not config.inside and config.looks_for_object
    for number in range(patches.used.shape[1]):
        target = patches.target[..., number]
        pasted = _rectangles(target, patches.size[..., number], product)
        pasted *= patches.used[:, number, None, None]
        if object_alone:
            pasted *= (product | _moved(product, target - patches.source[..., number])).view(torch.uint8)
        top = torch.maximum(top, pasted * (number + 1))
    return top * product.view(torch.uint8) if config.inside else top


def _rectangles(start: Tensor, size: Tensor, like: Tensor) -> Tensor:
    """One rectangle an image: ``[2, B]`` int64 top row and left column, height and width, to ``[B, H, W]`` uint8."""
    tall, wide = (
        ((line >= first[:, None]) & (line < (first + length)[:, None])).to(torch.uint8)
        for line, first, length in zip(_lines(like), start, size, strict=True)
    )
    marked: Tensor = tall[:, :, None] * wide[:, None, :]
    return marked


def _moved(product: Tensor, by: Tensor) -> Tensor:
    """``[B, H, W]`` moved by ``[2, B]`` rows and columns; what leaves at one edge comes in at the other."""
    rows, columns = ((line - step[:, None]) % len(line) for line, step in zip(_lines(product), by, strict=True))
    moved = product.gather(1, rows[:, :, None].expand_as(product))
    return moved.gather(2, columns[:, None, :].expand_as(product))


def _lines(like: Tensor) -> list[Tensor]:
    return [torch.arange(side, device=like.device) for side in like.shape[1:]]


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
    allowed = (targets != source[..., None]).any(dim=0)
    if config.min_overlap_pct:
        shared = shared_pixels(product, source, size, targets)
        allowed &= (shared > 0) & (shared >= config.min_overlap_pct * covered_pixels(sums, source, size)[..., None])
    if config.inside:
        allowed &= covered_pixels(sums, targets, size[..., None].expand_as(targets)) > 0
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
        place: ``[2, B, ...]`` int64, top row and left column.
        size: ``[2, B, ...]`` int64, height and width.

    Returns:
        ``[B, ...]`` int32.
    """
    table, width = sums.flatten(1), sums.shape[2]

    def before(rows: Tensor, columns: Tensor) -> Tensor:
        return table.gather(1, (rows * width + columns).flatten(1)).view(rows.shape)

    (top, left), (bottom, right) = place, place + size
    return before(bottom, right) - before(top, right) - before(bottom, left) + before(top, left)


def shared_pixels(product: Tensor, source: Tensor, size: Tensor, targets: Tensor) -> Tensor:
    """How many pixels of the object within each cut fall on the object, at each place it may be pasted on.

    Args:
        product: ``[B, H, W]`` bool, where the object is.
        source: ``[2, B, N]`` int64, top row and left column of the cuts.
        size: ``[2, B, N]`` int64, their height and width.
        targets: ``[2, B, N, D]`` int64, top row and left column of the places, wholly within the image.

    Returns:
        ``[B, N, D]`` int64.
    """
    if not waits(product.device) and bool(product.all()):
        return size.prod(dim=0)[..., None].expand(targets.shape[1:])
    height, width = product.shape[1:]
    spectrum = torch.fft.rfft2(product.float())
    found = []
    for number in range(source.shape[2]):
        cut = _rectangles(source[..., number], size[..., number], product) * product.view(torch.uint8)
        # For each way that a cut may be moved, how many of its pixels meet the object. Moves are round the edges, which
        # no place within the image makes use of.
        met = torch.fft.irfft2(torch.fft.rfft2(cut.float()).conj() * spectrum, s=(height, width))
        down, right = targets[:, :, number] - source[:, :, number, None]
        places = (down % height) * width + right % width
        found.append(met.flatten(1).gather(1, places).round().long())
    return torch.stack(found, dim=1)


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
