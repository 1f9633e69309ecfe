"""Scores of single images in the document: to the bit, and a stranger's are refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.training.kept_scores import MOST_KEPT, KeptScores

GOOD = {"images": "ab", "labels": "010", "scores": [1.0, 2.5, 3]}


@given(st.lists(st.tuples(st.floats(width=32, allow_nan=False, allow_infinity=False), st.integers(0, 1)), max_size=20))
def test_they_come_back_to_the_bit(pairs):
    scores, labels = (
        np.array([score for score, _ in pairs], np.float32),
        np.array([label for _, label in pairs], np.int64),
    )
    kept = KeptScores.of([f"{number}.png" for number in range(len(pairs))], labels, scores)
    found = KeptScores.find(json.loads(json.dumps({"scores": {"report": kept.as_dict()}})), "report")
    assert found.images == kept.images
    assert np.array_equal(found.scores, kept.scores) and np.array_equal(found.labels, labels)


def test_other_names_or_another_order_are_other_images():
    labels, scores = np.zeros(2, np.int64), np.zeros(2, np.float32)
    digests = {KeptScores.of(names, labels, scores).images for names in (["a", "b"], ["b", "a"], ["a", "c"])}
    assert len(digests) == 3


def test_of_too_many_images_nothing_is_kept():
    count = MOST_KEPT + 1
    assert KeptScores.of([""] * count, np.zeros(count, np.int64), np.zeros(count, np.float32)).as_dict() is None


@pytest.mark.parametrize(
    "part",
    [
        None, [], {}, GOOD | {"images": 1}, GOOD | {"labels": "01"}, GOOD | {"labels": "012"},
        GOOD | {"labels": [0, 1, 0]}, GOOD | {"scores": "123"}, GOOD | {"scores": [1, 2, True]},
        GOOD | {"scores": [1, 2, None]},
        GOOD | {"scores": [1, 2, 10**400]}, GOOD | {"scores": [1, 2, 1e300]},
    ],
)  # fmt: skip
def test_what_a_stranger_wrote_is_not_used(part):
    assert KeptScores.find({"scores": {"report": part}}, "report") is None
    assert KeptScores.find({"scores": part}, "report") is None


def test_what_is_good_is_found():
    assert KeptScores.find({"scores": {"report": GOOD}}, "report").labels.tolist() == [0, 1, 0]
    assert KeptScores.find({"scores": {"report": GOOD}}, "selection") is None
    assert KeptScores.find({}, "report") is None
