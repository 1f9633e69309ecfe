"""Masks on disk: pixel truth, foregrounds and regions of interest, read by one rule.

Every pixel that is not black is marked, unless it is wholly transparent. In a JPEG, whose compression leaves faint
values around each edge, those are that are brighter than half of its brightest. A folder in a mask's place holds
several, as in MVTec LOCO: what any of them marks is marked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from PIL import Image

from kdzoo.data.depth import full_range, is_deep, white_is_zero
from kdzoo.data.files import image_files, printable
from kdzoo.data.images import Pixels, decoded_image
from kdzoo.data.placement import Place, Resize
from kdzoo.errors import ImageError

MASK_RULE: Final = "any-pixel"
"""How pixel truth is made smaller, as documents call it; before there was a name for it, it was ``nearest-pixel``."""

Shrink = Literal["any", "nearest"]
"""What a pixel of a smaller mask is: marked where any of the pixels that it covers is, or as the one nearest to it."""


_FAINT = 16
"""What compression leaves beside edges is no brighter than this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskLook:
    """What is odd about a mask.

    Attributes:
        marked: the share of its pixels that it marks.
        lossy: whether it was compressed as photographs are, so that its edges are not what was drawn.
        grays: how many values other than black it has, of one channel; 1 in a mask of black and white.
    """

    marked: float
    lossy: bool
    grays: int


def read_mask(
    path: Path,
    size: int,
    image_size: tuple[int, int] | None = None,
    *,
    image_path: Path | None = None,
    resize: Resize = "stretch",
    shrink: Shrink = "any",
) -> Pixels:
    """Reads pixel truth: every pixel that is not black is defect, unless it is wholly transparent.

    Args:
        path: the mask file, or a folder of several.
        size: S, pixels.
        image_size: (width, height) of the image as `read_image` gives it, which the mask must share; None accepts any.
        image_path: the image's file, for the message.
        resize: as `resize_rgb` takes it; padding is no defect.
        shrink: how the mask is made smaller; ``any`` loses no defect, however small.

    Returns:
        ``[S, S]`` uint8, 1 where there is a defect, else 0.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    defect = _mask_of(path, image_size, image_path)
    height, width = defect.shape
    place = Place.of((height, width), size, resize)
    return place.zero_padded(resize_mask(defect, (place.height, place.width), shrink))


def read_scaled_mask(
    path: Path,
    shape: tuple[int, int],
    image_size: tuple[int, int] | None = None,
    *,
    image_path: Path | None = None,
    shrink: Shrink = "any",
) -> Pixels:
    """Reads pixel truth as `read_mask` does, at the size of an image from `scaled_rgb`.

    Args:
        path: the mask file.
        shape: height and width, pixels.
        image_size: as `read_mask` takes it.
        image_path: likewise.
        shrink: likewise.

    Returns:
        ``[h, w]`` uint8, 1 where there is a defect, else 0.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    return resize_mask(_mask_of(path, image_size, image_path), shape, shrink)


def _mask_of(path: Path, image_size: tuple[int, int] | None, image_path: Path | None) -> Pixels:
    """A mask at its own size, which must be its image's."""
    defect = read_full_mask(path)
    _check_size(defect, path, image_size, image_path)
    return defect


def _check_size(defect: Pixels, path: Path, image_size: tuple[int, int] | None, image_path: Path | None) -> None:
    height, width = defect.shape
    if image_size is not None and (width, height) != tuple(image_size):
        owner = "its image" if image_path is None else f"its image {printable(image_path)}"
        raise ImageError(
            f"mask {printable(path)} is {width}x{height} pixels, but {owner} is {image_size[0]}x{image_size[1]}",
            hint="a mask must have the width and height of its image",
        )


def resize_mask(mask: Pixels, shape: tuple[int, int], shrink: Shrink = "any") -> Pixels:
    """A mask at another size.

    Args:
        mask: ``[H, W]`` uint8, 0 and 1.
        shape: height and width, pixels.
        shrink: how a side that becomes shorter does; one that becomes longer takes the nearest pixel.

    Returns:
        ``[h, w]`` uint8, 0 and 1; the same array where it has that size.
    """
    if mask.shape == shape:
        return mask
    height, width = shape
    if shrink == "any":
        mask = _any_along_rows(_any_along_rows(mask, height).T, width).T
    if mask.shape == shape:
        return mask
    return np.array(Image.fromarray(np.ascontiguousarray(mask)).resize((width, height), Image.Resampling.NEAREST))


def _any_along_rows(mask: Pixels, height: int) -> Pixels:
    """Fewer rows: each the largest of the rows that it covers, those that it shares with its neighbour included."""
    rows = mask.shape[0]
    if height >= rows:
        return mask
    edges = np.arange(height + 1) * rows
    first, last = edges[:-1] // height, -(-edges[1:] // height) - 1
    reduced: Pixels = np.maximum(np.maximum.reduceat(mask, first, axis=0), mask[last])
    return reduced


def read_full_mask(path: Path) -> Pixels:
    """Reads a mask at its own size, by the rules of `read_mask`: ``[H, W]`` uint8, 1 where it marks, else 0.

    Raises:
        ImageError: the mask cannot be read, or masks of one folder differ in size.
    """
    return _whole(path)[0]


def look_at_mask(path: Path, image_size: tuple[int, int], *, image_path: Path) -> MaskLook:
    """What is odd about a mask; of several of one image, about them together.

    Args:
        path: as `read_mask` takes it.
        image_size: likewise.
        image_path: likewise.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    defect, lossy, grays = _whole(path)
    _check_size(defect, path, image_size, image_path)
    return MaskLook(marked=float(defect.mean()), lossy=lossy, grays=grays)


def _whole(path: Path) -> tuple[Pixels, bool, int]:
    """What `_read` gives; of a folder, of all its masks together."""
    if not path.is_dir():
        return _read(path)
    parts = [(file, _read(file)) for file in image_files(path)]
    if not parts:
        raise ImageError(f"mask {printable(path)} is a folder without images", hint="put the image's masks into it")
    whole = parts[0][1][0]
    for file, (mask, _, _) in parts[1:]:
        if mask.shape != whole.shape:
            raise ImageError(
                f"mask {printable(file)} is {mask.shape[1]}x{mask.shape[0]} pixels, others in its folder are "
                f"{whole.shape[1]}x{whole.shape[0]}",
                hint="all masks of an image have its width and height",
            )
        whole = whole | mask
    return whole, any(lossy for _, (_, lossy, _) in parts), max(grays for _, (_, _, grays) in parts)


def _read(path: Path) -> tuple[Pixels, bool, int]:
    """What one file marks, whether it is a JPEG, and how many values other than black it has."""
    with decoded_image(path, low=True) as decoded:
        image = decoded.image
        if decoded.lossy:
            values = np.asarray(image.convert("L"))
            return np.asarray(values > max(values.max() / 2, _FAINT), dtype=np.uint8), True, 1
        marked = _not_black(image)
        grays = _grays(image)
        return (marked if decoded.low is None else marked | _not_black(decoded.low)), False, grays


def _grays(mask: Image.Image) -> int:
    """How many values other than black a mask of 8 bits a channel has; 1 of any other."""
    if is_deep(mask) or mask.mode == "1":
        return 1
    return sum(count > 0 for count in mask.convert("L").histogram()[1:])


def _not_black(mask: Image.Image) -> Pixels:
    """``[H, W]`` uint8, 1 where a mask of any mode shows something."""
    if is_deep(mask) and white_is_zero(mask):
        shown = np.asarray(mask) != (1 if mask.mode == "F" else full_range(mask))
    elif is_deep(mask) or mask.mode in ("1", "L"):
        shown = np.asarray(mask) != 0
    else:
        colour = np.asarray(mask.convert("RGBA"))
        shown = (colour[:, :, :3] != 0).any(axis=2) & (colour[:, :, 3] != 0)
    return np.asarray(shown, dtype=np.uint8)
