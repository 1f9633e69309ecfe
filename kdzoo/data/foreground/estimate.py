"""Where the product is: a mask for an object on a plain background, the whole image for a surface.

Whether a category shows objects or a surface is one decision for the category: its images vote together, so that one
odd photograph does not turn an object into a surface. The recipe is the one of Tang et al. (arXiv 2405.02068: grey,
Gaussian, threshold), with the per-category thresholds replaced by Otsu's (1979) on the distance from the backdrop,
which `kdzoo.data.foreground.backdrop` fits to the image's frame. `benchmarks/foreground.py` measures it.

Letters: N images, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.data.foreground.backdrop import Background, fit_backdrop, frame_of, widest
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.errors import UsageError

_WORK_SIDE = 128
_CHUNK = 32
"""Images worked on at once: bounds the memory."""
_VOTERS = 64
"""Most images that vote, evenly spaced over the category."""
_BLUR_AT_256 = 8.0
"""Blur of the recipe, in pixels of an image of 256 pixels a side."""
_PLAIN_SHARE, _PLAIN = 70.0, 9.0
"""So many per cent of the frame must lie this near to the backdrop, in grey levels of 255."""
_CONTRAST = 28.0
"""Least distance between object and background, in grey levels of 255."""
_FAINT = 8.0
"""The same where the person says that there is an object."""
_LEAST, _MOST = 0.02, 0.90
"""Share of the image that an object covers."""
_FRAME_TOUCHED = 0.4
"""Largest share of the frame that objects may cover."""
_TOUCHED_TO_SHARE = 0.75
"""The same, as a ratio to their share of the image: a surface's pattern covers the frame as it covers the rest."""
_CROSSINGS = 4
"""How often, at most, objects may lie across the frame: a pattern crosses it all around."""
_MAJORITY = 0.8
_GAP = 3
"""Pixels of the small picture up to half whose width a gap within the object is closed."""


def estimate_foreground(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Estimates where the product of one category is.

    Args:
        images: ``[N, H, W, 3]`` uint8, RGB; all images of one category.

    Returns:
        ``[N, H, W]`` bool: the object with its holes filled, or all True for a surface.

    Raises:
        UsageError: not uint8, or not of that shape, or no image.
    """
    return find_foreground(images, ForegroundRule(kind="auto"))


def find_foreground(
    images: NDArray[np.uint8], rule: ForegroundRule, *, of_category: NDArray[np.uint8] | None = None
) -> NDArray[np.bool_]:
    """Where the product is, by a rule that reads no files.

    Args:
        images: ``[N, H, W, 3]`` uint8, RGB, of one category.
        rule: any but ``masks``.
        of_category: the images that say, under ``auto``, whether the category shows objects; default ``images``.

    Returns:
        ``[N, H, W]`` bool.

    Raises:
        UsageError: not uint8, or not of that shape, or no image; or the rule is ``masks``.
    """
    match rule.kind:
        case "light" | "dark" as background:
            return object_masks(images, background)
        case "auto" if shows_object(images if of_category is None else of_category):
            return object_masks(images)
        case "masks":
            raise UsageError(f"the foreground rule '{rule}' needs its files, not images alone")
    return np.ones(images.shape[:3], dtype=bool)


def shows_object(*images: NDArray[np.uint8]) -> bool:
    """Whether a category is an object on a plain background, rather than a surface that fills the image.

    It is when, in most images, most of the frame is plain, and what differs from it stands out, covers a sensible share
    of the image, and lies mostly away from the frame.

    Args:
        images: ``[N, H, W, 3]`` uint8, RGB, of one category, an array for each size; about 64 of them, evenly spaced,
            are looked at.

    Raises:
        UsageError: not uint8, or not of that shape, or no image.
    """
    total, votes = sum(map(len, images)), []
    for alike in images:
        _check(alike)
        voters = min(len(alike), -(-_VOTERS * len(alike) // total))
        asked = np.unique(np.linspace(0, len(alike) - 1, voters).round().astype(int))
        votes += [_votes(_look(alike[asked[at : at + _CHUNK]], "any")) for at in range(0, len(asked), _CHUNK)]
    return bool(np.concatenate(votes).mean() >= _MAJORITY)


def object_masks(images: NDArray[np.uint8], background: Background = "any") -> NDArray[np.bool_]:
    """Finds the object in each image, without asking whether there is one.

    Args:
        images: ``[N, H, W, 3]`` uint8, RGB.
        background: what the background is; ``any`` takes what most of the frame shows, ``light`` and ``dark`` also find
            an object that covers most of the frame.

    Returns:
        ``[N, H, W]`` bool: the object with its holes filled. An image in which nothing stands out is all True.

    Raises:
        UsageError: not uint8, or not of that shape, or no image.
    """
    _check(images)
    masks = np.ones(images.shape[:3], dtype=bool)
    for start in range(0, len(images), _CHUNK):
        look = _look(images[start : start + _CHUNK], background)
        found = _enlarged(_outlined(look), images.shape[1:3])
        seen = (look.contrast() > _FAINT) & found.any(axis=(1, 2))
        masks[start : start + _CHUNK][seen] = found[seen]
    return masks


@dataclass(frozen=True, kw_only=True)
class _Look:
    """Small pictures of some images, in distances from the backdrop.

    Attributes:
        residual: ``[N, h, w, 3]`` float32, grey levels of 255, with sign.
        distance: ``[N, h, w]`` float32, its largest channel without sign.
        smooth: the same, blurred as the recipe says.
        masks: ``[N, h, w]`` bool, the objects as the blur shows them.
        frame: ``[h, w]`` bool.
        sigma: of the blur, pixels.
    """

    residual: NDArray[np.float32]
    distance: NDArray[np.float32]
    smooth: NDArray[np.float32]
    masks: NDArray[np.bool_]
    frame: NDArray[np.bool_]
    sigma: float

    def contrast(self) -> NDArray[np.float64]:
        """By how much objects stand out: ``[N]`` grey levels."""
        inside = np.where(self.masks, self.smooth, 0).sum(axis=(1, 2)) / np.maximum(self.masks.sum(axis=(1, 2)), 1)
        outside = np.where(self.masks, 0, self.smooth).sum(axis=(1, 2)) / np.maximum((~self.masks).sum(axis=(1, 2)), 1)
        return np.asarray(inside - outside, dtype=np.float64)


def _look(images: NDArray[np.uint8], background: Background) -> _Look:
    small = _shrunk(images)
    frame = frame_of(*small.shape[1:3])
    # The largest channel difference keeps a coloured object of the background's brightness visible.
    residual = small - fit_backdrop(small, frame, background)
    distance = widest(residual)
    sigma = _BLUR_AT_256 / 256 * float(np.sqrt(small.shape[1] * small.shape[2]))
    smooth = ndimage.gaussian_filter(distance, (0, sigma, sigma), mode="nearest")
    masks = smooth > _otsu(smooth)[:, None, None]
    return _Look(residual=residual, distance=distance, smooth=smooth, masks=masks, frame=frame, sigma=sigma)


def _votes(look: _Look) -> NDArray[np.bool_]:
    """Whether each image shows an object on a plain background: ``[N]``."""
    share = look.masks.mean(axis=(1, 2))
    touched = look.masks[:, look.frame].mean(axis=1)
    # Blurred with its sign, noise of the sensor goes away and a pattern stays.
    plain = widest(ndimage.gaussian_filter(look.residual, (0, 1, 1, 0), mode="nearest")[:, look.frame])
    return np.asarray(
        (np.percentile(plain, _PLAIN_SHARE, axis=1) < _PLAIN)
        & (look.contrast() > _CONTRAST)
        & (share > _LEAST)
        & (share < _MOST)
        & (touched < _FRAME_TOUCHED)
        & (touched < _TOUCHED_TO_SHARE * share)
        & (_crossings(look.masks) <= _CROSSINGS)
    )


def _crossings(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How many separate pieces of the image's edge, walked around once, are covered: ``[N]``."""
    around = np.concatenate([masks[:, 0, :], masks[:, 1:, -1], masks[:, -1, -2::-1], masks[:, -2:0:-1, 0]], axis=1)
    return np.asarray((around & ~np.roll(around, 1, axis=1)).sum(axis=1), dtype=np.int64)


def _outlined(look: _Look) -> NDArray[np.bool_]:
    """The objects with sharp outlines.

    The blur finds the object; its outline is read from a sharper picture, halfway between background and object.
    """
    fine = look.sigma / 4
    sharp = ndimage.gaussian_filter(look.distance, (0, fine, fine), mode="nearest")
    level = np.array(
        [np.median(field[mask]) if mask.any() else 2 * _CONTRAST for field, mask in zip(sharp, look.masks)]
    )
    near = ndimage.binary_dilation(look.masks, np.ones((1, 3, 3)), iterations=max(1, round(2 * look.sigma)))
    return np.asarray(near & (sharp > level[:, None, None] / 2))


def _enlarged(masks: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Drops specks, closes gaps, fills holes, and brings the masks to ``shape`` with smooth outlines."""
    solid = np.stack([_solid(mask) for mask in masks]).astype(np.float32)
    block = _block(shape)
    return np.asarray(_stretched(_stretched(solid, 1, shape[0], block), 2, shape[1], block) >= 0.5)


def _solid(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    # Beyond the image the object goes on as it ends there: closing must not eat it at the edge.
    wide = np.pad(ndimage.binary_opening(mask), _GAP, mode="edge")
    closed = ndimage.binary_closing(wide, _DISC)[_GAP:-_GAP, _GAP:-_GAP]
    return np.asarray(ndimage.binary_fill_holes(closed))


_DISC = np.hypot(*np.mgrid[-_GAP : _GAP + 1, -_GAP : _GAP + 1]) <= _GAP + 0.5


def _check(images: NDArray[np.uint8]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise UsageError(
            f"the foreground needs images [N, H, W, 3] of uint8, got {list(images.shape)} of {images.dtype}",
            hint="give all images of one category, decoded to RGB",
        )


def _shrunk(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Means over blocks, so that the shorter side is near `_WORK_SIDE`; a remainder at right and bottom is cut."""
    block = _block(images.shape[1:3])
    rows, columns = (length // block * block for length in images.shape[1:3])
    total = np.zeros((len(images), rows // block, columns // block, 3), np.uint32)
    # A sum of shifted views: a mean over the axes of a reshaped array takes several times as long.
    for row in range(block):
        for column in range(block):
            total += images[:, row:rows:block, column:columns:block]
    return np.asarray(total / np.float32(block**2), dtype=np.float32)


def _block(shape: tuple[int, ...]) -> int:
    """Pixels of the image, a side, to one of the small picture."""
    return max(1, min(shape) // _WORK_SIDE)


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


def _stretched(fields: NDArray[np.float32], axis: int, length: int, block: int) -> NDArray[np.float32]:
    """Linear interpolation along one axis between the middles of blocks."""
    place = np.clip((np.arange(length) + 0.5) / block - 0.5, 0, fields.shape[axis] - 1)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, fields.shape[axis] - 1)
    weight = (place - low).astype(np.float32).reshape([-1 if at == axis else 1 for at in range(3)])
    return np.asarray(np.take(fields, low, axis) * (1 - weight) + np.take(fields, high, axis) * weight)
