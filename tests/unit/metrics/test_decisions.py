"""Alarms and misses by counting, and what the words make of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.metrics.decision_words import calibrated_text, decision_rows, percent, share_text, stated_text
from kdzoo.metrics.decisions import Decisions

POINT = {
    "threshold": 2.5,
    "confidence": 0.95,
    "calibration": {
        "origin": "selection",
        "false_alarms": {"count": 0, "of": 9, "low": 0.0, "high": 0.3363},
        "asked_rate": 0.01,
        "expected_rate": 0.1,
        "at_most": 0.2831,
        "holds": False,
        "images_to_hold": 99,
        "images_to_show": 299,
    },
    "selection": {
        "false_alarms": {"count": 0, "of": 9, "low": 0.0, "high": 0.3363},
        "misses": {"count": 1, "of": 12, "low": 0.0021, "high": 0.3848},
    },
    "report": {"false_alarms": {"count": 2, "of": 9, "low": 0.0281, "high": 0.6001}},
}


def test_alarms_and_misses_by_counting():
    scores, labels = np.float32([1, 2, 3, 1, 2, 3, 4]), np.array([0, 0, 0, 1, 1, 1, 1])
    found = Decisions.at(2.0, scores, labels)
    assert (found.false_alarms.count, found.false_alarms.of) == (1, 3)
    assert (found.misses.count, found.misses.of) == (2, 4), "a score at the threshold does not alarm"
    assert set(found.as_dict()) == {"false_alarms", "misses"}


def test_what_no_image_speaks_of_is_left_out():
    assert set(Decisions.at(0.0, np.float32([1]), np.array([0])).as_dict()) == {"false_alarms"}
    assert Decisions.at(0.0, np.float32([]), np.array([])).as_dict() == {}


def test_a_threshold_between_two_floats_is_not_rounded_to_one_of_them():
    score = np.float32(0.1)
    assert Decisions.at(float(score) - 1e-12, np.array([score]), np.array([0])).false_alarms.count == 1


def test_what_nine_images_cannot_show_is_not_stated():
    assert stated_text(POINT) == (
        "at most 28.3 % false alarms with 95 % confidence; 9 normal images cannot show 1.0 %: "
        "99 would hold it on average, 299 without an alarm would show it"
    )
    never = POINT["calibration"] | {"asked_rate": 0.0, "images_to_hold": None, "images_to_show": None}
    assert stated_text({"calibration": never}).endswith("9 normal images cannot show 0 %, and no number of them can")


def test_what_the_images_show_is_stated():
    enough = POINT["calibration"] | {"holds": True, "expected_rate": 0.0098, "at_most": 0.0293}
    assert stated_text({"calibration": enough}) == "1.0 % expected, at most 2.9 % false alarms with 95 % confidence"


def test_rows_name_parts_with_intervals():
    rows = decision_rows(POINT)
    assert list(rows) == ["false alarms", "misses", "calibrated on", "stated"]
    assert rows["false alarms"] == "0 of 9 (0 to 33.6 %) in selection, 2 of 9 (2.8 to 60.0 %) in report"
    assert rows["misses"] == "1 of 12 (0.2 to 38.5 %) in selection"
    assert rows["calibrated on"] == "9 normal images of the selection part, 0 of them above the threshold"
    folded = {"calibration": {"origin": "folds", "false_alarms": {"count": 0, "of": 36}}}
    assert calibrated_text(folded).startswith("36 train images, scored by models that had not seen them")


@pytest.mark.parametrize(
    ("rate", "text"),
    [(0, "0 %"), (1, "100 %"), (0.0005, "0.05 %"), (0.01, "1.0 %"), (0.3363, "33.6 %"), (1e-5, "0.001 %")],
)
def test_percentages(rate, text):
    assert percent(rate) == text


def test_a_share_without_its_interval():
    assert share_text({"count": 2, "of": 9, "low": 0.1, "high": 0.2}, interval=False) == share_text(
        {"count": 2, "of": 9}
    )
    assert share_text({}) == ""


def anything():
    leaf = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=5)
    )
    keys = st.sampled_from([*POINT, *POINT["calibration"], "misses", "count", "of", "low", "high"])
    return st.recursive(leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=6))


@given(st.dictionaries(st.sampled_from([*POINT]), anything()))
def test_whatever_a_stranger_wrote_gives_text(point):
    assert all(isinstance(text, str) and text for text in decision_rows(point).values())
