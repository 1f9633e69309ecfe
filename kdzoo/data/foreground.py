"""Where the product is: a mask for an object on a plain background, the whole image for a texture.

The decision is one for the whole category: the images vote together, so that one odd photograph does not turn an
object into a texture. The recipe is the one of Tang et al. (arXiv 2405.02068: grey, Gaussian, threshold), with the
per-category thresholds replaced by Otsu's (1979) on the distance from the background's own colour.

Letters: N images, H height, W width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.errors import UsageError

_WORK_SIDE = 128
_BLUR_AT_256 = 8.0
"""Blur of the recipe, in pixels of an image of 256 pixels a side."""
_BORDER = 0.04
_PLAIN = 14.0
"""Largest spread of a plain background along the image's border, in grey levels of 255."""
_CONTRAST = 28.0
"""Least distance between object and background, in grey levels of 255."""
_LEAST, _MOST = 0.02, 0.90
"""Share of the image that an object covers."""
_BORDER_TOUCHED = 0.25
"""Largest share of the border that an object may cover."""
_MAJORITY = 0.8


def estimate_foreground(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Estimates where the product of one category is.

    A category is an object on a plain background when, in most images, the border has one colour, and what differs
    from that colour stands out, lies away from the border and covers a sensible share of the image. Anything else is
    a texture.

    Args:
        images: ``[N, H, W, 3]`` uint8, RGB; all images of one category.

    Returns:
        ``[N, H, W]`` bool: the object with its holes filled, or all True for a texture.

    Raises:
        UsageError: not uint8, or not of that shape, or no image.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise UsageError(
            f"the foreground needs images [N, H, W, 3] of uint8, got {list(images.shape)} of {images.dtype}",
            hint="give all images of one category, decoded to RGB",
        )
    small = _shrunk(images)
    border = _border(small.shape[1:3])
    background = np.median(small[:, border], axis=1)
    # The largest channel difference keeps a coloured object of the background's brightness visible.
    distance = np.abs(small - background[:, None, None, :]).max(axis=3)
    spread = np.percentile(distance[:, border], 90, axis=1)
    sigma = _BLUR_AT_256 / 256 * float(np.sqrt(small.shape[1] * small.shape[2]))
    smooth = ndimage.gaussian_filter(distance, (0, sigma, sigma), mode="nearest")
    threshold = _otsu(smooth)
    masks = smooth > threshold[:, None, None]
    whole = np.ones(images.shape[:3], dtype=bool)
    if not _is_object(masks, smooth, spread, border):
        return whole
    # The blur found the object; its outline is read from a sharper picture, halfway between background and object.
    sharp = ndimage.gaussian_filter(distance, (0, sigma / 4, sigma / 4), mode="nearest")
    level = np.array([np.median(field[mask]) if mask.any() else 2 * _CONTRAST for field, mask in zip(sharp, masks)])
    near = ndimage.binary_dilation(masks, np.ones((1, 3, 3)), iterations=max(1, round(2 * sigma)))
    return _enlarged(near & (sharp > level[:, None, None] / 2), images.shape[1:3])


def _shrunk(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over blocks, so that the shorter side is near `_WORK_SIDE`; a remainder at right and bottom is cut."""
    count, height, width, _ = images.shape
    block = _block((height, width))
    rows, columns = height // block, width // block
    blocks = images[:, : rows * block, : columns * block].reshape(count, rows, block, columns, block, 3)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32))


def _block(shape: tuple[int, ...]) -> int:
    """Pixels of the image, a side, to one of the small picture."""
    return max(1, min(shape) // _WORK_SIDE)


def _border(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The frame of an image, a few per cent wide."""
    height, width = shape
    thick = max(1, round(_BORDER * min(height, width)))
    border = np.ones((height, width), dtype=bool)
    border[thick:-thick, thick:-thick] = False
    return border


def _otsu(fields: NDArray[np.float32]) -> NDArray[np.float32]:
    """Otsu's threshold of each field: ``[N, H, W]`` of [0, 255] to ``[N]``; all fields at once."""
    count = len(fields)
    bins = np.clip(fields, 0, 255).astype(np.int64) + 256 * np.arange(count)[:, None, None]
    histogram = np.bincount(bins.ravel(), minlength=256 * count).reshape(count, 256).astype(np.float64)
    below = np.cumsum(histogram, axis=1)
    sums = np.cumsum(histogram * (np.arange(256) + 0.5), axis=1)
    total, mean = below[:, -1:], sums[:, -1:] / below[:, -1:]
    above = total - below
    between = (mean * below - sums) ** 2 / np.maximum(below * above, 1e-9)
    return np.asarray(np.argmax(between[:, :-1], axis=1) + 1, dtype=np.float32)


def _is_object(
    masks: NDArray[np.bool_], smooth: NDArray[np.float32], spread: NDArray[np.float32], border: NDArray[np.bool_]
) -> bool:
    """Whether most images show an object on a plain background."""
    share = masks.mean(axis=(1, 2))
    inside = np.where(masks, smooth, 0).sum(axis=(1, 2)) / np.maximum(masks.sum(axis=(1, 2)), 1)
    outside = np.where(masks, 0, smooth).sum(axis=(1, 2)) / np.maximum((~masks).sum(axis=(1, 2)), 1)
    votes = (
        (spread < _PLAIN)
        & (inside - outside > _CONTRAST)
        & (share > _LEAST)
        & (share < _MOST)
        & (masks[:, border].mean(axis=1) < _BORDER_TOUCHED)
    )
    return bool(votes.mean() >= _MAJORITY)


def _enlarged(masks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Drops specks, fills holes, and brings the masks to ``shape`` with smooth outlines."""
    solid = np.stack([ndimage.binary_fill_holes(ndimage.binary_opening(mask)) for mask in masks]).astype(np.float32)
    block = _block(shape)
    return np.asarray(_stretched(_stretched(solid, 1, shape[0], block), 2, shape[1], block) >= 0.5)


def _stretched(fields: NDArray[np.float32], axis: int, length: int, block: int) -> NDArray[np.float32]:
    """Linear interpolation along one axis between the middles of blocks."""
    place = np.clip((np.arange(length) + 0.5) / block - 0.5, 0, fields.shape[axis] - 1)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, fields.shape[axis] - 1)
    weight = (place - low).astype(np.float32).reshape([-1 if at == axis else 1 for at in range(3)])
    return np.asarray(np.take(fields, low, axis) * (1 - weight) + np.take(fields, high, axis) * weight)
