"""Masks from polygons and runs of pixels, as labelling tools write them. ``H, W`` in pixels, masks ``[H, W]`` bool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kdzoo.data.images import MAX_PIXELS

Mask = npt.NDArray[np.bool_]

_FARTHEST = 1e7
"""Pixels: no true corner lies farther outside."""


def empty_mask(height: int, width: int) -> Mask:
    """A mask that marks nothing.

    Raises:
        ValueError: the size is not positive, or larger than any image that is decoded.
    """
    if height < 1 or width < 1 or height * width > MAX_PIXELS:
        raise ValueError(f"{width}x{height} is no size of an image")
    return np.zeros((height, width), dtype=np.bool_)


def polygon_mask(corners: Sequence[tuple[float, float]], height: int, width: int) -> Mask:
    """The pixels whose centre lies within a polygon (even-odd); of one too thin for any, those along its edges.

    Args:
        corners: x and y of each, pixels from the top left corner of the image; the last joins the first.
        height: of the image.
        width: of the image.

    Raises:
        ValueError: fewer than three corners, or one that is not a number.
    """
    points = np.asarray(corners, dtype=np.float64)
    if points.ndim != 2 or points.shape[0] < 3 or not np.isfinite(points).all() or abs(points).max() > _FARTHEST:
        raise ValueError("a polygon has three corners or more, each of two numbers")
    mask = empty_mask(height, width)
    ends = np.roll(points, -1, axis=0)
    (x0, y0), (x1, y1) = points.T, ends.T
    for row in range(max(0, int(np.floor(y0.min()))), min(height, int(np.ceil(y0.max())))):
        centre = row + 0.5
        crossed = (y0 <= centre) != (y1 <= centre)
        slope = (x1[crossed] - x0[crossed]) / (y1[crossed] - y0[crossed])
        # A centre on the left edge lies within, one on the right edge does not: neighbours share no pixel.
        cuts = np.ceil(np.sort(x0[crossed] + (centre - y0[crossed]) * slope) - 0.5).clip(0, width).astype(int)
        for left, right in zip(cuts[::2], cuts[1::2], strict=True):
            mask[row, left:right] = True
    if not mask.any():
        _trace(mask, points, ends)
    return mask


def _trace(mask: Mask, starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64]) -> None:
    """Marks the pixels along edges, as far as they lie in the image."""
    height, width = mask.shape
    for start, end in zip(starts, ends, strict=True):
        steps = min(int(np.ceil(abs(end - start).max() * 2)), 4 * (height + width)) + 1
        along = start + np.linspace(0, 1, steps)[:, None] * (end - start)
        x, y = np.floor(along).astype(int).T
        there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        mask[y[there], x[there]] = True


def coco_runs_mask(counts: str | Sequence[int], height: int, width: int) -> Mask:
    """A mask from COCO's runs: down the columns, by turns outside and inside, beginning outside.

    Args:
        counts: lengths of the runs; or a text that packs them: six bits a letter from ``0`` on, five of them a digit,
            lowest first, the sixth says that more follow; from the fourth run on the difference to the last but one.
        height: of the image.
        width: of the image.

    Raises:
        ValueError: the runs are damaged or do not fill the image.
    """
    mask = empty_mask(height, width)
    lengths = _unpacked(counts) if isinstance(counts, str) else list(counts)
    # Summed as they are: in 64 bits a sum of huge runs may come round to that of the image.
    if any(run < 0 for run in lengths) or sum(lengths) != height * width:
        raise ValueError(f"the runs do not fill {width}x{height} pixels")
    runs = np.asarray(lengths, dtype=np.int64)
    inside = np.arange(len(runs)) % 2 == 1
    mask[:] = np.repeat(inside, runs).reshape(width, height).T
    return mask


def _unpacked(text: str) -> list[int]:
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 40:
            raise ValueError("the text of runs is damaged")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:  # the highest digit has the sign
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError("the text of runs ends in the middle of a number")
    return runs


def brush_mask(packed: Sequence[int], height: int, width: int) -> Mask:
    """A mask from Label Studio's brush: runs of bytes of an RGBA image, whose opacity is the mask.

    The bytes are a stream of bits: 32 for the number of values, 5 for their bits less one, four times 4 for the
    bits, less one, that lengths may have. Then pieces: 1 bit, whether one value repeats; 2 bits, which kind of length;
    the length less one; and the value, or as many values.

    Args:
        packed: bytes, 0..255.
        height: of the image.
        width: of the image.

    Raises:
        ValueError: the runs are damaged or do not fill the image.
    """
    mask = empty_mask(height, width)
    values = np.asarray(packed)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not values.size or values.min() < 0 or values.max() > 255:
        raise ValueError("runs are bytes")
    stream = _Bits(values.astype(np.uint8))
    total = stream.number(32)
    if total != mask.size * 4:
        raise ValueError(f"the runs do not fill {width}x{height} pixels")
    word = stream.number(5) + 1
    lengths = [stream.number(4) + 1 for _ in range(4)]
    marked = np.empty(total, dtype=np.bool_)
    done = 0
    while done < total:
        repeated = stream.number(1)
        count = stream.number(lengths[stream.number(2)]) + 1
        if done + count > total:
            raise ValueError("the runs hold more than the image")
        marked[done : done + count] = (stream.number(word) if repeated else stream.numbers(word, count)) != 0
        done += count
    mask[:] = marked.reshape(height, width, 4)[:, :, 3]
    return mask


class _Bits:
    """A stream of bits, the highest of each byte first."""

    def __init__(self, data: npt.NDArray[np.uint8]) -> None:
        self._bits, self._at = np.unpackbits(data), 0

    def numbers(self, width: int, count: int) -> npt.NDArray[Any]:
        end = self._at + width * count
        if end > len(self._bits):
            raise ValueError("the runs end too early")
        bits = self._bits[self._at : end].reshape(count, width).astype(np.int64)
        self._at = end
        return np.asarray(bits @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64)))

    def number(self, width: int) -> int:
        return int(self.numbers(width, 1)[0])
