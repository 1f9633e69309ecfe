"""Maps, masks and the like of many images: one array of all, or one after the other where sizes differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from kdzoo.errors import NonFiniteLossError, UsageError

Maps = NDArray[Any] | Sequence[NDArray[Any]]
"""``[N, H, W]``, or a sequence of N arrays ``[H, W]``, each of its own size."""


class LazyImages(Sequence[NDArray[Any]]):
    """Arrays of images, each made when it is asked for: all of them may be more than memory holds.

    Args:
        make: gives the array of an image's number.
        count: N.
    """

    def __init__(self, make: Callable[[int], NDArray[Any]], count: int) -> None:
        self._make, self._count = make, count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> LazyImages: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | LazyImages:
        if isinstance(index, slice):
            chosen = range(self._count)[index]
            return LazyImages(lambda number: self._make(chosen[number]), len(chosen))
        return self._make(range(self._count)[index])


def is_one(inside: Maps) -> bool:
    """Whether it is ``[H, W]``, the same for all images."""
    return isinstance(inside, np.ndarray) and inside.ndim == 2


def some_of(maps: Maps, numbers: Iterable[int]) -> Maps:
    """Those of some images, in this order; of a sequence each is asked for when it is needed."""
    chosen = list(numbers)
    if isinstance(maps, np.ndarray):
        return maps[chosen]
    return LazyImages(lambda number: maps[chosen[number]], len(chosen))


def check_maps(maps: Maps) -> Maps:
    """The maps as float arrays, once their shape and values are known to be good.

    Args:
        maps: ``[N, H, W]`` numbers, or a sequence of N arrays ``[H, W]``.

    Raises:
        UsageError: not three axes, or not real numbers.
        NonFiniteLossError: NaN or infinity in a map.
    """
    if not isinstance(maps, np.ndarray) and len(maps) and all(isinstance(each, np.ndarray) for each in maps):
        checked = [_real(np.asarray(each), 2, "[height, width]") for each in maps]
        _check_finite(np.array([bool(np.isfinite([each.min(), each.max()]).all()) for each in checked]))
        return checked
    whole = _real(np.asarray(maps), 3, "[images, height, width]")
    # The least and greatest of an image are finite only if all of it is, and need no [N, H, W] of booleans.
    if whole.size:
        _check_finite(np.isfinite(whole.min(axis=(1, 2))) & np.isfinite(whole.max(axis=(1, 2))))
    return whole


def counted_pixels(maps: Maps, inside: Maps | None) -> int:
    """How many pixels of N maps count; ``inside`` as `PixelCurve.from_maps` takes it."""
    if inside is None:
        return sum(int(each.size) for each in maps)
    if is_one(inside):
        return len(maps) * int(np.asarray(inside).sum())
    return sum(int(np.asarray(each).sum()) for each in inside)


def _real(values: NDArray[Any], axes: int, expected: str) -> NDArray[Any]:
    if values.ndim != axes:
        raise UsageError(f"maps have shape {values.shape}, expected {expected}")
    if values.dtype.kind not in "fiub":
        raise UsageError(f"maps are of type {values.dtype}, expected real numbers")
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _check_finite(finite: NDArray[np.bool_]) -> None:
    if not finite.all():
        first = int(np.argmin(finite))
        raise NonFiniteLossError(
            f"the anomaly map of image {first} holds NaN or infinity; so do {int((~finite).sum()) - 1} others",
            hint="the model's weights are damaged or training diverged; lower the learning rate",
        )
