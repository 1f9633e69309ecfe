"""The cheapest threshold, by trying every other one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import UsageError
from kdzoo.metrics.cost import Costs, cheapest_threshold

scores = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=12)


def spent(threshold, normals, defects, costs):
    of_alarm, of_miss = costs.each(len(normals), len(defects))
    alarms, misses = sum(score > threshold for score in normals), sum(score <= threshold for score in defects)
    return of_alarm * alarms + of_miss * misses


@given(scores, scores, st.sampled_from([0.1, 1.0, 50.0]), st.none() | st.floats(0.001, 0.999))
def test_no_other_threshold_costs_less(normals, defects, miss, rate):
    costs = Costs(miss=miss, alarm=1.0, defect_rate=rate)
    threshold, cost = cheapest_threshold(np.array(normals), np.array(defects), costs)
    assert cost == pytest.approx(spent(threshold, normals, defects, costs))
    others = [score + step for score in (*normals, *defects) for step in (-0.5, 0.0, 0.5)]
    assert all(cost <= spent(other, normals, defects, costs) + 1e-12 for other in others)


def test_the_middle_of_the_gap_between_what_is_told_apart():
    costs = Costs(miss=50.0, alarm=1.0)
    assert cheapest_threshold(np.float32([1, 2]), np.float32([6, 9]), costs) == (4.0, 0.0)


def test_what_a_miss_costs_moves_it():
    """One defect scores among the normals: to find it costs two alarms."""
    normals, defects = np.arange(10.0), np.array([7.5, 20.0])
    assert cheapest_threshold(normals, defects, Costs(miss=1.0, alarm=1.0))[0] == 14.5
    assert cheapest_threshold(normals, defects, Costs(miss=3.0, alarm=1.0))[0] == 7.25
    # Where one image in a thousand is a defect, 50 alarms are no longer worth the miss.
    assert cheapest_threshold(normals, defects, Costs(miss=50.0, alarm=1.0, defect_rate=0.001))[0] == 14.5


def test_costs_are_of_an_image_judged():
    costs = Costs(miss=50.0, alarm=2.0, defect_rate=0.1)
    assert costs.each(9, 4) == pytest.approx((2 * 0.9 / 9, 50 * 0.1 / 4))
    assert Costs(miss=50.0, alarm=2.0).each(30, 10) == pytest.approx((2 / 40, 50 / 40))


@pytest.mark.parametrize(
    "bad",
    [
        {"miss": 0},
        {"miss": -1},
        {"alarm": float("inf")},
        {"alarm": float("nan")},
        {"defect_rate": 0.0},
        {"defect_rate": 1.0},
    ],
)
def test_costs_that_cannot_be(bad):
    with pytest.raises(UsageError):
        Costs(**{"miss": 1.0, "alarm": 1.0, **bad})


def test_both_kinds_of_images_are_needed():
    for normals, defects in (([], [1.0]), ([1.0], [])):
        with pytest.raises(UsageError, match="takes normal and defective"):
            cheapest_threshold(np.array(normals), np.array(defects), Costs(miss=1.0, alarm=1.0))
