"""Masks on disk: pixel truth, foregrounds and regions of interest, read by one rule.

Every pixel that is not black is marked, unless it is wholly transparent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from kdzoo.data.depth import full_range, is_deep, white_is_zero
from kdzoo.data.files import printable
from kdzoo.data.images import Pixels, decoded_image
from kdzoo.data.placement import Place, Resize
from kdzoo.errors import ImageError


def read_mask(
    path: Path,
    size: int,
    image_size: tuple[int, int] | None = None,
    *,
    image_path: Path | None = None,
    resize: Resize = "stretch",
) -> Pixels:
    """Reads pixel truth: every pixel that is not black is defect, unless it is wholly transparent.

    Args:
        path: the mask file.
        size: S, pixels; the mask is resized to the nearest pixel.
        image_size: (width, height) of the image as `read_image` gives it, which the mask must share; None accepts any.
        image_path: the image's file, for the message.
        resize: as `resize_rgb` takes it; padding is no defect.

    Returns:
        ``[S, S]`` uint8, 1 where there is a defect, else 0.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    defect = _mask_of(path, image_size, image_path)
    height, width = defect.shape
    place = Place.of((height, width), size, resize)
    return place.zero_padded(_nearest(defect, (place.height, place.width)))


def read_scaled_mask(
    path: Path, shape: tuple[int, int], image_size: tuple[int, int] | None = None, *, image_path: Path | None = None
) -> Pixels:
    """Reads pixel truth as `read_mask` does, at the size of an image from `scaled_rgb`.

    Args:
        path: the mask file.
        shape: height and width, pixels.
        image_size: as `read_mask` takes it.
        image_path: likewise.

    Returns:
        ``[h, w]`` uint8, 1 where there is a defect, else 0.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    return _nearest(_mask_of(path, image_size, image_path), shape)


def _mask_of(path: Path, image_size: tuple[int, int] | None, image_path: Path | None) -> Pixels:
    """A mask at its own size, which must be its image's."""
    defect = read_full_mask(path)
    height, width = defect.shape
    if image_size is not None and (width, height) != tuple(image_size):
        owner = "its image" if image_path is None else f"its image {printable(image_path)}"
        raise ImageError(
            f"mask {printable(path)} is {width}x{height} pixels, but {owner} is {image_size[0]}x{image_size[1]}",
            hint="a mask must have the width and height of its image",
        )
    return defect


def _nearest(mask: Pixels, shape: tuple[int, int]) -> Pixels:
    if mask.shape == shape:
        return mask
    height, width = shape
    return np.array(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))


def read_full_mask(path: Path) -> Pixels:
    """Reads a mask at its own size, by the rules of `read_mask`: ``[H, W]`` uint8, 1 where it marks, else 0.

    Raises:
        ImageError: the mask cannot be read.
    """
    with decoded_image(path, low=True) as decoded:
        marked = _not_black(decoded.image)
        return marked if decoded.low is None else marked | _not_black(decoded.low)


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
