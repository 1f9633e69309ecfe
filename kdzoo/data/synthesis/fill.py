"""What anomalies are filled with: textures by formula and pieces of other images, or a folder of photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Generator, Tensor

from kdzoo.data.devices import beside, constant, uploaded
from kdzoo.data.files import images_below
from kdzoo.data.formula.textures import formula_textures
from kdzoo.data.synthesis.filling import Filling
from kdzoo.data.synthesis.pixels import read_colours
from kdzoo.errors import DatasetNotFoundError, ImageError, UsageError

_TILES = 4
_LEAST_SIDE = 64
_USES = 2
"""Fillings that a texture by formula is used in: its photometric changes and its place there are each one's own."""


class TextureSource(Protocol):
    """Gives textures to fill anomalies with."""

    def __call__(self, images: Tensor, count: int, generator: Generator) -> Filling:
        """Gives fillings.

        Args:
            images: ``[B, 3, H, W]`` float in [0, 1]: the batch to be filled, on the textures' device.
            count: how many, 1 or more.
            generator: source of all randomness, on the images' device.

        Returns:
            ``count`` fillings, their textures on the images' device and of any size.
        """
        ...


class FormulaTextures:
    """Textures by formula, some of them replaced by shuffled pieces of the batch's images; needs no file.

    Args:
        from_batch: share of the textures that are made of the batch's images, in [0, 1].

    Raises:
        UsageError: a share outside [0, 1].
    """

    def __init__(self, from_batch: float = 0.25) -> None:
        if not 0 <= from_batch <= 1:
            raise UsageError(f"from_batch = {from_batch} is out of range", hint="allowed: >= 0, <= 1")
        self.from_batch = from_batch

    def __call__(self, images: Tensor, count: int, generator: Generator) -> Filling:
        """Gives fillings, each texture in two of them, at places of their own; see `TextureSource`."""
        device = images.device
        # Half the side costs a quarter, and anomalies are too small to show that the texture repeats, mirrored.
        height, width = (max(min(side, _LEAST_SIDE), -(-side // 2)) for side in images.shape[-2:])
        stock = -(-count // _USES)
        pieces = round(self.from_batch * stock)
        # The share is exact and not drawn, so that the sizes of both parts are known without asking the device.
        textures = _bytes(formula_textures(stock - pieces, (height, width), generator, device))
        if pieces:
            textures = torch.cat([textures, _bytes(_shuffled(images, pieces, (height, width), generator))])
        period = constant((height, width), device, torch.int64)[:, None] * 2 - 2
        return Filling(
            textures=textures,
            chosen=torch.randperm(count, generator=generator, device=device) % stock,
            start=(torch.rand((2, count), generator=generator, device=device) * period).long(),
        )


def _bytes(textures: Tensor) -> Tensor:
    """Textures in [0, 1] as uint8: of every later step a quarter of the memory."""
    return (textures * 255).round_().byte()


def _shuffled(images: Tensor, count: int, size: tuple[int, int], generator: Generator) -> Tensor:
    """Images of the batch in 4x4 tiles that are dealt anew, the whole then shifted around; ``[count, 3, *size]``."""
    device, (height, width) = images.device, images.shape[-2:]
    chosen = torch.randint(len(images), (count,), generator=generator, device=device)
    deal = torch.rand((count, _TILES * _TILES), generator=generator, device=device).argsort(dim=1)
    shift = torch.rand((2, count, 1), generator=generator, device=device)
    tall, wide = -(-height // _TILES), -(-width // _TILES)
    rows = (torch.arange(size[0], device=device) + (shift[0] * height).long()) % height
    columns = (torch.arange(size[1], device=device) + (shift[1] * width).long()) % width
    # For each pixel: which tile it lies in, which tile was dealt there, and the same place within that one.
    tile = (rows // tall)[:, :, None] * _TILES + (columns // wide)[:, None, :]
    source = torch.gather(deal, 1, tile.flatten(1)).view_as(tile)
    row = (source // _TILES * tall + (rows % tall)[:, :, None]).clamp_max(height - 1)
    column = (source % _TILES * wide + (columns % wide)[:, None, :]).clamp_max(width - 1)
    places = (chosen[:, None, None] * height + row) * width + column
    return read_colours(images, places.flatten()).view(3, count, *size).transpose(0, 1)


class FolderTextures:
    """Photographs of a folder, such as DTD, each decoded once and kept in memory as bytes.

    Args:
        path: folder; images in sub-folders count too.
        size: side in pixels of the square that is cut from each photograph's middle and kept.
        most: largest number of photographs kept; more are left out by a draw from ``seed``.
        seed: chooses the photographs when there are too many.

    Raises:
        DatasetNotFoundError: no such folder, or no image in it.
        ImageError: a photograph that cannot be decoded.
        UsageError: a size or cap below 1.
    """

    def __init__(self, path: Path, size: int, *, most: int = 2000, seed: int = 0) -> None:
        if size < 1 or most < 1:
            raise UsageError(f"cannot keep {most} textures of {size} pixels", hint="both must be 1 or more")
        files = images_below(path) if path.is_dir() else []
        if not files:
            raise DatasetNotFoundError(
                f"no textures in {path}", hint="give a folder of photographs, or none to use textures by formula"
            )
        if len(files) > most:
            chosen = np.random.default_rng(seed).choice(len(files), most, replace=False)
            files = [files[number] for number in sorted(chosen)]
        self.path = path
        self.textures = torch.from_numpy(np.stack([_decoded(file, size) for file in files]))
        """``[N, 3, size, size]`` uint8, on the CPU."""

    def __call__(self, images: Tensor, count: int, generator: Generator) -> Filling:
        """Gives photographs, each mirrored at random; see `TextureSource`."""
        device, host = images.device, beside(generator)
        textures = self.textures
        chosen = torch.randint(len(textures), (count,), generator=host)
        mirrored = torch.rand(count, generator=host) < 0.5
        start = torch.stack([torch.zeros_like(chosen), mirrored * (textures.shape[-1] - 1)])
        if device != textures.device:
            # Only the chosen bytes travel to the device.
            textures, chosen = uploaded(textures.index_select(0, chosen), device), torch.arange(count, device=device)
        return Filling(textures=textures, chosen=chosen, start=uploaded(start, device))


def _decoded(file: Path, size: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """The middle square of a photograph, ``[3, size, size]`` uint8."""
    try:
        with Image.open(file) as picture:
            picture.draft("RGB", (size, size))
            side = min(picture.size)
            left, top = (picture.width - side) // 2, (picture.height - side) // 2
            box = (left, top, left + side, top + side)
            square = picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError, SyntaxError) as error:
        raise ImageError(f"cannot decode texture {file}: {error}", hint="remove or replace the file") from error
    return np.ascontiguousarray(np.asarray(square, dtype=np.uint8).transpose(2, 0, 1))
