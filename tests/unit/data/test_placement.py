"""Where images lie in their squares: places, pixels and masks that a person can count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kdzoo.data.images import read_rgb, resize_rgb
from kdzoo.data.mask_files import read_mask
from kdzoo.data.placement import Place, places_of
from kdzoo.data.roi import Roi, counted


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((32, 96), (21, 0, 21, 64)),  # 64 * 32 / 96 = 21.3 rows, 21 above and 22 below
        ((96, 32), (0, 21, 64, 21)),
        ((50, 100), (16, 0, 32, 64)),
        ((100, 100), (0, 0, 64, 64)),
        ((3, 128), (31, 0, 2, 64)),  # 1.5 rows
        ((1, 1000), (31, 0, 1, 64)),  # never none
        ((7, 14), (16, 0, 32, 64)),  # small images grow
    ],
)
def test_places_by_hand(shape, expected):
    place = Place.of(shape, 64, "pad")
    assert (place.top, place.left, place.height, place.width) == expected
    assert place.whole == (shape[0] == shape[1])
    assert Place.of(shape, 64, "stretch") == Place(size=64, top=0, left=0, height=64, width=64)


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), size=st.integers(1, 512))
def test_an_image_lies_in_the_middle_and_keeps_its_ratio(height, width, size):
    place = Place.of((height, width), size, "pad")
    assert max(place.height, place.width) == size
    below, right = size - place.top - place.height, size - place.left - place.width
    assert 0 <= below - place.top <= 1 and 0 <= right - place.left <= 1
    for side, other, own in ((height, width, place.height), (width, height, place.width)):
        assert own == 1 or abs(own - size * side / max(side, other)) <= 0.5


def test_the_edge_goes_on_beside_the_image():
    image = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)[:, :, None].repeat(3, axis=2)
    padded = resize_rgb(image, 4, "pad")
    assert padded[:, :, 0].tolist() == [[1, 2, 3, 4], [1, 2, 3, 4], [5, 6, 7, 8], [5, 6, 7, 8]]
    assert (padded == padded[:, :, :1]).all()
    turned = resize_rgb(image.transpose(1, 0, 2), 4, "pad")
    assert np.array_equal(turned, padded.transpose(1, 0, 2))


@pytest.mark.parametrize("side", [20, 64, 150])
def test_a_square_image_gives_the_same_pixels_both_ways(side):
    image = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    assert np.array_equal(resize_rgb(image, 64, "pad"), resize_rgb(image, 64, "stretch"))
    assert np.array_equal(resize_rgb(image, 64), resize_rgb(image, 64, "stretch"))


def test_stretched_pixels_are_those_of_pillow():
    image = np.random.default_rng(0).integers(0, 256, (30, 90, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((64, 64), Image.Resampling.BILINEAR))
    assert np.array_equal(resize_rgb(image, 64), expected)
    strip = np.asarray(Image.fromarray(image).resize((64, 21), Image.Resampling.BILINEAR))
    assert np.array_equal(resize_rgb(image, 64, "pad")[21:42], strip)


def test_files_of_images_and_masks_lie_alike(tmp_path):
    image, mask = np.zeros((32, 96, 3), np.uint8), np.zeros((32, 96), np.uint8)
    image[:, 48:], mask[:, 48:] = 255, 255
    Image.fromarray(image).save(tmp_path / "image.png")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    seen = read_rgb(tmp_path / "image.png", 48, resize="pad")
    marked = read_mask(tmp_path / "mask.png", 48, (96, 32), resize="pad")
    assert np.array_equal(marked[16:32], seen[16:32, :, 0] > 127)
    assert (marked[16:32, 24:] == 1).all() and marked.sum() == 16 * 24  # padding is no defect ...
    assert (seen[:, 25:] == 255).all()  # ... where the image's edge goes on


def test_what_counts_is_the_image():
    wide, tall = (Place.of(shape, 8, "pad") for shape in ((4, 8), (8, 4)))
    inside = counted(None, [wide, wide])
    assert inside.shape == (8, 8)
    assert inside.tolist() == [[2 <= row < 6] * 8 for row in range(8)]
    both = counted(None, [tall, wide])
    assert np.array_equal(both, np.stack([inside.T, inside]))
    assert counted(None, [Place.of((9, 9), 8, "pad"), Place.of((5, 5), 8, "pad")]) is None


def test_a_region_of_interest_is_one_of_the_image():
    """Its left half, or the upper left quarter: of what the image is, not of the square."""
    half = Roi(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),))
    quarter = Roi(mask=np.array([[True, False], [False, False]]))
    wide = Place.of((4, 8), 8, "pad")
    found = counted(half, [wide])
    assert np.argwhere(found).tolist() == [[row, column] for row in range(2, 6) for column in range(4)]
    assert np.argwhere(counted(quarter, [wide])).tolist() == [[row, column] for row in (2, 3) for column in range(4)]
    square = counted(half, [Place.of((4, 8), 8, "stretch")])
    assert np.array_equal(square, half.inside(8, 8))


def test_places_of_many():
    assert places_of(np.array([[2, 4], [4, 2]]), 4, "pad") == [Place.of(shape, 4, "pad") for shape in ((2, 4), (4, 2))]
