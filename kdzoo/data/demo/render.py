"""One demo image by name: the photograph, the truth about its defect, and its foreground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from kdzoo.data.demo import granulate, milled, printed, weave
from kdzoo.data.demo.canvas import Exposure, Field
from kdzoo.data.samples import GOOD
from kdzoo.errors import UnknownNameError, UsageError

GENERATOR = 2
"""Version of the formulas: a change in any pixel of any image raises it."""

_Draw: TypeAlias = Callable[
    [np.random.Generator, str | None, np.random.Generator], tuple[Field, Field] | tuple[Field, None]
]
_DRAW: MappingProxyType[str, _Draw] = MappingProxyType(
    {"granulate": granulate.draw, "milled": milled.draw, "print": printed.draw, "weave": weave.draw}
)

DEMO_DEFECTS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "granulate": granulate.DEFECTS,
        "milled": milled.DEFECTS,
        "print": printed.DEFECTS,
        "weave": weave.DEFECTS,
    }
)
"""Category to its defect types."""

_SEED = 20240229
_VISIBLE = 3.0
"""Grey levels of 255 by which a defect must change a pixel, before noise, for the pixel to count as defective."""
_FEWEST_PIXELS = 12
_STRAY = 4
_PINHOLE = 24
_MOST_DRAWS = 20


@dataclass(frozen=True, kw_only=True)
class DemoImage:
    """A photograph and what is known about it.

    Attributes:
        image: ``[144, 144, 3]`` uint8, RGB.
        sound: ``[144, 144, 3]`` uint8, the good image that a defective one was made from; equal to it outside the mask.
        mask: ``[144, 144]`` bool, where the defect is; all False for a good image.
        foreground: ``[144, 144]`` bool, where the product is, holes filled; all True for a texture.
    """

    image: NDArray[np.uint8]
    sound: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    foreground: NDArray[np.bool_]


def render_demo(category: str, split: Literal["train", "test"], defect_type: str, index: int) -> DemoImage:
    """Draws one image of the demo data set; the same arguments give the same bits.

    Args:
        category: one of `DEMO_DEFECTS`.
        split: ``train`` or ``test``.
        defect_type: ``good``, or one of the category's defect types.
        index: number of the image, from 0.

    Raises:
        UnknownNameError: no such category or defect type.
        UsageError: a split that does not exist, or a negative index.
    """
    if category not in _DRAW:
        raise UnknownNameError("demo category", category, _DRAW)
    defects = DEMO_DEFECTS[category]
    if defect_type != GOOD and defect_type not in defects:
        raise UnknownNameError(f"defect type of {category}", defect_type, (GOOD, *defects))
    if split not in ("train", "test") or index < 0:
        raise UsageError(f"no demo image {split}/{index}", hint="the split is train or test, the index 0 or more")
    kind = 0 if defect_type == GOOD else 1 + defects.index(defect_type)
    key = (_SEED, list(_DRAW).index(category), int(split == "test"), kind, index)

    def sown(part: int, draw: int = 0) -> np.random.Generator:
        return np.random.default_rng((*key, part, draw))

    exposure = Exposure(sown(1))
    picture, body = _DRAW[category](sown(0), None, sown(2))
    lit = exposure.lit(picture)
    foreground = np.ones(lit.shape[:2], dtype=bool) if body is None else body >= 0.5
    mask = np.zeros(lit.shape[:2], dtype=bool)
    sound = exposure.develop(lit)
    if defect_type == GOOD:
        return DemoImage(image=sound, sound=sound, mask=mask, foreground=foreground)
    for draw in range(_MOST_DRAWS):
        # A flaw may fall where it cannot be seen, such as ink on ink: it is then drawn again.
        flawed, _ = _DRAW[category](sown(0), defect_type, sown(2, draw))
        flawed_lit = exposure.lit(flawed)
        mask = _changed(lit, flawed_lit)
        if mask.sum() >= _FEWEST_PIXELS:
            break
    else:
        raise UsageError(f"no visible {category}/{defect_type} number {index}", hint="choose another index")
    image = np.where(mask[..., None], exposure.develop(flawed_lit), sound)
    return DemoImage(image=image, sound=sound, mask=mask, foreground=foreground)


def _changed(lit: Field, flawed: Field) -> NDArray[np.bool_]:
    """Where two pictures differ visibly: gaps of a pixel and pinholes closed, stray pixels dropped."""
    seen = np.abs(np.clip(flawed, 0, 255) - np.clip(lit, 0, 255)).max(axis=2) >= _VISIBLE
    closed = ndimage.binary_closing(np.pad(seen, 1), iterations=1)[1:-1, 1:-1]
    filled = ~_larger(~closed, _PINHOLE, ndimage.generate_binary_structure(2, 1))
    return _larger(filled, _STRAY, ndimage.generate_binary_structure(2, 2))


def _larger(area: NDArray[np.bool_], fewest: int, neighbours: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The regions of ``area`` that have at least ``fewest`` pixels."""
    regions, count = ndimage.label(area, structure=neighbours)
    kept = np.bincount(regions.ravel(), minlength=count + 1) >= fewest
    kept[0] = False
    return np.asarray(kept[regions], dtype=bool)
