"""Synthetic anomalies in the shape of Perlin noise, filled with texture (Zavrtanik et al., DRAEM, arXiv 2108.07610).

Everything is computed for the whole batch at once. Perlin noise on a grid of random gradients is separable: with fade
weights ``R [H, G]`` and ``C [W, G]`` (two non-zeros a row) and the same weights times the distance to the grid point,
``R'`` and ``C'``, the noise is ``R' gy C^T + R gx C'^T`` for gradients ``gy, gx [G, G]``: two small matrix products an
image, whatever its grid's scale and whatever H and W.

Letters: B images, H height, W width, G grid points a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.config import knob
from kdzoo.data.devices import beside, uploaded, waits
from kdzoo.data.synthesis.base import SyntheticBatch, check_shapes
from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.data.synthesis.fill import FormulaTextures, TextureSource
from kdzoo.data.synthesis.knobs import BlendKnobs, check_order
from kdzoo.data.synthesis.photometric import augmented_pixels
from kdzoo.data.synthesis.pixels import (
    Marked,
    above,
    are_gray,
    as_luma,
    marked_places,
    read_colours,
    with_colours,
)


@dataclass(frozen=True, kw_only=True)
class PerlinConfig(BlendKnobs, SynthesisConfig):
    """What is planted; the defaults are those of Tang et al. (arXiv 2405.02068), who follow DRAEM."""

    probability: float = knob(0.8, "share of the images that get an anomaly", low=0, high=1)
    min_scale_exponent: int = knob(0, "the coarsest noise has 2 to this many cells an axis", low=0, high=7)
    max_scale_exponent: int = knob(5, "the finest noise has 2 to this many cells an axis", low=0, high=7)
    threshold: float = knob(0.5, "noise above it is anomalous", low=0, high=1)
    rotation: float = knob(90.0, "the noise is turned by up to this many degrees either way", low=0, high=180)
    max_redraws: int = knob(10, "noise draws until an anomaly is large enough", low=1, high=100)
    min_pixels: int = knob(4, "an anomaly has more pixels than this", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_order(self, "min_scale_exponent", "max_scale_exponent")


class Perlin:
    """Plants Perlin-shaped patches of texture; a `Synthesizer`.

    Args:
        config: what is planted.
        source: where the textures come from; default by formula.
    """

    def __init__(self, config: PerlinConfig | None = None, source: TextureSource | None = None) -> None:
        self.config = config or PerlinConfig()
        self.source = source or FormulaTextures()

    def __call__(self, images: Tensor, foreground: Tensor, generator: Generator) -> SyntheticBatch:
        """Plants anomalies.

        Args:
            images: ``[B, 3, H, W]`` float in [0, 1], RGB; left unchanged.
            foreground: ``[B, 1, H, W]`` bool, where anomalies may lie.
            generator: source of all randomness, on the images' device; the same seed gives the same anomalies.

        Returns:
            Images equal to the given ones, to the bit, outside the masks. An image whose foreground has no room stays
            as it was, with an empty mask.

        Raises:
            UsageError: shapes that do not fit.
        """
        check_shapes(images, foreground)
        count, _, height, width = images.shape
        device = images.device
        masks = torch.zeros((count, 1, height, width), device=device, dtype=images.dtype)
        # How many images it is about decides how much work there is: the host must know.
        picked = marked_places(torch.rand(count, generator=beside(generator)) < self.config.probability)
        if len(picked) == 0:
            return SyntheticBatch(images=images.clone(), masks=masks)
        chosen = uploaded(picked, device)
        source = self.source(images, len(chosen), generator)
        # Only pixels within the anomalies are touched from here on, where the device tells which these are.
        marked = Marked.of(self._shapes(foreground.index_select(0, chosen), generator))
        owner = torch.div(marked.places, height * width, rounding_mode="floor")
        within = marked.places - owner * (height * width)
        rows = torch.div(within, width, rounding_mode="floor")
        filling = augmented_pixels(source, (owner, rows, within - rows * width), generator).to(images.dtype)
        # What a monochrome camera sees has no colour, and what has one there would be too easy to find.
        gray = are_gray(images.index_select(0, chosen)).index_select(0, owner)
        filling = torch.where(gray, as_luma(filling).to(images.dtype), filling)
        low, high = self.config.blend_low, self.config.blend_high
        blend = torch.rand(len(chosen), generator=generator, device=device, dtype=images.dtype) * (high - low) + low
        targets = within + (chosen * (height * width)).index_select(0, owner)
        before = read_colours(images, targets)
        blended = marked.keep(torch.lerp(filling, before, blend.index_select(0, owner)), before)
        masks.view(-1).index_copy_(0, targets, marked.keep(torch.ones_like(blended[0]), 0.0))
        return SyntheticBatch(images=with_colours(images, targets, blended), masks=masks)

    def _shapes(self, foreground: Tensor, generator: Generator) -> Tensor:
        """Where the anomalies lie, ``[B, 1, H, W]`` bool: of each image the first draw that is large enough."""
        shapes = self._noise_above(len(foreground), foreground, generator).bitwise_and_(foreground)
        if waits(shapes.device):
            # Which images got too little is not known here: all are drawn again each time.
            for _ in range(1, self.config.max_redraws):
                drawn = self._noise_above(len(foreground), foreground, generator).bitwise_and_(foreground)
                shapes = torch.where(self._is_small(shapes), drawn, shapes)
            return shapes & ~self._is_small(shapes)
        waiting = marked_places(self._is_small(shapes))
        for _ in range(1, self.config.max_redraws):
            if len(waiting) == 0:
                break
            drawn = self._noise_above(len(waiting), foreground, generator)
            drawn.bitwise_and_(foreground.index_select(0, waiting))
            shapes.index_copy_(0, waiting, drawn)
            waiting = waiting.index_select(0, marked_places(self._is_small(drawn)))
        return shapes.index_fill_(0, waiting, False)

    def _is_small(self, shapes: Tensor) -> Tensor:
        """Which of the shapes have not enough pixels, ``[B, 1, 1, 1]`` bool."""
        areas = shapes.view(torch.uint8).sum(dim=(1, 2, 3), keepdim=True, dtype=torch.int32)
        return areas <= self.config.min_pixels

    def _noise_above(self, count: int, like: Tensor, generator: Generator) -> Tensor:
        """Turned Perlin noise above the threshold, ``[count, 1, H, W]`` bool, of the size and device of ``like``."""
        config, device = self.config, like.device
        exponents = torch.randint(
            config.min_scale_exponent, config.max_scale_exponent + 1, (count, 2), generator=generator, device=device
        )
        noise = perlin_noise(exponents, config.max_scale_exponent, like.shape[-2], like.shape[-1], generator)
        angle = (torch.rand(count, generator=generator, device=device) * 2 - 1) * math.radians(config.rotation)
        return above(rotated(noise, angle), config.threshold)


def rotated(fields: Tensor, angle: Tensor) -> Tensor:
    """Turns fields about their middle.

    Args:
        fields: ``[B, 1, H, W]`` float.
        angle: ``[B]`` radians.

    Returns:
        ``[B, 1, H, W]``, bilinear, 0 beyond the edges.
    """
    height, width = fields.shape[-2:]
    cos, sin = torch.cos(angle)[:, None], torch.sin(angle)[:, None]
    # In half-sides, as grid_sample counts. affine_grid would multiply a matrix for each pixel: ten times slower.
    down = (torch.arange(height, device=angle.device) * 2 + 1) / height - 1
    right = (torch.arange(width, device=angle.device) * 2 + 1) / width - 1
    # The two axes are counted in different units: the ratio of the sides keeps a turn from becoming a shear. As complex
    # numbers, x and y of all pixels are one sum of a row and a column.
    along = torch.complex(cos * right, sin * (width / height) * right)
    across = torch.complex(-sin * (height / width) * down, cos * down)
    grid = torch.view_as_real(across[:, :, None] + along[:, None, :])
    return functional.grid_sample(fields, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def perlin_noise(exponents: Tensor, largest: int, height: int, width: int, generator: Generator) -> Tensor:
    """Perlin's gradient noise (2002, quintic fade), a grid of its own for each image.

    Args:
        exponents: ``[B, 2]`` int64, 0 to ``largest``: image b has ``2 ** exponents[b]`` cells along its height and its
            width.
        largest: exponent of the finest grid there could be. All grids are kept at its size, so that no shape depends
            on what was drawn and the device need not be asked; a coarser image uses its first few points.
        height: H in pixels; need not be a multiple of the cells.
        width: W in pixels.
        generator: draws the gradients, on the exponents' device.

    Returns:
        ``[B, 1, H, W]`` float32, mean 0, within [-1, 1].
    """
    points = 2**largest + 1
    angle = torch.rand((len(exponents), points, points), generator=generator, device=exponents.device) * (2 * math.pi)
    rows = _weights(largest, height, exponents.device)
    columns = rows if width == height else _weights(largest, width, exponents.device)
    rows, columns = rows.index_select(0, exponents[:, 0]), columns.index_select(0, exponents[:, 1])
    # Unit gradients reach sqrt(1/2) in the middle of a cell.
    down, right = torch.sin(angle).mul_(math.sqrt(2)), torch.cos(angle).mul_(math.sqrt(2))
    across = torch.cat([right @ columns[:, :, points:].mT, down @ columns[:, :, :points].mT], dim=1)
    return (rows @ across).unsqueeze(1)


def _weights(largest: int, length: int, device: torch.device) -> Tensor:
    """For each exponent the fade weight of each grid point at each pixel, then that times the distance to it.

    Returns:
        ``[largest + 1, length, 2 * (2 ** largest + 1)]`` float32.
    """
    cells = torch.exp2(torch.arange(largest + 1, device=device))
    place = torch.arange(length, device=device) * (cells[:, None] / length)
    away = place[:, :, None] - torch.arange(2**largest + 1, device=device)
    near = (1 - away.abs()).clamp_min(0)
    fade = near**3 * (near * (near * 6 - 15) + 10)
    return torch.cat([fade, fade * away], dim=2)
