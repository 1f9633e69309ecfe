"""Masks from polygons and runs, against what a person can draw on squared paper."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.data.tables.shapes import brush_mask, coco_runs_mask, empty_mask, polygon_mask


def drawn(*rows):
    return np.array([[letter == "#" for letter in row] for row in rows])


def test_a_rectangle_covers_the_pixels_whose_centres_it_holds():
    mask = polygon_mask([(1, 1), (4, 1), (4, 3), (1, 3)], 4, 5)
    assert (mask == drawn(".....", ".###.", ".###.", ".....")).all()
    # Half a pixel further each centre of the left column lies on the edge, and belongs; on the right it does not.
    assert (polygon_mask([(1.5, 1), (4.5, 1), (4.5, 3), (1.5, 3)], 4, 5) == mask).all()


def test_a_triangle():
    mask = polygon_mask([(0, 0), (4, 0), (0, 4)], 4, 4)
    assert (mask == drawn("###.", "##..", "#...", "....")).all()


def test_a_polygon_with_a_hole_by_crossing_itself():
    outer, inner = [(0, 0), (5, 0), (5, 5), (0, 5), (0, 0)], [(2, 2), (3, 2), (3, 3), (2, 3), (2, 2)]
    mask = polygon_mask([*outer, *inner], 5, 5)
    assert mask.sum() == 24 and not mask[2, 2]


def test_what_lies_outside_is_cut_off():
    assert polygon_mask([(-3, -3), (9, -3), (9, 9), (-3, 9)], 2, 3).all()
    assert not polygon_mask([(-3, -3), (-1, -3), (-1, -1)], 2, 3).any()


def test_a_hairline_is_not_lost():
    mask = polygon_mask([(0.6, 1.1), (3.6, 1.1), (3.6, 1.2)], 3, 5)
    assert (mask == drawn(".....", "####.", ".....")).all()


def test_neighbours_share_no_pixel():
    left = polygon_mask([(0, 0), (2.3, 0), (1.7, 6), (0, 6)], 6, 6)
    right = polygon_mask([(2.3, 0), (6, 0), (6, 6), (1.7, 6)], 6, 6)
    assert (left ^ right).all()


@pytest.mark.parametrize(
    "corners", [[], [(0, 0), (1, 1)], [(0, 0), (1, 1), (float("nan"), 0)], [(0, 0), (1, 1), (1e9, 0)]]
)
def test_what_is_no_polygon(corners):
    with pytest.raises(ValueError, match="three corners"):
        polygon_mask(corners, 4, 4)


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (2**20, 2**20)])
def test_what_is_no_size(size):
    with pytest.raises(ValueError, match="no size"):
        empty_mask(*size)


def test_runs_go_down_the_columns():
    # Outside 1, inside 2, outside 1, then the second column of three: inside 1, outside 1.
    assert (coco_runs_mask([1, 2, 1, 1, 1], 3, 2) == drawn("..", "##", "#.")).all()
    assert coco_runs_mask([0, 6], 3, 2).all()


def test_packed_runs():
    """1, 2, 1, 1 and 1 as text: one letter a number of five bits, the fourth and fifth less the last but one."""
    text = "".join(chr(48 + number) for number in (1, 2, 1, (1 - 2) & 31, 1 - 1))
    assert (coco_runs_mask(text, 3, 2) == coco_runs_mask([1, 2, 1, 1, 1], 3, 2)).all()
    # As COCO's own tool packs it: 55, 40, 10, 40, 95, 10 and 50 pixels, the last four as differences.
    mask = np.zeros((50, 6), bool)
    mask[5:45, 1:3] = mask[40:, 4] = True
    assert (coco_runs_mask("g1X1:0e2ROcN", 50, 6) == mask).all()


HUGE = [[2**62, 2**62, 2**62, 2**62, 6], [10**400], [2**64, 6]]
"""Runs whose sum in 64 bits comes round to the image's, or that have no place in 64 bits."""


@pytest.mark.parametrize("counts", [[1, 2], [7, -1], [], "", "~~", "P", "1", *HUGE])
def test_damaged_runs(counts):
    with pytest.raises(ValueError, match="run"):
        coco_runs_mask(counts, 3, 2)


def bits(*fields):
    """Numbers as bytes, each with its width in bits, the last byte filled up."""
    text = "".join(f"{number:0{width}b}" for number, width in fields)
    return [int(text[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(text), 8)]


HEAD = [(7, 5), (2, 4), (7, 4), (3, 4), (3, 4)]
"""Values of 8 bits; lengths of 3, 8, 4 and 4 bits."""


def test_a_brush():
    # Two pixels of RGBA: eight values. One repeated four times (opaque white), then four literal ones (clear).
    stream = bits(
        (8, 32), *HEAD, (1, 1), (0, 2), (3, 3), (255, 8), (0, 1), (0, 2), (3, 3), (255, 8), (1, 8), (2, 8), (0, 8)
    )
    assert (brush_mask(stream, 1, 2) == drawn("#.")).all()
    assert (brush_mask(bits((8, 32), *HEAD, (1, 1), (1, 2), (7, 8), (9, 8)), 2, 1)).all()


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ([], "bytes"),
        ([256], "bytes"),
        ([1.5], "bytes"),
        (bits((7, 32)), "do not fill"),
        (bits((8, 32), *HEAD, (1, 1), (1, 2), (8, 8), (9, 8)), "more than the image"),
        (bits((8, 32), *HEAD, (0, 1), (1, 2), (7, 8), (9, 8)), "too early"),
        (bits((8, 32))[:3], "too early"),
    ],
)
def test_damaged_brushes(stream, words):
    with pytest.raises(ValueError, match=words):
        brush_mask(stream, 1, 2)


@given(st.lists(st.integers(0, 255), max_size=60), st.text(max_size=20))
def test_whatever_comes_is_a_mask_or_refused(data, text):
    for make in (
        lambda: brush_mask(data, 2, 2),
        lambda: coco_runs_mask(text, 2, 2),
        lambda: coco_runs_mask(data, 2, 2),
    ):
        try:
            assert make().shape == (2, 2)
        except ValueError:
            continue
