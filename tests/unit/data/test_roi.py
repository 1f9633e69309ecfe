"""Regions of interest: files as people have them, and the one text that travels."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from kdzoo.data.roi import Roi, joined, regions_of, roi_of
from kdzoo.errors import ConfigError, UnknownNameError

LEFT_HALF = {"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}


def write(path, values):
    path.write_text(json.dumps(values))
    return path


def test_a_polygon_covers_the_pixels_inside(tmp_path):
    inside = Roi.read(write(tmp_path / "roi.json", LEFT_HALF)).inside(4, 10)
    assert inside.tolist() == [[True] * 5 + [False] * 5] * 4


def test_corners_may_be_pixels_of_a_stated_size(tmp_path):
    pixels = {"size": [200, 100], "polygons": [[[0, 0], [100, 0], [100, 100], [0, 100]]]}
    one, other = (Roi.read(write(tmp_path / f"{name}.json", each)) for name, each in (("a", LEFT_HALF), ("b", pixels)))
    assert one.text == other.text
    assert np.array_equal(one.inside(30, 40), other.inside(30, 40))


def test_polygons_add_up(tmp_path):
    left, right = LEFT_HALF["polygons"][0], [[0.75, 0], [1, 0], [1, 1], [0.75, 1]]
    inside = Roi.read(write(tmp_path / "roi.json", {"polygons": [left, right]})).inside(2, 8)
    assert inside.tolist() == [[True] * 4 + [False] * 2 + [True] * 2] * 2


def test_a_mask_picture_marks_what_is_not_black(tmp_path):
    mask = np.zeros((20, 30), np.uint8)
    mask[5:10, 6:12] = 200
    Image.fromarray(mask).save(tmp_path / "roi.png")
    roi = Roi.read(tmp_path / "roi.png")
    assert np.array_equal(roi.inside(20, 30), mask > 0)
    assert np.array_equal(roi.inside(40, 60), np.kron(mask > 0, np.ones((2, 2), bool)))


def test_a_large_mask_is_kept_small(tmp_path):
    mask = np.zeros((3000, 4000), np.uint8)
    mask[:, :2000] = 255
    Image.fromarray(mask).save(tmp_path / "roi.png")
    roi = Roi.read(tmp_path / "roi.png")
    assert roi.mask.shape == (768, 1024)
    assert len(roi.text) < 2000
    assert roi.inside(64, 64)[:, :32].all()
    assert not roi.inside(64, 64)[:, 32:].any()


@settings(deadline=None)
@given(mask=arrays(bool, st.tuples(st.integers(1, 20), st.integers(1, 20))))
def test_the_text_gives_the_region_back(mask):
    if not mask.any():
        mask[0, 0] = True
    roi = Roi(mask=mask)
    again = Roi.parse(roi.text)
    assert np.array_equal(again.mask, mask)
    assert again.text == roi.text
    assert roi_of(roi.text, "any").text == roi.text


@settings(deadline=None)
@given(corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=8))
def test_polygons_survive_the_text(corners):
    roi = Roi(polygons=(tuple(corners),))
    assert Roi.parse(roi.text) == roi


def test_no_text_is_the_whole_image():
    assert Roi.parse("") is None
    assert roi_of("", "lid") is None


def test_a_folder_holds_one_a_category(tmp_path):
    write(tmp_path / "lid.json", LEFT_HALF)
    Image.new("L", (4, 4), 255).save(tmp_path / "nut.png")
    found = regions_of(tmp_path, ["lid", "nut", "bolt"])
    text = joined(found, ["lid", "nut", "bolt"])
    assert roi_of(text, "lid").text == found["lid"].text
    assert roi_of(text, "nut").inside(3, 3).all()
    assert roi_of(text, "bolt") is None


def test_one_file_goes_for_all(tmp_path):
    place = write(tmp_path / "roi.json", LEFT_HALF)
    text = joined(regions_of(place, ["lid", "nut"]), ["lid", "nut"])
    assert text == Roi.read(place).text
    assert roi_of(text, "nut").text == text


def test_a_file_of_no_category_is_named(tmp_path):
    write(tmp_path / "lit.json", LEFT_HALF)
    with pytest.raises(UnknownNameError, match="lit"):
        regions_of(tmp_path, ["lid", "nut"])


def test_two_files_of_one_category_are_refused(tmp_path):
    write(tmp_path / "lid.json", LEFT_HALF)
    Image.new("L", (4, 4), 255).save(tmp_path / "lid.png")
    with pytest.raises(ConfigError, match="two regions of interest of 'lid'"):
        regions_of(tmp_path, ["lid"])


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no region of interest"):
        regions_of(tmp_path, ["lid"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"polygons": []}',
        '{"polygons": 3}',
        '{"polygons": [[[0, 0], [1, 1]]]}',
        '{"polygons": [[[0, 0], [1, 1], [2, 0]]]}',
        '{"polygons": [[[0, 0], [1, 1], ["a", 0]]]}',
        '{"polygons": [[[0, 0], [1, 1], [NaN, 0]]]}',
        '{"polygons": [[[0, 0], [1, 1], [true, 0]]]}',
        '{"polygons": [[[0, 0], [1, 1], 5]]}',
        '{"polygons": [[[0, 0], [9, 9], [5, 0]]], "size": [8, 8]}',
        '{"polygons": [[[0, 0], [1, 1], [1, 0]]], "size": [0, 8]}',
        '{"polygon": [[[0, 0], [1, 1], [1, 0]]]}',
        '{"polygons": [[[0, 0], [1, 1], [1%s, 0]]]}' % ("0" * 400),
        '{"polygons": [[[0, 0], [1, 1], [0.5, 0]]], "size": [1%s, 8]}' % ("0" * 400),
        json.dumps({"polygons": [[[0, 0], [1, 1], [1, 0]]] * 1001}),
        json.dumps({"polygons": [[[0, 0]] * 100_001]}),
        '{"mask": "AAAA", "size": [3, 3]}',
        '{"mask": "AAAA"}',
        '{"mask": "eJxjYAAAAAIAAQ==", "size": [3, 3]}',
        '{"mask": "eJxjYAAAAAIAAQ==", "size": [9999, 9999]}',
        "[" * 100_000,
    ],
)
def test_what_is_no_region_names_the_file(tmp_path, content):
    path = tmp_path / "roi.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"roi\.json"):
        Roi.read(path)


def test_a_black_mask_and_a_missing_file_are_named(tmp_path):
    Image.new("L", (4, 4)).save(tmp_path / "roi.png")
    with pytest.raises(ConfigError, match=r"roi\.png.*black all over"):
        Roi.read(tmp_path / "roi.png")
    with pytest.raises(ConfigError, match=r"no file.*none\.json"):
        Roi.read(tmp_path / "none.json")


def test_a_region_between_the_pixels_of_a_map_is_refused():
    sliver = Roi(mask=np.eye(1, 1000, 3, dtype=bool))
    with pytest.raises(ConfigError, match="no pixel of an image of 8x8"):
        sliver.inside(8, 8)


def test_a_mask_that_unpacks_to_more_than_it_says_is_not_unpacked():
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(b"\xff" * 10**7)).decode()
    with pytest.raises(ConfigError, match="not of its size"):
        Roi.parse(json.dumps({"mask": bomb, "size": [8, 8]}))


def test_regions_of_many_categories_are_not_held_at_once():
    """A mask of a megapixel that is white all over takes some hundred bytes of text."""
    import tracemalloc

    one = json.loads(Roi(mask=np.ones((1024, 1024), bool)).text)
    text = json.dumps({"categories": {str(number): one for number in range(40)}})
    tracemalloc.start()
    assert roi_of(text, "7").mask.all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


@settings(deadline=None)
@given(
    corners=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=6),
    height=st.integers(1, 12),
    width=st.integers(1, 12),
)
def test_a_polygon_is_what_holds_the_centres_of_pixels(corners, height, width):
    """Each centre by itself: in, if a ray to its left crosses an odd number of edges."""

    def holds(x, y):
        odd = False
        points = [(a * width, b * height) for a, b in corners]
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            if (y0 <= y) != (y1 <= y):
                odd ^= x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x
        return odd

    expected = [[holds(column + 0.5, row + 0.5) for column in range(width)] for row in range(height)]
    roi = Roi(polygons=(tuple(corners),))
    if np.any(expected):
        assert roi.inside(height, width).tolist() == expected
    else:
        with pytest.raises(ConfigError, match="no pixel"):
            roi.inside(height, width)
