"""Exact intervals, held to scipy's own test and to what they promise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from kdzoo.errors import UsageError
from kdzoo.metrics.binomial import Share, bound_of_a_choice, images_without_one, interval, upper_bound


@given(st.integers(1, 3000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))), st.floats(0.5, 0.999))
def test_intervals_and_bounds_are_scipys(share, confidence):
    count, of = share
    both = binomtest(count, of).proportion_ci(confidence, method="exact")
    assert interval(count, of, confidence=confidence) == pytest.approx((both.low, both.high), abs=1e-9)
    one = binomtest(count, of, alternative="less").proportion_ci(confidence, method="exact")
    assert upper_bound(count, of, confidence=confidence) == pytest.approx(one.high, abs=1e-9)


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(7, 36, 0.0819, 0.3602), (0, 9, 0.0, 0.3363), (9, 9, 0.6637, 1.0), (0, 0, 0.0, 1.0), (1, 1, 0.025, 1.0)],
)
def test_known_intervals(count, of, low, high):
    assert interval(count, of) == pytest.approx((low, high), abs=5e-5)


def test_no_alarm_at_all_has_a_bound_that_a_pocket_calculator_gives():
    assert upper_bound(0, 9) == pytest.approx(1 - 0.05 ** (1 / 9))
    assert upper_bound(4, 4) == upper_bound(0, 0) == 1.0


@pytest.mark.parametrize("of", [9, 50, 500])
def test_the_bound_of_a_choice_holds_whichever_threshold_is_chosen(of):
    """The worst that a person could choose, of each of 20,000 sets of uniform scores: the largest gap of all."""
    scores = np.sort(np.random.default_rng(of).random((20_000, of)), axis=1)
    above = np.arange(of - 1, -1, -1)
    gaps = (1 - scores) - above / of  # how often the threshold at each score alarms, less how often it did here
    bound = bound_of_a_choice(0, of)
    assert (gaps.max(axis=1) <= bound).mean() > 0.945
    assert bound > upper_bound(0, of)


def test_the_bound_of_a_choice_at_its_ends():
    assert bound_of_a_choice(9, 9) == bound_of_a_choice(0, 0) == bound_of_a_choice(0, 1) == 1.0
    with pytest.raises(UsageError):
        bound_of_a_choice(2, 1)


@pytest.mark.parametrize(("rate", "images"), [(0.01, 299), (0.005, 598), (0.05, 59), (0.5, 5), (0.95, 1)])
def test_how_many_images_show_a_rate(rate, images):
    assert images_without_one(rate) == images
    assert upper_bound(0, images) <= rate + 1e-12 < upper_bound(0, images - 1) + 1e-9


def test_no_number_of_images_shows_that_nothing_ever_alarms():
    assert images_without_one(0.0) is None


def test_a_share_says_what_it_was_counted_from():
    share = Share.counted(2, 9)
    assert (share.count, share.of, share.rate) == (2, 9, 2 / 9)
    assert (share.low, share.high) == interval(2, 9)
    assert share.as_dict() == {"count": 2, "of": 9, "low": share.low, "high": share.high}
    assert Share.counted(0, 0).rate is None


@pytest.mark.parametrize("bad", [(-1, 3), (4, 3), (0, -1)])
def test_what_is_no_share(bad):
    with pytest.raises(UsageError, match="no share"):
        Share.counted(*bad)


@pytest.mark.parametrize("confidence", [0.0, 1.0, math.nan, 95])
def test_a_confidence_out_of_range(confidence):
    with pytest.raises(UsageError, match="confidence"):
        interval(1, 2, confidence=confidence)
