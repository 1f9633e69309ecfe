"""Images and masks from files, the same way for training and for prediction.

Gray of more than 8 bits is taken at the full range that its file can hold, never stretched to what one image happens to
hold: the same gray must mean the same thing in every image of a category. A 12-bit TIFF says that it has 12 bits. A
12-bit camera's values in a 16-bit file say nothing, and come out nearly black; `read_with_peak` tells how far an image
went, so that whoever reads many can warn. (A PNG's sBIT and a TIFF's MaxSampleValue are no help: by their
specifications the samples are scaled to the full range whatever sBIT says, and MaxSampleValue is a statistic of one
image.) Colour profiles are not applied.

Shapes: H height, W width, S the side that images are resized to. Arrays that come out are uint8.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from kdzoo.data.files import printable
from kdzoo.errors import ImageError

MAX_PIXELS = 2**27
"""Largest image that is decoded, in pixels (400 MB as RGB); a file that says it is larger is refused unread."""

# A name's suffix proves nothing, and some of Pillow's other formats start programs (EPS) or fetch files.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})
_ON_ITS_SIDE = (5, 6, 7, 8)
"""Of EXIF's orientations, those that change width for height."""
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_FULL: Final = 65535

Pixels = npt.NDArray[np.uint8]
AnyImage = Image.Image | npt.NDArray[Any]


def read_image(path: Path) -> Image.Image:
    """Reads an image as a person would see it.

    The camera's orientation (EXIF) is applied, 12-bit, 16-bit and float gray become 8-bit, transparency is laid on
    white, CMYK and palettes become RGB, and of several frames the first is taken.

    Returns:
        An image in mode ``RGB``, wholly decoded.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    return read_with_peak(path)[0]


def read_size(path: Path) -> tuple[int, int]:
    """Width and height that `read_image` would give an image; only its head is read, except of a TIFF.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    with _opened(path) as image:
        if image.format == "TIFF":  # which Pillow's versions turn upright at different times
            image.load()
            return _upright(image).size
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE
        return (height, width) if turned else (width, height)


def read_with_peak(path: Path) -> tuple[Image.Image, int | None]:
    """`read_image`, and the largest value of a 16-bit gray image.

    Returns:
        The image in mode ``RGB``; the largest value in 0..65535, None when the image is not 16-bit gray.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    with _open(path) as image:
        return _to_rgb(image), _peak(image)


def read_rgb(path: Path, size: int) -> Pixels:
    """Reads an image and resizes it with `resize_rgb`.

    Args:
        path: the image file.
        size: S, pixels.

    Returns:
        ``[S, S, 3]`` uint8 RGB.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    return resize_rgb(read_image(path), size)


def resize_rgb(image: AnyImage, size: int) -> Pixels:
    """Resizes an image to a square: bilinear with antialiasing, the ratio of the sides is not kept.

    The only resize of images in kdzoo, so that a detector sees at prediction the pixels it was trained on.

    Args:
        image: as `to_rgb_array` takes it.
        size: S, pixels.

    Returns:
        ``[S, S, 3]`` uint8 RGB.

    Raises:
        ImageError: the image is damaged or not of a form that can be shown.
    """
    return np.array(_rgb_image(image).resize((size, size), Image.Resampling.BILINEAR))


def to_rgb_array(image: AnyImage) -> Pixels:
    """An image in memory as RGB, by the rules of `read_image`.

    Args:
        image: a PIL image of any mode, or an array ``[H, W]``, ``[H, W, 1]`` (gray), ``[H, W, 2]`` (gray and alpha),
            ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA): uint8, uint16, bool, or float in [0, 1].

    Returns:
        ``[H, W, 3]`` uint8 RGB, a copy.

    Raises:
        ImageError: the image is damaged or not of a form that can be shown.
    """
    return np.array(_rgb_image(image))


def read_mask(
    path: Path, size: int, image_size: tuple[int, int] | None = None, *, image_path: Path | None = None
) -> Pixels:
    """Reads pixel truth: every pixel that is not black is defect, unless it is wholly transparent.

    Args:
        path: the mask file.
        size: S, pixels; the mask is resized to the nearest pixel.
        image_size: (width, height) of the image as `read_image` gives it, which the mask must share; None accepts any.
        image_path: the image's file, for the message.

    Returns:
        ``[S, S]`` uint8, 1 where there is a defect, else 0.

    Raises:
        ImageError: the mask cannot be read, or its size is not its image's.
    """
    with _open(path) as mask:
        defect = _not_black(mask)
    height, width = defect.shape
    if image_size is not None and (width, height) != tuple(image_size):
        owner = "its image" if image_path is None else f"its image {printable(image_path)}"
        raise ImageError(
            f"mask {printable(path)} is {width}x{height} pixels, but {owner} is {image_size[0]}x{image_size[1]}",
            hint="a mask must have the width and height of its image",
        )
    return np.array(Image.fromarray(defect).resize((size, size), Image.Resampling.NEAREST))


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    """The first frame of a file, decoded and upright, in the file's own mode."""
    with _opened(path) as image:
        image.load()
        yield _upright(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """A file whose head was read."""
    name = printable(path)
    try:
        status = path.stat()
    except OSError as error:
        raise ImageError(f"cannot open image {name}: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        raise ImageError(f"image {name} is not a regular file")
    if status.st_size == 0:
        raise ImageError(f"image {name} is empty (0 bytes)")
    with _damage_named(name), path.open("rb") as file:
        image = Image.open(file, formats=_FORMATS)
        _refuse_bomb(image)
        yield image


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    """Turns what decoders raise on damaged bytes into an `ImageError` that names the image."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"image {name} {error.message}", hint=error.hint) from error
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f"image {name} is not an image of a kind that can be read ({', '.join(_FORMATS)})") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {name} is too large: {error}") from error
    except OSError as error:
        # The system's errors have a number; the decoders use the same kind, without one, for damaged bytes.
        trouble = "cannot be read" if error.errno else "is damaged or truncated"
        raise ImageError(f"image {name} {trouble}: {error}") from error
    except Exception as error:  # decoders raise a dozen kinds: SyntaxError, struct.error, EOFError, ...
        raise ImageError(f"image {name} is damaged or truncated: {error or type(error).__name__}") from error


def _refuse_bomb(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"says it is {width}x{height} pixels; the most that is decoded is {MAX_PIXELS:,} pixels",
            hint="scale or cut it first, if it is a true image",
        )


def _upright(image: Image.Image) -> Image.Image:
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return ImageOps.exif_transpose(image) if turned else image


def _rgb_image(image: AnyImage) -> Image.Image:
    if isinstance(image, Image.Image):
        with _damage_named(printable(getattr(image, "filename", "") or "in memory")):
            image.load()  # turns a TIFF upright in place, so that it keeps its tags
            return _to_rgb(_upright(image))
    with _damage_named("array"):
        values = np.asarray(image)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[:, :, 0]
        if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (2, 3, 4))) or 0 in values.shape:
            raise ImageError(
                f"of shape {list(values.shape)} is not an image", hint="give [H, W], [H, W, 3] or [H, W, 4]"
            )
        return _to_rgb(Image.fromarray(np.ascontiguousarray(_eight_bit(values))))


def _to_rgb(image: Image.Image) -> Image.Image:
    if _is_deep(image):
        return Image.fromarray(_shown_gray(image)).convert("RGB")
    if image.mode not in _MODES:
        raise ImageError(f"has pixels of the kind {image.mode}, which cannot be shown", hint="save it as RGB")
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    return image.convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether it is gray of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _shown_gray(image: Image.Image) -> Pixels:
    """``[H, W]`` of a deep image at full range, white where it is transparent."""
    values = np.asarray(image)
    if image.mode == "I":  # 32-bit container, used by some Pillow versions for 16-bit files
        values = _sixteen_bit(values)
    shown = _eight_bit(values, full=_full(image))
    if _white_is_zero(image):
        shown = np.subtract(255, shown, dtype=np.uint8)
    clear = image.info.get("transparency")
    return np.where(values == clear, np.uint8(255), shown) if isinstance(clear, int) else shown


def _peak(image: Image.Image) -> int | None:
    if not _is_deep(image) or image.mode == "F" or _full(image) != _FULL:
        return None
    return int(np.asarray(image).max())


def _full(image: Image.Image) -> int:
    """The largest value that deep gray can have: a TIFF of 12 bits keeps its values as they are in 16."""
    bits = _tag(image, _BITS_PER_SAMPLE)
    return 2**bits - 1 if bits is not None and 8 < bits < 16 else _FULL


def _white_is_zero(image: Image.Image) -> bool:
    """Whether the file counts from white; Pillow turns 8-bit gray round by itself, deeper gray not."""
    return _tag(image, _PHOTOMETRIC) == _WHITE_IS_ZERO


def _tag(image: Image.Image, number: int) -> int | None:
    """A TIFF's tag that is one number; None for another kind of file."""
    tags = getattr(image, "tag_v2", None)
    value = None if tags is None else tags.get(number)
    if isinstance(value, tuple) and value:
        value = value[0]
    return value if isinstance(value, int) else None


def _sixteen_bit(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _FULL:
        raise ImageError(f"holds values {low}..{high}, outside 0..{_FULL}", hint="save it with 8 or 16 bits a channel")
    return values.astype(np.uint16)


def _eight_bit(values: npt.NDArray[Any], *, full: int = _FULL) -> Pixels:
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


def _not_black(mask: Image.Image) -> Pixels:
    """``[H, W]`` uint8, 1 where a mask of any mode shows something."""
    if _is_deep(mask) and _white_is_zero(mask):
        shown = np.asarray(mask) != (1 if mask.mode == "F" else _full(mask))
    elif _is_deep(mask) or mask.mode in ("1", "L"):
        shown = np.asarray(mask) != 0
    else:
        colour = np.asarray(mask.convert("RGBA"))
        shown = (colour[:, :, :3] != 0).any(axis=2) & (colour[:, :, 3] != 0)
    return np.asarray(shown, dtype=np.uint8)
