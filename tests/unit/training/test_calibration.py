"""Thresholds that a person can find by counting."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import CheckpointError, UsageError
from kdzoo.metrics.conformal import conformal_rank
from kdzoo.pictures import HeatScale
from kdzoo.training.calibration import Calibration, calibrate


def _short(value):
    return str(value)[:9]


def of(scores, rate=0.0):
    return Calibration(
        false_positive_rate=rate, normal_images=len(scores), image_scores=tuple(scores), map_peaks=tuple(scores)
    )


def former(scores, rate=0.0):
    """As an earlier kdzoo calibrated: its detectors decide as they did."""
    return dataclasses.replace(of(scores, rate), rule="share")


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [(0.0, 10.0), (0.05, 10.0), (0.1, 10.0), (0.19, 9.0), (0.2, 9.0), (0.5, 6.0), (0.9, 2.0), (0.99, 1.0)],
)
def test_thresholds_by_counting(rate, threshold):
    """Of ten scores 1..10, a rate of 0.1 is the 10th: an eleventh score is as likely above it as any other, 1 in 11."""
    scores = [float(score) for score in range(1, 11)]
    assert of(scores, rate).threshold() == threshold
    assert of(scores).threshold(rate) == of(scores).pixel_threshold(rate) == threshold


@pytest.mark.parametrize(
    ("rate", "threshold"),
    [(0.0, 10.0), (0.05, 10.0), (0.1, 9.0), (0.19, 9.0), (0.2, 8.0), (0.5, 5.0), (0.9, 1.0), (0.99, 1.0)],
)
def test_thresholds_of_detectors_that_name_no_rule(rate, threshold):
    """Of ten scores 1..10, a rate of 0.1 lets one alarm: only 10 is above 9."""
    scores = [float(score) for score in range(1, 11)]
    assert former(scores, rate).threshold() == threshold
    assert former(scores).threshold(rate) == former(scores).pixel_threshold(rate) == threshold
    kept = {key: value for key, value in of(scores, rate).as_dict().items() if key not in ("rule", "origin")}
    assert Calibration.from_dict(kept).threshold() == threshold


def test_a_rate_that_binary_numbers_miss_by_a_hair():
    scores = [float(score) for score in range(1, 101)]
    for percent in range(100):
        assert former(scores).threshold(percent / 100) == 100 - percent
        assert of(scores[:99]).threshold(percent / 100) == min(100 - percent, 99)


def test_a_rate_a_hair_below_one_lets_all_but_the_lowest_alarm():
    assert of([0.0, 1.0]).threshold(1 - 2**-53) == former([0.0, 1.0]).threshold(1 - 2**-53) == 0.0


def test_one_image_is_its_own_threshold():
    assert of([3.5]).threshold() == of([3.5]).threshold(0.5) == 3.5


def test_equal_scores_never_alarm():
    assert of([2.0] * 7).threshold(0.3) == 2.0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0, 1, exclude_max=True))
def test_no_more_than_the_rate_alarms_and_any_lower_score_would_let_more(scores, rate):
    ordered = sorted(scores)
    threshold = former(ordered, rate).threshold()
    above = sum(score > threshold for score in ordered)
    assert above <= rate * len(ordered) + 1e-6
    lower = [score for score in ordered if score < threshold]
    assert threshold in ordered
    if lower:
        assert sum(score > lower[-1] for score in ordered) > rate * len(ordered) - 1e-6


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0, 1, exclude_max=True))
def test_of_one_image_more_no_more_than_the_rate_alarms_or_the_threshold_is_the_largest(scores, rate):
    ordered = sorted(scores)
    found = of(ordered, rate)
    threshold, claim = found.threshold(), found.claim()
    above = sum(score > threshold for score in ordered)
    assert threshold in ordered and above <= claim.above
    assert threshold == ordered[-1] or claim.expected <= rate + 1e-6
    assert claim.expected == pytest.approx((claim.above + 1) / (len(ordered) + 1))
    lower = [score for score in ordered if score < threshold]
    if lower:
        assert sum(score > lower[-1] for score in ordered) + 1 > rate * (len(ordered) + 1) - 1e-6


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2.0, math.nan])
def test_a_rate_out_of_range(rate):
    with pytest.raises(UsageError, match="out of range"):
        of([1.0]).threshold(rate)


def test_only_normal_images_count():
    maps = np.zeros((3, 2, 2), np.float32)
    maps[:, 0, 1] = (5, 7, 9)
    found = calibrate(np.float32([1, 2, 3]), maps, np.array([0, 1, 0]), false_positive_rate=0.0)
    assert found == Calibration(
        false_positive_rate=0.0, normal_images=2, image_scores=(1.0, 3.0), map_peaks=(5.0, 9.0), map_level=0.0
    )


def test_the_level_is_what_a_pixel_of_a_normal_map_usually_is():
    """Medians of the normal maps: 2 and 6, so 4; the defect's map has no say."""
    maps = np.float32([[[1, 2, 9]], [[70, 80, 90]], [[6, 6, 8]]])
    found = calibrate(np.float32([9, 90, 8]), maps, np.array([0, 1, 0]), false_positive_rate=0.0)
    assert found.map_level == 4.0


def test_what_does_not_count_has_no_say_in_the_level():
    """It holds the least value of the rest: 1 and 6 would be the medians, of what counts they are 2 and 7."""
    maps = np.float32([[[1, 2, 9, 1, 1]], [[70, 80, 90, 70, 70]], [[7, 6, 8, 6, 6]]])
    inside, labels = np.array([[True, True, True, False, False]]), np.array([0, 1, 0])
    given = {"false_positive_rate": 0.0, "inside": inside}
    assert calibrate(np.float32([9, 90, 8]), maps, labels, **given).map_level == 4.5
    given["inside"] = np.stack([inside, ~inside, np.array([[True, False, True, False, False]])])
    assert calibrate(np.float32([9, 90, 8]), maps, labels, **given).map_level == (2 + 7.5) / 2
    assert calibrate(np.float32([9, 90, 8]), maps, labels, false_positive_rate=0.0).map_level == (1 + 6) / 2


def test_colours_begin_where_normal_images_end_and_are_full_as_far_above():
    found = of([6.0, 10.0])
    known = dataclasses.replace(found, map_level=4.0)
    assert known.heat_scale() == HeatScale(begin=10.0, full=16.0)
    assert dataclasses.replace(known, false_positive_rate=0.7).heat_scale() == HeatScale(begin=6.0, full=8.0)
    below_zero = dataclasses.replace(of([-3.0]), map_level=-5.0)
    assert below_zero.heat_scale() == HeatScale(begin=-3.0, full=-1.0)


def test_colours_of_a_detector_that_does_not_know_the_level():
    assert Calibration.from_dict(GOOD | {"map_peaks": [3.0, 10.0]}).heat_scale() == HeatScale(begin=10.0, full=16.0)


def test_what_is_kept_comes_back():
    for found in (of([6.0, 10.0], 0.25), dataclasses.replace(of([6.0, 10.0]), map_level=4.0)):
        kept = json.loads(json.dumps(found.as_dict()))
        assert Calibration.from_dict(kept) == found
        assert ("map_level" in kept) == (found.map_level is not None)


def test_without_normal_images_there_is_no_threshold():
    with pytest.raises(UsageError, match="needs normal images"):
        calibrate(np.float32([1]), np.zeros((1, 2, 2), np.float32), np.array([1]), false_positive_rate=0.01)


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (512, 512), (513, 512), (5000, 512)])
def test_many_scores_are_thinned_and_both_ends_stay(count, kept):
    scores = np.random.default_rng(0).permutation(np.arange(count)).astype(np.float32)
    maps = scores[:, None, None]
    found = calibrate(scores, maps, np.zeros(count, int), false_positive_rate=0.0)
    assert (found.normal_images, len(found.image_scores), len(found.map_peaks)) == (count, kept, kept)
    assert (found.image_scores[0], found.image_scores[-1]) == (0.0, count - 1)
    assert list(found.image_scores) == sorted(set(found.image_scores))
    assert found.threshold(0.5) == pytest.approx((count - 1) / 2, abs=count / 512 + 1)


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.05, 0.3, 0.9])
def test_of_thinned_scores_the_next_higher_one_is_the_threshold(rate):
    count = 5000
    scores = np.arange(1, count + 1, dtype=np.float32)
    found = calibrate(scores, scores[:, None, None], np.zeros(count, int), false_positive_rate=rate)
    rank = conformal_rank(count, rate)
    assert rank <= found.threshold() <= rank + count / 511 + 1
    claim = found.claim()
    assert (claim.images, claim.above) == (count, count - found.threshold())
    assert claim.expected <= max(rate, 1 / (count + 1)) + 1e-9


def test_a_stranger_may_keep_fewer_scores_than_images_or_more():
    alone = Calibration.from_dict(GOOD | {"normal_images": 10**12, "image_scores": [1.0]})
    assert (alone.threshold(), alone.claim().above) == (1.0, 0)
    more = Calibration.from_dict(GOOD | {"normal_images": 1, "rule": "split-conformal"})
    assert (more.threshold(), more.claim().images) == (2.0, 2)


def test_a_threshold_chosen_by_cost_comes_back_and_rates_may_be_asked_for():
    found = dataclasses.replace(of([1.0, 2.0, 3.0], 0.3), rule="cost", origin="given", chosen=7.5)
    again = Calibration.from_dict(json.loads(json.dumps(found.as_dict())))
    assert again == found and again.threshold() == again.as_dict()["threshold"] == 7.5
    assert again.threshold(0.5) == 2.0 and again.pixel_threshold() == 3.0
    for value in (None, "7", math.nan):
        with pytest.raises(CheckpointError):
            Calibration.from_dict(found.as_dict() | {"threshold": value})


@pytest.mark.parametrize("key", ["rule", "origin"])
@pytest.mark.parametrize("value", [None, "", "other", 1, ["share"]], ids=_short)
def test_an_unknown_rule_or_origin_is_refused(key, value):
    with pytest.raises(CheckpointError, match="is none of"):
        Calibration.from_dict(GOOD | {key: value})


def test_it_comes_back_from_json_to_the_bit():
    found = of([0.1, 1 / 3, 2e-8, 5.0], 0.25)
    again = Calibration.from_dict(json.loads(json.dumps(of(sorted(found.image_scores), 0.25).as_dict())))
    assert again == of(sorted(found.image_scores), 0.25)
    assert again.as_dict()["threshold"] == again.threshold()


GOOD = {"false_positive_rate": 0.01, "normal_images": 2, "image_scores": [1.0, 2], "map_peaks": [3.0, 4.0]}


@pytest.mark.parametrize("key", GOOD)
def test_a_missing_key_is_named(key):
    with pytest.raises(CheckpointError, match=f"the calibration lacks '{key}'"):
        Calibration.from_dict({name: value for name, value in GOOD.items() if name != key})


@pytest.mark.parametrize("key", GOOD)
@pytest.mark.parametrize(
    "value", [None, "123", [], {}, [None], ["1"], math.nan, math.inf, [math.nan], -1, 10**400, 1.5], ids=_short
)
def test_an_unusable_value_is_refused(key, value):
    with pytest.raises(CheckpointError):
        Calibration.from_dict(GOOD | {key: value})


def test_scores_of_a_stranger_are_put_in_order():
    assert Calibration.from_dict(GOOD | {"image_scores": [2, 1.0]}).image_scores == (1.0, 2.0)


@pytest.mark.parametrize("value", [None, "1", [1.0], math.nan, -math.inf, True, 10**400], ids=_short)
def test_an_unusable_level_is_refused(value):
    with pytest.raises(CheckpointError):
        Calibration.from_dict(GOOD | {"map_level": value})
