"""One picture in every format and kind of pixel comes out as the same RGB."""

from pathlib import Path

import numpy as np
import pytest
from helpers.raw_images import write_png16, write_tiff
from PIL import ExifTags, Image

from kdzoo.data.images import read_image, read_rgb, read_with_peak, resize_rgb
from kdzoo.data.mask_files import read_mask
from kdzoo.errors import ImageError

HEIGHT, WIDTH = 48, 64


def colour_picture():
    """Smooth, so that JPEG keeps it; ``[48, 64, 3]`` uint8."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([rows * 4 + 20, columns * 3 + 30, 200 - rows * 2 - columns], axis=2).astype(np.uint8)


def gray_picture():
    return colour_picture()[:, :, 0]


def deep(values):
    return values.astype(np.uint16) * 257


def save(image, path, **options):
    image.save(path, **options)
    return path


def with_alpha(values):
    return Image.fromarray(np.dstack([values, np.full(values.shape[:2], 255, np.uint8)]))


def turned(values, path, **options):
    """Stored on its side, with the note that says so."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8  # to be turned a quarter to the left
    return save(Image.fromarray(np.rot90(values, -1).copy()), path, exif=exif, **options)


COLOUR = {
    "rgb.png": lambda path: save(Image.fromarray(colour_picture()), path),
    "rgb.bmp": lambda path: save(Image.fromarray(colour_picture()), path),
    "rgb.tif": lambda path: save(Image.fromarray(colour_picture()), path),
    "lzw.tiff": lambda path: save(Image.fromarray(colour_picture()), path, compression="tiff_lzw"),
    "rgb.jpg": lambda path: save(Image.fromarray(colour_picture()), path, quality=98, subsampling=0),
    "progressive.jpeg": lambda path: save(
        Image.fromarray(colour_picture()), path, quality=98, subsampling=0, progressive=True
    ),
    "lossless.webp": lambda path: save(Image.fromarray(colour_picture()), path, lossless=True),
    "lossy.webp": lambda path: save(Image.fromarray(colour_picture()), path, quality=98),
    "rgba.png": lambda path: save(with_alpha(colour_picture()), path),
    "rgba.tif": lambda path: save(with_alpha(colour_picture()), path),
    "cmyk.jpg": lambda path: save(Image.fromarray(colour_picture()).convert("CMYK"), path, quality=98, subsampling=0),
    "cmyk.tif": lambda path: save(Image.fromarray(colour_picture()).convert("CMYK"), path),
    "palette.png": lambda path: save(Image.fromarray(colour_picture()).quantize(256), path),
    "palette.bmp": lambda path: save(Image.fromarray(colour_picture()).quantize(256), path),
    "turned.jpg": lambda path: turned(colour_picture(), path, quality=98, subsampling=0),
    "turned.png": lambda path: turned(colour_picture(), path),
    "turned.tif": lambda path: turned(colour_picture(), path),
    "sixteen.png": lambda path: write_png16(path, deep(colour_picture())),
    "sixteen-alpha.png": lambda path: write_png16(
        path, np.dstack([deep(colour_picture()), np.full((HEIGHT, WIDTH), 65535)])
    ),
    "sixteen.tif": lambda path: write_tiff(path, deep(colour_picture())),
    "sixteen-big.tif": lambda path: write_tiff(path, deep(colour_picture()), big_endian=True),
    "pages.tif": lambda path: save(
        Image.fromarray(colour_picture()), path, save_all=True, append_images=[Image.new("RGB", (9, 9), "red")]
    ),
    "moving.png": lambda path: save(
        Image.fromarray(colour_picture()), path, save_all=True, append_images=[Image.new("RGB", (WIDTH, HEIGHT))]
    ),
    "moving.webp": lambda path: save(
        Image.fromarray(colour_picture()),
        path,
        save_all=True,
        append_images=[Image.new("RGB", (WIDTH, HEIGHT))],
        lossless=True,
    ),
}

GRAY = {
    "l.png": lambda path: save(Image.fromarray(gray_picture()), path),
    "l.jpg": lambda path: save(Image.fromarray(gray_picture()), path, quality=98),
    "la.png": lambda path: save(with_alpha(gray_picture()), path),
    "palette.gif": lambda path: save(Image.fromarray(gray_picture()), path),
    "sixteen.png": lambda path: write_png16(path, deep(gray_picture())),
    "sixteen-alpha.png": lambda path: write_png16(
        path, np.dstack([deep(gray_picture()), np.full((HEIGHT, WIDTH), 65535)])
    ),
    "sixteen.tif": lambda path: write_tiff(path, deep(gray_picture())),
    "sixteen-big.tif": lambda path: write_tiff(path, deep(gray_picture()), big_endian=True),
    "sixteen-lzw.tif": lambda path: save(Image.fromarray(deep(gray_picture())), path, compression="tiff_lzw"),
    "from-white.tif": lambda path: write_tiff(path, 255 - gray_picture(), white_is_zero=True),
    "sixteen-from-white.tif": lambda path: write_tiff(path, 65535 - deep(gray_picture()), white_is_zero=True),
    "twelve.tif": lambda path: write_tiff(
        path, np.rint(gray_picture() / 255 * 4095).astype(np.uint16), bits=12, big_endian=False
    ),
    "float.tif": lambda path: write_tiff(path, (gray_picture() / 255).astype(np.float32)),
    "sixteen.pgm": lambda path: save(Image.fromarray(deep(gray_picture()).astype(np.int32)), path),
    "twelve.pgm": lambda path: path.write_bytes(
        b"P5 64 48 4095\n" + np.rint(gray_picture() / 255 * 4095).astype(">u2").tobytes()
    ),
}

# Largest difference in gray levels: what JPEG and WebP lose at this quality, what 256 colours cannot show.
LOSS = {".jpg": 6, ".jpeg": 6, "lossy.webp": 10, "palette.png": 24, "palette.bmp": 24}


def tolerance(name):
    return LOSS.get(name, LOSS.get(Path(name).suffix, 1))


@pytest.mark.parametrize("name", COLOUR)
def test_colour(tmp_path, name):
    path = tmp_path / name
    COLOUR[name](path)
    image = read_image(path)
    assert image.mode == "RGB" and image.size == (WIDTH, HEIGHT)
    assert np.abs(np.asarray(image).astype(int) - colour_picture()).max() <= tolerance(name)
    assert read_rgb(path, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("name", GRAY)
def test_gray(tmp_path, name):
    path = tmp_path / name
    GRAY[name](path)
    image = read_image(path)
    assert image.mode == "RGB" and image.size == (WIDTH, HEIGHT)
    difference = np.abs(np.asarray(image).astype(int) - gray_picture()[:, :, None])
    assert difference.max() <= tolerance(name)


@pytest.mark.parametrize("name", [*(name for name in COLOUR if "turned" in name), "twelve.tif", "from-white.tif"])
def test_an_opened_image_gives_the_same_pixels_as_its_file(tmp_path, name):
    path = tmp_path / name
    {**GRAY, **COLOUR}[name](path)
    with Image.open(path) as opened:
        assert np.array_equal(resize_rgb(opened, 20), read_rgb(path, 20))


def test_black_and_white(tmp_path):
    picture = gray_picture() > 110
    for name in ("one.png", "one.bmp", "one.tif", "fax.tif"):
        options = {"compression": "group4"} if name == "fax.tif" else {}
        path = save(Image.fromarray(picture), tmp_path / name, **options)
        assert np.array_equal(np.asarray(read_image(path)), np.repeat(picture[:, :, None] * 255, 3, axis=2)), name


def test_a_gray_that_is_transparent_is_white(tmp_path):
    path = write_png16(tmp_path / "clear.png", np.array([[1000, 1001, 65535]], np.uint16), clear=1000)
    assert np.asarray(read_image(path))[0, :, 0].tolist() == [255, 4, 255]


class TestPeak:
    def test_of_16_bit_gray(self, tmp_path):
        values = np.array([[0, 700], [4095, 12]], np.uint16)
        for path in (write_png16(tmp_path / "a.png", values), write_tiff(tmp_path / "a.tif", values)):
            assert read_with_peak(path)[1] == 4095

    @pytest.mark.parametrize("name", ["l.png", "twelve.tif", "float.tif"])
    def test_where_the_file_says_its_range_there_is_none(self, tmp_path, name):
        GRAY[name](tmp_path / name)
        assert read_with_peak(tmp_path / name)[1] is None


def test_an_image_is_not_stretched_to_what_it_holds(tmp_path):
    """A dark image of a category stays dark beside a bright one."""
    dark = write_png16(tmp_path / "dark.png", np.array([[0, 2570]], np.uint16))
    assert np.asarray(read_image(dark))[0, :, 0].tolist() == [0, 10]


def test_pixels_that_cannot_be_shown(tmp_path):
    path = save(Image.new("LAB", (4, 4)), tmp_path / "lab.tif")
    with pytest.raises(ImageError, match=r"lab\.tif has pixels of the kind LAB"):
        read_image(path)


def test_masks_of_deep_pixels(tmp_path):
    truth = np.array([[0, 1, 0, 1]], np.uint16)
    files = [
        write_png16(tmp_path / "m.png", truth),
        write_tiff(tmp_path / "m.tif", truth),
        write_tiff(tmp_path / "white.tif", 65535 - truth, white_is_zero=True),
        write_tiff(tmp_path / "float.tif", truth.astype(np.float32)),
        write_tiff(tmp_path / "white-float.tif", 1 - truth.astype(np.float32), white_is_zero=True),
        write_tiff(tmp_path / "twelve.tif", truth, bits=12),
    ]
    for path in files:
        assert read_mask(path, 4)[0].tolist() == [0, 1, 0, 1], path.name
