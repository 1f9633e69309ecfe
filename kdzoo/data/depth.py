"""Pixels of more than 8 bits, and which of their values are shown as black and white.

By itself a deep value is taken at the full range that its file can hold, never stretched to what one image happens to
hold: the same value must mean the same thing in every image of a category. A 12-bit TIFF says that it has 12 bits. A
12-bit camera's values in a 16-bit file say nothing, and come out nearly black; an `Intensity` says what they mean. (A
PNG's sBIT and a TIFF's MaxSampleValue are no help: by their specifications the samples are scaled to the full range
whatever sBIT says, and MaxSampleValue is a statistic of one image.)

Shapes: H height, W width, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from kdzoo.errors import ConfigError, ImageError

FULL: Final = 65535
"""The largest value of 16 bits."""

_DARK: Final = 65536 // 8
"""16-bit images that never reach this come out with fewer than 32 of the 256 grays."""

_FARTHEST, _NARROWEST = 1e30, 1e-30
"""Values of black and white, and what lies between them: such that float32 holds what is computed with them."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
# Pillow keeps 8 bits of each channel of colour. Its names of what lies in a file say which of a value's two bytes it
# keeps: the first of big-endian ones, the second of little-endian ones, the machine's for what libtiff unpacked.
_OTHER_BYTE: Final = {"16B": "16L", "16L": "16B"}
# Of a PNG's gray with alpha it knows the first bytes alone; taken for four channels of 8 bits, the four bytes of a
# pixel come out as they lie there.
_GRAY_ALPHA: Final = "LA;16B"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, slots=True)
class Intensity:
    """The values of deep pixels that are shown as black and as white; those between them in proportion.

    Attributes:
        low: this and less is black.
        high: this and more is white; above ``low``.

    Raises:
        ConfigError: they are not finite, not in order, or beyond what a float32 tells apart.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        # Written so that NaN fails too.
        if not (self.low >= -_FARTHEST and self.high <= _FARTHEST and self.high - self.low >= _NARROWEST):
            raise ConfigError(
                f"an intensity of {self.low:g},{self.high:g} shows nothing",
                hint="the value of black, then a larger one of white: --intensity 0,4095",
            )

    @classmethod
    def parse(cls, text: str) -> Self | Literal["full", "auto"]:
        """``LOW,HIGH``, ``full`` (what a file can hold) or ``auto`` (to be found from the train images).

        Raises:
            ConfigError: it is none of these.
        """
        if text in ("full", "auto"):
            return text  # type: ignore[return-value]  # narrowed by the line before, which mypy does not see
        try:
            low, high = (float(part) for part in text.split(","))
        except ValueError:
            raise ConfigError(
                f"'{text[:60]}' is no intensity", hint="full, auto, or the values of black and white such as 0,4095"
            ) from None
        return cls(low=low, high=high)

    @property
    def label(self) -> str:
        """As `parse` takes it."""
        return f"{self.low:.17g},{self.high:.17g}"

    def shown(self, values: npt.NDArray[Any]) -> Pixels:
        """Deep values as grays of 8 bits, of the same shape, rounded to the nearest.

        Raises:
            ImageError: a value is NaN.
        """
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise ImageError("holds NaN")
        # In float32: 24 bits tell any two values of 16 bits apart, and half the memory of float64 is touched.
        with np.errstate(over="ignore"):  # of floats far beyond white, which are white
            scaled = (values.astype(np.float32) - np.float32(self.low)) * np.float32(255 / (self.high - self.low))
        shown: Pixels = np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)
        return shown


def is_deep(image: Image.Image) -> bool:
    """Whether it is gray of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def white_is_zero(image: Image.Image) -> bool:
    """Whether the file counts from white; Pillow turns 8-bit gray round by itself, deeper gray not."""
    return _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def full_range(image: Image.Image) -> int:
    """The largest value that deep gray can have: a TIFF of 12 bits keeps its values as they are in 16."""
    bits = _tag(image, _BITS_PER_SAMPLE)
    return 2**bits - 1 if bits is not None and 8 < bits < 16 else FULL


def shown_gray(image: Image.Image, intensity: Intensity | None = None) -> Pixels:
    """``[H, W]`` of a deep image, white where it is transparent.

    Args:
        image: gray of more than 8 bits.
        intensity: which values are black and white; None takes the full range.
    """
    values = np.asarray(image)
    if intensity is not None:
        shown = intensity.shown(values)
    else:
        if image.mode == "I":  # 32-bit container, used by some Pillow versions for 16-bit files
            values = _sixteen_bit(values)
        shown = eight_bit(values, full=full_range(image))
    if white_is_zero(image):
        shown = np.subtract(255, shown, dtype=np.uint8)
    clear = image.info.get("transparency")
    return np.where(values == clear, np.uint8(255), shown) if isinstance(clear, int) else shown


def eight_bit(values: npt.NDArray[Any], *, full: int = FULL) -> Pixels:
    """Scales the full range (of uint16: 0..full, of floats: [0, 1]) to 0..255, rounded to the nearest."""
    if values.dtype == np.uint8:
        return np.asarray(values, dtype=np.uint8)
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(255), np.uint8(0))
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((values.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    if values.dtype.kind == "f":
        # Written so that NaN fails too.
        if not (float(values.min()) >= 0 and float(values.max()) <= 1):
            raise ImageError("holds floats outside [0, 1]", hint="scale them to [0, 1], or give 8-bit values")
        return np.asarray(np.rint(values * 255), dtype=np.uint8)
    raise ImageError(f"holds values of type {values.dtype}", hint="give uint8, uint16, bool, or float in [0, 1]")


def deep_layout(image: Image.Image) -> str | None:
    """How the values of a file's colour of 16 bits a channel lie there, by Pillow's name; None of any other image.

    To be asked before the image is decoded.
    """
    tiles = getattr(image, "tile", None) or []
    if image.mode not in ("RGB", "RGBA", "RGBX") or len(tiles) == 0:
        return None
    name, _ = _layout(tiles[0].args)
    return name if name.partition(";")[2] in ("16B", "16L", "16N") else None


def take_other_byte(image: ImageFile.ImageFile) -> None:
    """Makes a file's colour of 16 bits decode to the low byte of each value, in place of the high one.

    `low_bytes` takes them from what is decoded.
    """
    tiles = []
    for tile in image.tile:
        name, rest = _layout(tile.args)
        mode, _, kind = name.partition(";")
        # libtiff gives the machine's order, of which every machine that PyTorch runs on has the little end first.
        other = "RGBA" if name == _GRAY_ALPHA else f"{mode};{_OTHER_BYTE.get(kind, '16B')}"
        tiles.append(tile._replace(args=other if rest is None else (other, *rest)))
    image.tile = tiles


def low_bytes(image: Image.Image, layout: str) -> Image.Image:
    """The low byte of each channel, as the high ones lie.

    Args:
        image: decoded, after `take_other_byte`.
        layout: what `deep_layout` said of it before.
    """
    if layout != _GRAY_ALPHA:
        return image
    _, gray, _, alpha = image.split()
    return Image.merge("RGBA", (gray, gray, gray, alpha))


def shown_colour(high: Image.Image, low: Image.Image, intensity: Intensity) -> Image.Image:
    """Colour of 16 bits a channel as 8 bits, its transparency kept.

    Args:
        high: the high bytes of all channels.
        low: the low bytes.
        intensity: which values are black and white.
    """
    bytes_of = [np.asarray(each).astype(np.uint16) for each in (high, low)]
    values = (bytes_of[0] << 8) | bytes_of[1]
    shown = intensity.shown(values[:, :, :3])
    if high.mode == "RGBA":
        shown = np.dstack([shown, np.asarray(high)[:, :, 3]])
    return Image.fromarray(shown)


def peak_of(image: Image.Image, layout: str | None) -> int | None:
    """The largest value of an image of 16 bits, in 0..65535; of colour to the next multiple of 256, less 1.

    Args:
        image: decoded.
        layout: what `deep_layout` said of it before.

    Returns:
        None of an image of 8 bits, of floats, or of a file that says that it has other than 16 bits.
    """
    if layout is not None:
        return int(np.asarray(image)[:, :, :3].max()) * 256 + 255
    if not is_deep(image) or image.mode == "F" or full_range(image) != FULL:
        return None
    return int(np.asarray(image).max())


def range_of(peak: int) -> Intensity:
    """The range of a camera whose values went up to a peak: of 8, 10, 12, 14 or 16 bits, as few as hold it.

    Cameras have an even number of bits; normal images that use 11 of them leave the twelfth to a bright defect.
    """
    bits = max(8, peak.bit_length())
    return Intensity(low=0, high=2 ** (bits + bits % 2) - 1)


def dark_note(peak: int) -> str | None:
    """What to tell of 16-bit images that never went above a peak, when that comes out nearly black; else None."""
    if not 0 < peak < _DARK:
        return None
    return (
        f"16-bit images hold values up to {peak} of {FULL} and come out nearly black; --intensity auto takes them for "
        f"what they are, here --intensity {range_of(peak).label}"
    )


def _layout(arguments: str | tuple[Any, ...] | None) -> tuple[str, tuple[Any, ...] | None]:
    """The name of a tile's layout, and what a decoder is told besides; None where the name stands alone."""
    if not arguments:
        return "", None
    if isinstance(arguments, str):
        return arguments, None
    return str(arguments[0]), arguments[1:]


def _tag(image: Image.Image, number: int) -> int | None:
    """A TIFF's tag that is one number; None for another kind of file."""
    tags = getattr(image, "tag_v2", None)
    value = None if tags is None else tags.get(number)
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, int) else None


def _sixteen_bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > FULL:
        raise ImageError(
            f"holds values {low}..{high}, outside 0..{FULL}",
            hint="save it with 8 or 16 bits a channel, or say what is black and white: --intensity LOW,HIGH",
        )
    return values.astype(np.uint16)
