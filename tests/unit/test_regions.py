"""Regions of what a detector marked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kdzoo.errors import ConfigError, ImageError
from kdzoo.regions import RegionRule, find_regions

MAP = np.array(
    [
        [0, 9, 0, 0, 0],
        [8, 0, 0, 0, 4],
        [0, 0, 0, 0, 5],
        [0, 0, 0, 0, 6],
        [7, 0, 0, 0, 0],
    ],
    np.float32,
)


def test_regions_by_hand():
    regions, mask = find_regions(MAP > 0, MAP)
    assert [region.as_dict() for region in regions] == [
        {"box": [4, 1, 5, 4], "area": 3, "share": 3 / 25, "peak": 6.0, "mean": 5.0, "centroid": [4.5, 2.5]},
        {"box": [0, 0, 2, 2], "area": 2, "share": 2 / 25, "peak": 9.0, "mean": 8.5, "centroid": [1.0, 1.0]},
        {"box": [0, 4, 1, 5], "area": 1, "share": 1 / 25, "peak": 7.0, "mean": 7.0, "centroid": [0.5, 4.5]},
    ]
    assert mask.tolist() == (MAP > 0).tolist()


def test_small_regions_are_left_out_of_list_and_mask_and_nothing_else_is():
    given_mask = MAP > 0
    regions, mask = find_regions(given_mask, MAP, min_area=2)
    assert [region.area for region in regions] == [3, 2]
    expected = MAP > 0
    expected[4, 0] = False
    assert mask.tolist() == expected.tolist()
    assert given_mask[4, 0]


def test_of_equal_regions_the_higher_peak_comes_first():
    values = np.array([[1, 0, 3, 0, 2]], np.float32)
    assert [region.peak for region in find_regions(values > 0, values)[0]] == [3.0, 2.0, 1.0]


def test_nothing_marked_has_no_regions():
    assert find_regions(np.zeros((3, 4), bool), np.ones((3, 4)))[0] == ()


@given(mask=arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))), least=st.integers(0, 5))
def test_regions_add_up_to_the_mask_that_is_left(mask, least):
    values = np.arange(mask.size, dtype=np.float32).reshape(mask.shape)
    regions, left = find_regions(mask, values, min_area=least)
    assert sum(region.area for region in regions) == left.sum()
    assert not (left & ~mask).any()
    assert all(region.area >= least for region in regions)
    for region in regions:
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= mask.shape[1]
        assert 0 <= y0 < y1 <= mask.shape[0]
        assert left[y0:y1, x0].any()
        assert left[y0:y1, x1 - 1].any()
        assert left[y0, x0:x1].any()
        assert left[y1 - 1, x0:x1].any()
        assert x0 < region.centroid[0] < x1
        assert y0 < region.centroid[1] < y1
        assert region.mean <= region.peak


def test_a_border_is_cut_from_all_four_sides():
    kept = RegionRule(border=2).inside((6, 9))
    assert kept.sum() == 2 * 5
    assert kept[2:4, 2:7].all()
    assert RegionRule().inside((6, 9)) is None


def test_on_a_map_of_another_size_centres_decide():
    # 4 parts of 25 pixels: centres at 12.5, 37.5, 62.5, 87.5.
    assert RegionRule(border=12).inside((100, 100), 4).all()
    assert RegionRule(border=13).inside((100, 100), 4).sum() == 4


@pytest.mark.parametrize(("border", "size"), [(3, None), (50, None), (2, 4)])
def test_a_border_that_leaves_nothing_is_refused(border, size):
    rule, height = RegionRule(border=border), 6 if size is None else 5
    with pytest.raises(ImageError, match=f"a border of {border} pixels leaves nothing of an image of 9x{height}"):
        rule.inside((height, 9, 3), size)


def test_negative_numbers_are_refused():
    with pytest.raises(ConfigError, match="min_area"):
        RegionRule(min_area=-1)


def test_a_large_image_is_gone_through_some_rows_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    mask, values = rng.random((40, 31)) < 0.4, rng.random((40, 31)).astype(np.float32)
    at_once = find_regions(mask, values, min_area=3)
    monkeypatch.setattr("kdzoo.regions._AT_ONCE", 64)
    regions, left = find_regions(mask, values, min_area=3)
    assert np.array_equal(left, at_once[1]) and len(regions) == len(at_once[0])
    for one, other in zip(regions, at_once[0], strict=True):
        assert (one.box, one.area, one.share, one.peak) == (other.box, other.area, other.share, other.peak)
        assert (one.mean, *one.centroid) == pytest.approx((other.mean, *other.centroid))
