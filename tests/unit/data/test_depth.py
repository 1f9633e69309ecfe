"""Pixels of more than 8 bits, and which of their values are black and white."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.raw_images import write_png16, write_tiff, write_tiff_deflated
from PIL import Image

from kdzoo.data.depth import Intensity, dark_note, range_of
from kdzoo.data.images import found_intensity, read_image, read_with_peak, to_rgb_array
from kdzoo.data.mask_files import read_mask
from kdzoo.errors import ConfigError, ImageError

TWELVE = Intensity(low=0, high=4095)
GRAY = np.array([[0, 16, 2048, 4095], [4096, 65535, 1000, 3000]], np.uint16)
COLOUR = np.dstack([GRAY, GRAY[::-1], GRAY[:, ::-1]])
ALPHA = np.full(GRAY.shape, 65535, np.uint16)


def expected(values, low=0, high=4095):
    """Written out in whole numbers of the values' own grid, rounded half to even as `numpy.rint` does."""
    return np.rint(np.clip((values.astype(np.float64) - low) * 255 / (high - low), 0, 255)).astype(np.uint8)


def near(found, wanted):
    """float32 may tip a value that lies within 1e-4 of the middle between two grays."""
    assert np.abs(found.astype(int) - wanted.astype(int)).max() <= 1
    assert (found == wanted).mean() > 0.9


FILES = {
    "gray.png": lambda path: write_png16(path, GRAY),
    "gray.tif": lambda path: write_tiff(path, GRAY),
    "gray-big.tif": lambda path: write_tiff(path, GRAY, big_endian=True),
    "colour.png": lambda path: write_png16(path, COLOUR),
    "colour.tif": lambda path: write_tiff(path, COLOUR),
    "colour-big.tif": lambda path: write_tiff(path, COLOUR, big_endian=True),
    "alpha.png": lambda path: write_png16(path, np.dstack([COLOUR, ALPHA])),
    "gray-alpha.png": lambda path: write_png16(path, np.dstack([GRAY, ALPHA])),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("low", "high"), [(0, 4095), (100, 3000), (0, 65535), (2000, 2100)])
def test_values_between_black_and_white_are_shown_in_proportion(tmp_path, name, low, high):
    path = tmp_path / name
    FILES[name](path)
    values = COLOUR if "gray" not in name else np.dstack([GRAY] * 3)
    image = read_image(path, Intensity(low=low, high=high))
    assert image.mode == "RGB"
    near(np.asarray(image), expected(values, low, high))


@pytest.mark.parametrize("name", FILES)
def test_the_low_byte_of_every_channel_counts(tmp_path, name):
    """Values that share the high byte are told apart."""
    path, values = tmp_path / name, np.arange(256, dtype=np.uint16).reshape(16, 16)
    deep = values if "gray" in name else np.dstack([values, values.T, 255 - values])
    if "alpha" in name:
        write_png16(path, np.dstack([deep, np.full(values.shape, 65535)]))
    elif name.endswith(".png"):
        write_png16(path, deep)
    else:
        write_tiff(path, deep, big_endian="big" in name)
    shown = np.asarray(read_image(path, Intensity(low=0, high=255)))
    assert np.array_equal(shown, deep if deep.ndim == 3 else np.dstack([deep] * 3))


def test_a_compressed_tiff_of_deep_colour(tmp_path):
    """libtiff unpacks it in the machine's byte order, which is another way through Pillow."""
    values = np.random.default_rng(0).integers(0, 4096, (30, 40, 3)).astype(np.uint16)
    for big in (False, True):
        path = write_tiff_deflated(tmp_path / f"{big}.tif", values, big_endian=big)
        near(np.asarray(read_image(path, TWELVE)), expected(values))


def test_without_an_intensity_the_full_range_is_shown_as_before(tmp_path):
    write_png16(tmp_path / "a.png", COLOUR)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), (COLOUR >> 8).astype(np.uint8))


def test_eight_bits_are_what_they_are(tmp_path):
    values = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png", TWELVE)), values)
    assert np.array_equal(to_rgb_array(values, TWELVE), values)


def test_arrays_and_deep_pil_images_in_memory():
    near(to_rgb_array(COLOUR, TWELVE), expected(COLOUR))
    near(to_rgb_array(GRAY, TWELVE), np.dstack([expected(GRAY)] * 3))
    near(to_rgb_array(Image.fromarray(GRAY), TWELVE), np.dstack([expected(GRAY)] * 3))
    for deep in (GRAY, COLOUR):
        assert np.array_equal(to_rgb_array(deep.astype(">u2"), TWELVE), to_rgb_array(deep, TWELVE))
        assert np.array_equal(to_rgb_array(np.dstack([deep, ALPHA]), TWELVE), to_rgb_array(deep, TWELVE))
        assert (to_rgb_array(np.dstack([deep, 0 * ALPHA]), TWELVE) == 255).all(), "clear is white"
    floats = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(to_rgb_array(floats, TWELVE), to_rgb_array(floats))


def test_float_files_may_hold_any_values_then(tmp_path):
    values = np.array([[-50.0, 0.0], [1000.0, 5000.0]], np.float32)
    path = write_tiff(tmp_path / "a.tif", values)
    with pytest.raises(ImageError, match="floats outside"):
        read_image(path)
    near(np.asarray(read_image(path, TWELVE))[:, :, 0], expected(values))
    write_tiff(tmp_path / "nan.tif", np.full((2, 2), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"nan.*holds NaN"):
        read_image(tmp_path / "nan.tif", TWELVE)


def test_what_counts_from_white_is_turned_round_after_scaling(tmp_path):
    path = write_tiff(tmp_path / "a.tif", 4095 - np.minimum(GRAY, 4095), white_is_zero=True)
    near(np.asarray(read_image(path, TWELVE))[:, :, 0], expected(GRAY))


def test_peaks_of_files(tmp_path):
    write_png16(tmp_path / "gray.png", np.minimum(GRAY, 4000))
    write_png16(tmp_path / "colour.png", np.minimum(COLOUR, 4000))
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "eight.png")
    peaks = [read_with_peak(tmp_path / f"{name}.png", TWELVE)[1] for name in ("gray", "colour", "eight")]
    assert peaks == [4000, 4095, None]
    assert read_with_peak(tmp_path / "colour.png")[1] == 4095


def test_a_mask_of_deep_colour_that_is_faint_marks_all_the_same(tmp_path):
    faint = np.zeros((8, 8, 3), np.uint16)
    faint[2, 3] = 7
    write_png16(tmp_path / "mask.png", faint)
    assert np.argwhere(read_mask(tmp_path / "mask.png", 8)).tolist() == [[2, 3]]


def test_a_mask_of_deep_gray_with_alpha(tmp_path):
    faint = np.zeros((8, 8), np.uint16)
    faint[2, 3], faint[4, 5], faint[6, 7] = 7, 512, 40000
    seen = np.full(faint.shape, 65535, np.uint16)
    seen[6, 7] = 0
    write_png16(tmp_path / "mask.png", np.dstack([faint, seen]))
    assert np.argwhere(read_mask(tmp_path / "mask.png", 8)).tolist() == [[2, 3], [4, 5]]
    assert read_with_peak(write_png16(tmp_path / "dim.png", np.dstack([faint % 1024, seen])))[1] == 767


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("high", [1e30, 3e-30, 65535])
def test_any_values_of_black_and_white_show_something(high):
    shown = Intensity(low=0, high=high).shown(np.array([0, 1, 65535, 3e38], np.float32))
    assert shown.tolist() == [0, 0 if high > 1 else 255, 255 if high < 1e6 else 0, 255]


@pytest.mark.parametrize(
    ("peak", "high"), [(1, 255), (255, 255), (256, 1023), (1030, 4095), (4095, 4095), (4096, 16383), (65535, 65535)]
)
def test_a_cameras_range_is_that_of_an_even_number_of_bits(peak, high):
    assert range_of(peak) == Intensity(low=0, high=high)


def test_auto_asks_images_from_end_to_end(tmp_path):
    dim, bright = np.full((4, 4), 500, np.uint16), np.full((4, 4), 3000, np.uint16)
    paths = [write_png16(tmp_path / f"{number:03}.png", dim) for number in range(99)]
    assert found_intensity(paths) == Intensity(low=0, high=1023)
    paths.append(write_png16(tmp_path / "last.png", bright))
    assert found_intensity(paths) == TWELVE
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert found_intensity([tmp_path / "broken.png", *paths[-1:]]) == TWELVE
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(tmp_path / "eight.png")
    assert found_intensity([tmp_path / "eight.png"]) is None
    assert found_intensity([]) is None


def test_nearly_black_is_said_with_what_mends_it():
    assert dark_note(4095).endswith("--intensity 0,4095")
    assert dark_note(8191) is not None
    assert dark_note(8192) is None
    assert dark_note(0) is None


@pytest.mark.parametrize("text", ["", "dark", "1", "1,2,3", "a,b", "5,5", "9,1", "nan,2", "0,inf"])
def test_no_intensity(text):
    with pytest.raises(ConfigError, match="intensity"):
        Intensity.parse(text)


def test_texts_of_intensities():
    assert (Intensity.parse("full"), Intensity.parse("auto")) == ("full", "auto")
    assert Intensity.parse("0, 4095") == TWELVE
    assert Intensity.parse(TWELVE.label) == TWELVE
    assert TWELVE.label == "0,4095"
