"""The split-conformal threshold keeps what it states: shown by thousands of calibrations."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.metrics.binomial import interval
from kdzoo.metrics.conformal import Claim, conformal_rank

DRAWS = 20_000


@pytest.mark.parametrize(
    ("images", "rate", "rank"),
    [
        (9, 0.01, 9),
        (9, 0.1, 9),
        (9, 0.2, 8),
        (10, 0.1, 10),
        (99, 0.01, 99),
        (199, 0.01, 198),
        (1, 0.5, 1),
        (3, 0.99, 1),
    ],
)
def test_ranks_by_counting(images, rate, rank):
    assert conformal_rank(images, rate) == rank


@given(st.integers(1, 5000), st.floats(0, 0.999))
def test_the_rank_is_the_lowest_that_keeps_the_rate_or_the_last(images, rate):
    rank = conformal_rank(images, rate)
    above = (images + 1 - rank) / (images + 1)
    assert rank == images or above <= rate + 1e-9
    assert rank == 1 or above + 1 / (images + 1) > rate - 1e-9


@pytest.mark.parametrize("images", [9, 50, 500])
@pytest.mark.parametrize("asked", [0.005, 0.01, 0.05, 0.1])
def test_coverage_over_thousands_of_calibrations(images, asked):
    """Scores are uniform, so that how often a threshold alarms is 1 minus the threshold itself, exactly."""
    rank = conformal_rank(images, asked)
    claim = Claim.of(images, rank, asked)
    scores = np.sort(np.random.default_rng(images).random((DRAWS, images)), axis=1)
    rates = 1 - scores[:, rank - 1]
    error = rates.std() / math.sqrt(DRAWS)
    assert abs(rates.mean() - claim.expected) < 4 * error
    assert claim.holds == (asked >= 1 / (images + 1))
    if claim.holds:
        assert rates.mean() < asked + 4 * error
    # Of this very threshold: exact, so no more and no less than 95 of 100 calibrations keep the bound.
    assert abs((rates <= claim.at_most).mean() - 0.95) < 4 * math.sqrt(0.95 * 0.05 / DRAWS)
    # The two-sided interval of the calibration's own alarms covers too, though the threshold was chosen on them.
    low, high = interval(claim.above, images)
    assert ((low <= rates) & (rates <= high)).mean() > 0.95


@pytest.mark.parametrize(("images", "alarming"), [(9, 1 / 10), (50, 1 / 51), (500, 6 / 501)])
def test_a_share_of_the_calibrations_own_images_is_less_than_what_alarms(images, alarming):
    """What was done before: at 1 % the largest of nine scores, stated as 1 %."""
    scores = np.sort(np.random.default_rng(1).random((DRAWS, images)), axis=1)
    rates = 1 - scores[:, images - 1 - math.floor(0.01 * images)]
    error = rates.std() / math.sqrt(DRAWS)
    assert abs(rates.mean() - alarming) < 4 * error and rates.mean() > 0.01 + 4 * error


def test_equal_scores_alarm_less_than_stated():
    scores = np.sort(np.random.default_rng(2).integers(0, 4, (DRAWS, 50)), axis=1)
    thresholds = scores[:, conformal_rank(50, 0.1) - 1]
    assert ((3 - thresholds) / 4).mean() < 0.1


def test_nine_images_do_not_show_one_per_cent_and_say_how_many_would():
    claim = Claim.of(9, 9, 0.01)
    assert not claim.holds
    assert (claim.expected, claim.images_to_hold, claim.images_to_show) == (0.1, 99, 299)
    assert claim.at_most == pytest.approx(0.2831, abs=5e-5)
    assert Claim.of(99, 99, 0.01).holds and not Claim.of(98, 98, 0.01).holds


def test_a_rate_of_zero_is_shown_by_no_number_of_images():
    claim = Claim.of(10_000, 10_000, 0.0)
    assert (claim.holds, claim.images_to_hold, claim.images_to_show) == (False, None, None)
    assert claim.as_dict()["images_to_show"] is None
