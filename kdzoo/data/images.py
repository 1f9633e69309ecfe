"""Images and masks from files, the same way for training and for prediction.

Pixels of more than 8 bits become 8 bits by `kdzoo.data.depth`; `read_with_peak` tells how far an image went, so that
whoever reads many can warn of nearly black ones. Colour profiles are not applied.

Shapes: H height, W width, S the side that images are resized to. Arrays that come out are uint8.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from kdzoo.data.depth import (
    Intensity,
    deep_layout,
    eight_bit,
    is_deep,
    low_bytes,
    peak_of,
    range_of,
    shown_colour,
    shown_gray,
    take_other_byte,
)
from kdzoo.data.files import printable
from kdzoo.data.placement import Place, Resize
from kdzoo.errors import ImageError

MAX_PIXELS = 2**27
"""Largest image that is decoded, in pixels (400 MB as RGB); a file that says it is larger is refused unread."""

# A name's suffix proves nothing, and some of Pillow's other formats start programs (EPS) or fetch files.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"})
_BILINEAR = Image.Resampling.BILINEAR
_ON_ITS_SIDE = (5, 6, 7, 8)
"""Of EXIF's orientations, those that change width for height."""

_WEBP_HEAD = 4096
"""Bytes of a WebP in which it says how it is compressed, after a colour profile perhaps."""

_ASKED = 32
"""Images whose values say how many bits their camera has."""

Pixels = npt.NDArray[np.uint8]
AnyImage = Image.Image | npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedImage:
    """A file's first frame, upright.

    Attributes:
        image: in the file's own mode; of colour of 16 bits a channel the high bytes.
        low: of colour of 16 bits a channel the low bytes, where they were asked for; else None.
        layout: `deep_layout` of the file.
        lossy: whether it was compressed as photographs are: a JPEG, or such a WebP.
    """

    image: Image.Image
    low: Image.Image | None
    layout: str | None
    lossy: bool


def read_image(path: Path | bytes, intensity: Intensity | None = None) -> Image.Image:
    """Reads an image as a person would see it.

    The camera's orientation (EXIF) is applied, 12-bit, 16-bit and float gray become 8-bit, transparency is laid on
    white, CMYK and palettes become RGB, and of several frames the first is taken.

    Args:
        path: the image file, or its bytes.
        intensity: which values of more than 8 bits are black and white; None takes the full range of the file. Images
            of 8 bits are what they are.

    Returns:
        An image in mode ``RGB``, wholly decoded.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    return read_with_peak(path, intensity)[0]


def read_size(path: Path) -> tuple[int, int]:
    """Width and height that `read_image` would give an image; only its head is read, except of a TIFF.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    with _opened(path) as (image, _):
        if image.format == "TIFF":  # which Pillow's versions turn upright at different times
            image.load()
            return _upright(image).size
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE
        return (height, width) if turned else (width, height)


def read_with_peak(path: Path | bytes, intensity: Intensity | None = None) -> tuple[Image.Image, int | None]:
    """`read_image`, and the largest value of a 16-bit image as it is in the file.

    Returns:
        The image in mode ``RGB``; the largest value in 0..65535 (of colour to the next multiple of 256, less 1), None
        when the image has not 16 bits.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    with decoded_image(path, low=intensity is not None) as decoded:
        image = decoded.image
        if decoded.low is not None and intensity is not None:
            image = shown_colour(image, decoded.low, intensity)
        return _to_rgb(image, intensity), peak_of(decoded.image, decoded.layout)


def found_intensity(paths: Sequence[Path]) -> Intensity | None:
    """The range of the camera that some images come from: of as many bits as their 16-bit values take.

    Args:
        paths: images; a few of them, evenly spaced, are read. What cannot be read says nothing.

    Returns:
        From 0 to the largest value of so many bits; None when none of those read has 16 bits.
    """
    chosen = sorted({round(place * (len(paths) - 1) / max(_ASKED - 1, 1)) for place in range(_ASKED)}) if paths else []
    peaks = []
    for place in chosen:
        with contextlib.suppress(ImageError):
            peaks.append(read_with_peak(paths[place])[1])
    known = [peak for peak in peaks if peak is not None]
    return range_of(max(known)) if known else None


def read_rgb(path: Path, size: int, intensity: Intensity | None = None, resize: Resize = "stretch") -> Pixels:
    """Reads an image and resizes it with `resize_rgb`.

    Args:
        path: the image file.
        size: S, pixels.
        intensity: as `read_image` takes it.
        resize: as `resize_rgb` takes it.

    Returns:
        ``[S, S, 3]`` uint8 RGB.

    Raises:
        ImageError: naming the file and what is wrong with it.
    """
    return resize_rgb(read_image(path, intensity), size, resize)


def resize_rgb(image: AnyImage, size: int, resize: Resize = "stretch") -> Pixels:
    """Resizes an image to a square: bilinear with antialiasing.

    The only resize of images in kdzoo, so that a detector sees at prediction the pixels it was trained on.

    Args:
        image: as `to_rgb_array` takes it.
        size: S, pixels.
        resize: whether the ratio of the sides is kept, and the image padded with its own edge; see
            `kdzoo.data.placement`.

    Returns:
        ``[S, S, 3]`` uint8 RGB.

    Raises:
        ImageError: the image is damaged or not of a form that can be shown.
    """
    shown = _rgb_image(image)
    place = Place.of((shown.height, shown.width), size, resize)
    return place.edge_padded(np.array(shown.resize((place.width, place.height), _BILINEAR)))


def scaled_rgb(image: AnyImage, shape: tuple[int, int]) -> Pixels:
    """An image at another size, both sides by the same factor, as `resize_rgb` resizes; itself at its own.

    Args:
        image: as `to_rgb_array` takes it.
        shape: height and width, pixels.

    Returns:
        ``[h, w, 3]`` uint8 RGB.

    Raises:
        ImageError: the image is damaged or not of a form that can be shown.
    """
    shown = _rgb_image(image)
    height, width = shape
    return np.asarray(shown if shown.size == (width, height) else shown.resize((width, height), _BILINEAR))


def to_rgb_array(image: AnyImage, intensity: Intensity | None = None) -> Pixels:
    """An image in memory as RGB, by the rules of `read_image`.

    Args:
        image: a PIL image of any mode, or an array ``[H, W]``, ``[H, W, 1]`` (gray), ``[H, W, 2]`` (gray and alpha),
            ``[H, W, 3]`` (RGB) or ``[H, W, 4]`` (RGBA): uint8, uint16, bool, or float in [0, 1].
        intensity: which values of uint16, and of a PIL image of deep gray, are black and white; None: the full range.

    Returns:
        ``[H, W, 3]`` uint8 RGB, a copy.

    Raises:
        ImageError: the image is damaged or not of a form that can be shown.
    """
    return np.array(_rgb_image(image, intensity))


@contextmanager
def decoded_image(path: Path | bytes, *, low: bool) -> Iterator[DecodedImage]:
    """The first frame of a file, decoded and upright; with the low bytes of deep colour if they are wanted."""
    with _opened(path) as (image, file):
        layout, below = deep_layout(image), None
        image.load()
        if low and layout is not None:
            other = Image.open(file, formats=_FORMATS)
            take_other_byte(other)
            other.load()
            below = low_bytes(_upright(other), layout)
        yield DecodedImage(image=_upright(image), low=below, layout=layout, lossy=_is_lossy(image, file))


def _is_lossy(image: ImageFile.ImageFile, file: BinaryIO) -> bool:
    """Whether a file's pixels are not what was saved, as at edges in a JPEG; MPO is what some cameras call theirs."""
    if image.format != "WEBP":
        return image.format in ("JPEG", "MPO")
    file.seek(0)
    return b"VP8L" not in file.read(_WEBP_HEAD)


@contextmanager
def _opened(path: Path | bytes) -> Iterator[tuple[ImageFile.ImageFile, BinaryIO]]:
    """A file whose head was read, as an image, and the file; or its bytes."""
    if isinstance(path, bytes):
        with _damage_named(f"of {len(path)} bytes"), BytesIO(path) as held:
            image = Image.open(held, formats=_FORMATS)
            _refuse_bomb(image)
            yield image, held
        return
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
        yield image, file


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


def _rgb_image(image: AnyImage, intensity: Intensity | None = None) -> Image.Image:
    if isinstance(image, Image.Image):
        with _damage_named(printable(getattr(image, "filename", "") or "in memory")):
            image.load()  # turns a TIFF upright in place, so that it keeps its tags
            return _to_rgb(_upright(image), intensity)
    with _damage_named("array"):
        values = np.asarray(image)
        if values.ndim == 3 and values.shape[2] == 1:
            values = values[:, :, 0]
        if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (2, 3, 4))) or 0 in values.shape:
            raise ImageError(
                f"of shape {list(values.shape)} is not an image", hint="give [H, W], [H, W, 3] or [H, W, 4]"
            )
        deep = values.dtype.kind == "u" and values.dtype.itemsize == 2  # of either byte order
        shown = _shown_array(values, intensity) if intensity is not None and deep else eight_bit(values)
        return _to_rgb(Image.fromarray(np.ascontiguousarray(shown)))


def _shown_array(values: npt.NDArray[np.uint16], intensity: Intensity) -> Pixels:
    """Deep values of an array as 8 bits, of the same shape; an alpha channel has a range of its own."""
    if values.ndim == 2 or values.shape[2] == 3:
        return intensity.shown(values)
    return np.concatenate([intensity.shown(values[:, :, :-1]), eight_bit(values[:, :, -1:])], axis=2)


def _to_rgb(image: Image.Image, intensity: Intensity | None = None) -> Image.Image:
    if is_deep(image):
        return Image.fromarray(shown_gray(image, intensity)).convert("RGB")
    if image.mode not in _MODES:
        raise ImageError(f"has pixels of the kind {image.mode}, which cannot be shown", hint="save it as RGB")
    if image.has_transparency_data:
        colour = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", colour.size, "white"), colour).convert("RGB")
    return image.convert("RGB")
