"""Maps that come one after the other give what the same maps give as one array."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import NonFiniteLossError, UsageError
from kdzoo.metrics.maps import LazyImages, check_maps, counted_pixels, some_of
from kdzoo.metrics.report import evaluate


@given(seed=st.integers(0, 2**32 - 1), images=st.integers(1, 5), height=st.integers(1, 9), width=st.integers(1, 9),
       insides=st.sampled_from(["none", "one", "each"]), share=st.sampled_from([0.2, 0.9]))  # fmt: skip
def test_a_sequence_gives_the_same_numbers_as_an_array(seed, images, height, width, insides, share):
    rng = np.random.default_rng(seed)
    shape = images, height, width
    maps = rng.integers(0, 40, shape).astype(np.float32) / 7
    masks = rng.random(shape) < share
    labels, scores = masks.any(axis=(1, 2)).astype(int), maps.max(axis=(1, 2))
    inside = {"none": None, "one": rng.random(shape[1:]) < 0.7, "each": rng.random(shape) < 0.7}[insides]
    whole = evaluate(maps, masks, scores, labels, inside=inside)
    each_inside = LazyImages(lambda number: inside[number], images) if insides == "each" else inside
    lazy = LazyImages(lambda number: masks[number].astype(np.uint8), images)
    assert asdict(evaluate(list(maps), lazy, scores, labels, inside=each_inside)) == asdict(whole)


def test_images_of_two_sizes_by_hand():
    """Defects at 3 and 1, normal pixels at 2, 0, 0: of six pairs the defects win 3 + 2."""
    maps = [np.array([[3.0, 2.0]]), np.array([[1.0], [0.0], [0.0]])]
    masks = [np.array([[1, 0]]), np.array([[1], [0], [0]])]
    found = evaluate(maps, masks, np.array([3.0, 1.0]), np.array([1, 1]))
    assert found.pixel_auroc == pytest.approx(5 / 6)
    assert found.pixel_ap == pytest.approx((1 + 2 / 3) / 2)
    assert found.pixels == 5
    # Two regions weigh the same: half of the overlap comes at no false positive, the rest after a third.
    assert found.aupro == pytest.approx((0.5 * 0.3) / 0.3)
    inside = [np.array([[True, False]]), np.ones((3, 1), bool)]
    assert evaluate(maps, masks, np.array([3.0, 1.0]), np.array([1, 1]), inside=inside).pixel_auroc == 1.0
    assert counted_pixels(maps, inside) == 4


def test_what_does_not_fit_is_refused():
    maps = [np.zeros((2, 3)), np.zeros((3, 2))]
    scores, labels = np.zeros(2), np.array([0, 1])
    with pytest.raises(UsageError, match=r"masks have shape \(1, 2, 3\)"):
        evaluate(maps, [np.zeros((2, 3)), np.zeros((2, 3))], scores, labels)
    with pytest.raises(UsageError, match="2 maps, but 1 masks"):
        evaluate(maps, maps[:1], scores, labels)
    with pytest.raises(UsageError, match=r"maps have shape \(2,\)"):
        check_maps([np.zeros((2, 3)), np.zeros(2)])
    with pytest.raises(NonFiniteLossError, match="image 1 holds NaN or infinity; so do 1 others"):
        check_maps([maps[0], np.full((1, 1), np.nan), np.full((2, 2), -np.inf)])


def test_some_are_asked_for_only_when_they_are_needed():
    asked = []

    def make(number):
        asked.append(number)
        return np.full((1, 1), number)

    lazy = LazyImages(make, 5)
    chosen = some_of(lazy, [4, 1])
    assert not asked
    assert [int(each[0, 0]) for each in chosen] == [4, 1] == asked
    assert [int(each[0, 0]) for each in lazy[1:4:2]] == [1, 3]
    assert lazy[-1][0, 0] == 4
    assert len(chosen) == 2
    with pytest.raises(IndexError):
        lazy[5]
    assert some_of(np.arange(8).reshape(2, 2, 2), [1]).tolist() == [[[4, 5], [6, 7]]]
