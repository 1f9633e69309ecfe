"""The region of interest of a category: where on its images anything counts at all.

Outside of it nothing is scored, marked or planted: fixtures, labels and conveyor belts cannot alarm. It is one text, so
that it travels with a trial's options to every worker and into the release, and needs no file there.

A file as people have it: a picture whose pixels that are not black are of interest; or JSON, polygons whose corners are
shares of width and height, or pixels of a stated size::

    {"polygons": [[[0.1, 0.1], [0.9, 0.1], [0.9, 0.8]]]}
    {"size": [1920, 1200], "polygons": [[[200, 100], [1700, 100], [1700, 1000], [200, 1000]]]}

Shapes: H height, W width; N images, S side of the square that they lie in.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kdzoo.data.files import IMAGE_SUFFIXES, printable
from kdzoo.data.mask_files import read_full_mask
from kdzoo.data.placement import Place
from kdzoo.errors import ConfigError, UnknownNameError

_LONGEST_SIDE: Final = 1024
"""Of a mask as it is kept: finer than any network's input sees."""
_LARGEST_FILE: Final = 2**24
_MOST_CORNERS: Final = 100_000
_MOST_POLYGONS: Final = 1000
"""Each costs a pass over its part of every image, and a stranger may have written the text."""
_EXAMPLE: Final = 'a mask picture, or JSON such as {"polygons": [[[0.1, 0.1], [0.9, 0.1], [0.9, 0.8]]]}'


@dataclass(frozen=True, kw_only=True, slots=True)
class Roi:
    """A region of interest: polygons, or a mask.

    Attributes:
        polygons: corners of each, x and y as shares of width and height in [0, 1].
        mask: ``[H, W]`` bool at a size of its own; None where polygons say it.
    """

    polygons: tuple[tuple[tuple[float, float], ...], ...] = ()
    mask: NDArray[np.bool_] | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Reads what `text` gives; None of an empty text, which is the whole image.

        Raises:
            ConfigError: it is no region of interest.
        """
        return cls._of(_json(text)) if text else None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Reads a person's file.

        Raises:
            ConfigError: there is no such file, or it holds no region of interest.
            ImageError: the picture cannot be read.
        """
        name = printable(path)
        if not path.is_file():
            raise ConfigError(f"there is no file '{name}' with a region of interest", hint=_EXAMPLE)
        if path.suffix.lower() in IMAGE_SUFFIXES:
            mask = read_full_mask(path).astype(bool)
            if not mask.any():
                raise ConfigError(f"'{name}' is black all over: nothing would be of interest", hint="draw it in white")
            height, width = mask.shape
            shrink = max(height, width) / _LONGEST_SIDE
            if shrink > 1:
                size = max(1, round(width / shrink)), max(1, round(height / shrink))
                mask = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
            return cls(mask=mask)
        if path.stat().st_size > _LARGEST_FILE:
            raise ConfigError(f"'{name}' is too large to be a region of interest", hint=_EXAMPLE)
        try:
            return cls._of(_json(path.read_text("utf-8")))
        except (ConfigError, UnicodeDecodeError) as error:
            why = error.message if isinstance(error, ConfigError) else "it is no text"
            raise ConfigError(f"'{name}' holds no region of interest: {why}", hint=_EXAMPLE) from error

    @property
    def text(self) -> str:
        """As `parse` takes it: one line of JSON, always the same for the same region."""
        if self.mask is None:
            return json.dumps({"polygons": self.polygons}, separators=(",", ":"))
        height, width = self.mask.shape
        bits = base64.b64encode(zlib.compress(np.packbits(self.mask).tobytes(), 9)).decode()
        return json.dumps({"mask": bits, "size": [width, height]}, separators=(",", ":"))

    def inside(self, height: int, width: int) -> NDArray[np.bool_]:
        """Which pixels of an image, or of a map of it, are of interest: ``[H, W]`` bool.

        Raises:
            ConfigError: none is.
        """
        if self.mask is not None:
            found = np.array(Image.fromarray(self.mask).resize((width, height), Image.Resampling.NEAREST), dtype=bool)
        else:
            found = np.zeros((height, width), dtype=bool)
            for polygon in self.polygons:
                _fill(found, np.array(polygon) * (width, height))
        if not found.any():
            raise ConfigError(f"the region of interest holds no pixel of an image of {width}x{height}", hint=_EXAMPLE)
        return found

    @classmethod
    def _of(cls, values: Any) -> Self:
        if not isinstance(values, dict):
            raise ConfigError("a region of interest is a JSON object", hint=_EXAMPLE)
        unknown = set(values) - {"polygons", "size", "mask"}
        if unknown:
            raise ConfigError(f"a region of interest has no '{printable(sorted(unknown)[0])}'", hint=_EXAMPLE)
        size = _size(values["size"]) if "size" in values else None
        if "mask" in values:
            if size is None or max(size) > _LONGEST_SIDE:
                raise ConfigError("the mask of a region of interest lacks its size", hint=_EXAMPLE)
            return cls(mask=_unpacked(values["mask"], *size))
        return cls(polygons=_polygons(values.get("polygons"), size))


def regions_of(place: Path, categories: Sequence[str]) -> dict[str, Roi]:
    """The regions of interest that a file or a folder holds for some categories.

    Args:
        place: one file, which goes for all; or a folder with ``<category>.png``, ``<category>.json`` or the like.
        categories: of the data set; in a folder one without a file is seen whole.

    Raises:
        ConfigError: there is none, a file holds none, or two files are called like one category.
        UnknownNameError: a file in the folder is called like no category.
    """
    if not place.is_dir():
        roi = Roi.read(place)
        return dict.fromkeys(categories, roi)
    found: dict[str, Roi] = {}
    for path in sorted(place.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in {*IMAGE_SUFFIXES, ".json"}:
            continue
        if path.stem not in categories:
            raise UnknownNameError("category", path.stem, categories)
        if path.stem in found:
            raise ConfigError(f"'{printable(place)}' holds two regions of interest of '{path.stem}'", hint="keep one")
        found[path.stem] = Roi.read(path)
    if not found:
        raise ConfigError(
            f"'{printable(place)}' holds no region of interest", hint="one file a category: bottle.png, or bottle.json"
        )
    return found


def joined(regions: Mapping[str, Roi], categories: Sequence[str]) -> str:
    """Regions of several categories as one text, which `roi_of` takes apart; the plain text if all have the same."""
    texts = {category: roi.text for category, roi in regions.items()}
    if len(set(texts.values())) == 1 and set(texts) >= set(categories):
        return next(iter(texts.values()))
    return json.dumps({"categories": {key: json.loads(text) for key, text in texts.items()}}, separators=(",", ":"))


def roi_of(text: str, category: str) -> Roi | None:
    """A category's region in a text that `joined` made; None where it is seen whole.

    Raises:
        ConfigError: it is no region of interest.
    """
    if not text:
        return None
    values = _json(text)
    if isinstance(values, dict) and "categories" in values:
        by_category = values["categories"]
        if set(values) != {"categories"} or not isinstance(by_category, dict):
            raise ConfigError("the regions of interest of categories are a JSON object", hint=_EXAMPLE)
        own = None
        for key, value in by_category.items():
            roi = Roi._of(value)  # checked, and not kept: a short text may hold masks that fill the memory
            own = roi if key == category else own
        return own
    return Roi._of(values)


def counted(roi: Roi | None, places: Sequence[Place]) -> NDArray[np.bool_] | None:
    """What counts of each image in its square: of the image and not its padding, what is of interest.

    Args:
        roi: of the images themselves; None: they are seen whole.
        places: of each image, one at least.

    Returns:
        ``[S, S]`` bool where all images have the same place, else ``[N, S, S]``; None where everything counts.

    Raises:
        ConfigError: the region holds no pixel of an image.
    """
    masks = {place: _counted_at(roi, place) for place in dict.fromkeys(places)}
    if len(masks) > 1:
        return np.stack([masks[place] for place in places])
    ((place, mask),) = masks.items()
    return None if roi is None and place.whole else mask


def _counted_at(roi: Roi | None, place: Place) -> NDArray[np.bool_]:
    shape = place.height, place.width
    return place.zero_padded(np.ones(shape, bool) if roi is None else roi.inside(*shape))


def _json(text: str) -> Any:
    if len(text) > _LARGEST_FILE:
        raise ConfigError("a region of interest is shorter than that", hint=_EXAMPLE)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is no JSON: {error}", hint=_EXAMPLE) from error


def _size(value: Any) -> tuple[int, int]:
    match value:
        case [int(width), int(height)] if width > 0 and height > 0:
            return width, height
    raise ConfigError("the size of a region of interest is [width, height] in pixels", hint=_EXAMPLE)


def _polygons(value: Any, size: tuple[int, int] | None) -> tuple[tuple[tuple[float, float], ...], ...]:
    width, height = size or (1, 1)
    corners = [len(each) for each in value if isinstance(each, list)] if isinstance(value, list) else []
    if not corners:
        raise ConfigError("a region of interest has one polygon or more", hint=_EXAMPLE)
    if len(corners) > _MOST_POLYGONS or sum(corners) > _MOST_CORNERS:
        raise ConfigError(
            f"a region of interest has {_MOST_POLYGONS} polygons and {_MOST_CORNERS} corners at most",
            hint="draw it as a mask picture",
        )
    found = []
    for polygon in value:
        if not isinstance(polygon, list) or len(polygon) < 3:
            raise ConfigError("a polygon has three corners or more", hint=_EXAMPLE)
        found.append(tuple((_share(corner, 0, width), _share(corner, 1, height)) for corner in polygon))
    return tuple(found)


def _share(corner: Any, axis: int, extent: int) -> float:
    numbers = isinstance(corner, list) and len(corner) == 2
    value = corner[axis] if numbers else None
    if not isinstance(value, int | float) or isinstance(value, bool) or value != value:
        raise ConfigError(f"a corner is [x, y], not {str(corner)[:40]}", hint=_EXAMPLE)
    try:
        share = value / extent
    except OverflowError:  # JSON's whole numbers have no end
        share = math.inf
    if not -1e-9 <= share <= 1 + 1e-9:
        raise ConfigError(
            f"the corner {str(corner)[:40]} lies outside of the image",
            hint='shares of width and height from 0 to 1, or pixels with "size": [width, height]',
        )
    return min(max(share, 0.0), 1.0)


def _fill(region: NDArray[np.bool_], corners: NDArray[np.float64]) -> None:
    """Adds the pixels whose centre lies in a polygon, by the parity of the edges to their left.

    Args:
        region: ``[H, W]``, changed in place.
        corners: ``[C, 2]`` x and y in pixels, all of them in the image.
    """
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    part = region[top:bottom, left:right]
    rows = np.arange(top, top + len(part)) + 0.5
    crossings = np.zeros((len(part), part.shape[1] + 1), np.uint8)
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        crossed = np.flatnonzero((y0 <= rows) != (y1 <= rows))
        x = x0 + (rows[crossed] - y0) * (x1 - x0) / (y1 - y0) if len(crossed) else rows[crossed]
        first = np.clip(np.ceil(x - 0.5) - left, 0, part.shape[1]).astype(int)
        crossings[crossed, first] ^= 1
    part |= np.bitwise_xor.accumulate(crossings[:, :-1], axis=1).view(bool)


def _unpacked(text: Any, width: int, height: int) -> NDArray[np.bool_]:
    expected = -(-width * height // 8)
    try:
        packed = zlib.decompressobj().decompress(base64.b64decode(str(text), validate=True), expected + 1)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise ConfigError(f"the mask of a region of interest cannot be read: {error}") from error
    if len(packed) != expected:
        raise ConfigError("the mask of a region of interest is not of its size")
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=width * height)
    mask = bits.reshape(height, width).astype(bool)
    if not mask.any():
        raise ConfigError("the region of interest is empty")
    return mask
