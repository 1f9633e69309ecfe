"""Images by formula with truth for every pixel: which region it belongs to, and which defect it shows.

A scene is a texture with up to three pieces of others on it, then up to four small defects, then uneven light, blur and
noise. The textures come from a pool of which some are made anew now and then, since making them is dear.

Everything depends on the seed and the step alone, so that a run that goes on sees what an uninterrupted one would have.

Letters: B images, S side in pixels, T side of the textures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from kdzoo.data.formula.dice import Dice, boxed
from kdzoo.data.formula.textures import rich_textures
from kdzoo.pretraining.defects import STROKE, scratched, softened, spoiled, visible
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.pretraining.shapes import blobs, strokes

_PIECE_SHARE, _DEFECT_SHARE = 0.4, 0.6
_PIECES, _SPOTS, _STROKES = 3, 2, 2


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """A batch of scenes.

    Attributes:
        images: ``[B, 3, S, S]`` float32 in [0, 1].
        regions: ``[B, S, S]`` int64; equal where the material is the same, also in another image.
        defects: ``[B, S, S]`` int64, a place in `kdzoo.pretraining.defects.DEFECTS`.
    """

    images: Tensor
    regions: Tensor
    defects: Tensor


class SceneMaker:
    """Makes the scenes of a recipe.

    Args:
        config: the recipe.
        device: where the scenes are made.
    """

    def __init__(self, config: PretrainConfig, device: torch.device | str) -> None:
        self.config, self.device = config, torch.device(device)
        side = config.texture_size
        self._pool = torch.zeros((config.textures, 3, side, side), device=self.device)
        self._renewals = 0

    def batch(self, step: int) -> Scenes:
        """The scenes of a step, 0 or more; steps are asked for in order, from any start."""
        self._renew(step // self.config.renewal_steps + self._fill)
        draw = Dice(self._generator(2 * step), self.device)
        count, side = self.config.batch_shape(step)
        gray = float(draw.uniform(1)) < self.config.gray_share
        # Few enough materials that most appear in several images of the batch.
        materials = draw.order(self.config.textures)[: 2 * count]
        regions, images = self._cut(draw, materials, count, side, gray)
        regions = regions[:, None, None].expand(count, side, side)
        defects = torch.zeros_like(regions)
        for _ in range(_PIECES):
            others, pieces = self._cut(draw, materials, count, side, gray)
            mask = blobs(draw, count, side, smallest=0.2, largest=0.6) & _some(draw, count, _PIECE_SHARE)
            images = torch.where(mask[:, None], pieces, images)
            regions = torch.where(mask, others[:, None, None], regions)
        for number in range(_SPOTS + _STROKES):
            if number < _SPOTS:
                mask = blobs(draw, count, side, smallest=0.05, largest=0.2)
                worse, kind = spoiled(draw, images, self._cut(draw, materials, count, side, gray)[1])
            else:
                mask, worse = strokes(draw, count, side), scratched(draw, images)
                kind = torch.full((count,), STROKE, device=self.device)
            worse = worse.clamp(0, 1)
            mask = mask & _some(draw, count, _DEFECT_SHARE) & visible(images, worse)
            images = torch.lerp(images, worse, softened(draw, mask))
            own = self.config.textures + number * count + torch.arange(count, device=self.device)
            regions = torch.where(mask, own[:, None, None], regions)
            defects = torch.where(mask, kind[:, None, None], defects)
        return Scenes(images=_photographed(draw, images), regions=regions, defects=defects)

    @property
    def _fill(self) -> int:
        """Renewals that fill the pool."""
        return -(-self.config.textures // self.config.fresh_textures)

    def _renew(self, wanted: int) -> None:
        """Brings the pool to what it is after ``wanted`` renewals; places are renewed in turn, the oldest first."""
        fresh, side = self.config.fresh_textures, self.config.texture_size
        start = self._renewals if self._renewals <= wanted else 0
        for renewal in range(max(start, wanted - self._fill), wanted):
            places = (torch.arange(fresh) + renewal * fresh) % self.config.textures
            made = rich_textures(fresh, side, self._generator(2 * renewal + 1), self.device)
            self._pool[places.to(self.device)] = made
        self._renewals = wanted

    def _generator(self, number: int) -> Generator:
        return torch.Generator(device=self.device).manual_seed(stream(self.config.seed, number + 1))

    def _cut(self, draw: Dice, materials: Tensor, count: int, side: int, gray: bool) -> tuple[Tensor, Tensor]:
        """A random window of a random material for each image: its number ``[B]`` and ``[B, 3, S, S]``."""
        chosen = materials[draw.below(len(materials), count)]
        room = self.config.texture_size - side + 1
        line = torch.arange(side, device=self.device)
        rows, columns = (draw.below(room, count)[:, None] + line for _ in range(2))
        window = self._pool[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return chosen, window.mean(dim=1, keepdim=True).expand(-1, 3, -1, -1) if gray else window


def stream(seed: int, number: int) -> int:
    """The seed of one of a run's many generators, 32 bits: a CPU generator takes no more of it.

    Odd factors keep all numbers of a seed apart, and numbers that are neighbours from having seeds that are.
    """
    return (number * 0x9E3779B97F4A7C15 + seed * 0xD1B54A32D192ED03) % 2**32


def _some(draw: Dice, count: int, share: float) -> Tensor:
    return draw.uniform(count, 1, 1) < share


def _photographed(draw: Dice, images: Tensor) -> Tensor:
    """Uneven light, a little blur in two of five, and noise."""
    count, side = len(images), images.shape[-1]
    light = functional.interpolate(0.12 * draw.normal(count, 1, 3, 3), (side, side), mode="bicubic")
    # A camera's exposure and white balance: they change from image to image, and are no change of the material.
    balance = 0.1 * draw.normal(count, 1, 1, 1) + 0.04 * draw.normal(count, 3, 1, 1)
    images = images * torch.exp(light + balance)
    blurred = boxed(images, 3)
    images = torch.lerp(images, blurred, draw.uniform(count, 1, 1, 1) * (draw.uniform(count, 1, 1, 1) < 0.4))
    return (images + draw.normal(*images.shape) * draw.uniform(count, 1, 1, 1, high=0.03)).clamp(0, 1)
