"""Two detectors on the same images: told apart where they differ, and not where they do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.errors import UsageError
from kdzoo.metrics import comparison
from kdzoo.metrics.comparison import COMPARED, _drawn, paired_difference
from kdzoo.metrics.image import ImageScores


def images(normals, defects, *, seed, noise, lift=2.0):
    """Labels, and the scores of a detector that sees the same defects with some noise of its own."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [normals, defects])
    shared = generator.normal(size=len(labels)) + lift * labels
    return labels, lambda own: shared + noise * np.random.default_rng(own).normal(size=len(labels))


@pytest.mark.parametrize("metric", COMPARED)
def test_the_difference_is_that_of_the_metrics(metric):
    labels, scored = images(20, 15, seed=0, noise=1.0)
    ours, theirs = scored(1), scored(2)
    found = paired_difference(metric, ours, theirs, labels, draws=50)
    values = [getattr(ImageScores(scores=scores, labels=labels), metric)() for scores in (ours, theirs)]
    assert found.value == pytest.approx(values[0] - values[1])
    assert found.low <= found.high and found.images == 35


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    normals=st.integers(1, 12),
    defects=st.integers(1, 12),
    levels=st.integers(1, 8),
)
def test_draws_by_counts_are_the_metrics_of_the_drawn_images(seed, normals, defects, levels):
    """Ties included: scores are of a few levels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [normals, defects])
    scores = generator.integers(0, levels, len(labels)).astype(float)
    classes = [np.flatnonzero(labels == each) for each in (0, 1)]
    drawn = [np.concatenate([generator.choice(each, len(each)) for each in classes]) for _ in range(4)]
    counts = np.stack([np.bincount(each, minlength=len(labels)) for each in drawn]).astype(float)
    for metric in COMPARED:
        expected = [getattr(ImageScores(scores=scores[each], labels=labels[each]), metric)() for each in drawn]
        assert _drawn(metric, scores, labels, counts).tolist() == pytest.approx(expected)


def test_many_images_are_drawn_a_few_at_a_time(monkeypatch):
    labels, scored = images(30, 30, seed=1, noise=1.0)
    whole = paired_difference("image_ap", scored(1), scored(2), labels, draws=400)
    monkeypatch.setattr(comparison, "_CELLS", 60 * 7)
    parts = paired_difference("image_ap", scored(1), scored(2), labels, draws=400)
    assert parts.value == whole.value
    assert (parts.low, parts.high) == pytest.approx((whole.low, whole.high), abs=0.03)


def test_the_same_scores_differ_by_nothing_and_the_draws_repeat():
    labels, scored = images(9, 12, seed=0, noise=1.0)
    ours, theirs = scored(1), scored(2)
    same = paired_difference("image_auroc", ours, ours, labels, draws=50)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    there, back = (
        paired_difference("image_auroc", *pair, labels, draws=200) for pair in ((ours, theirs), (theirs, ours))
    )
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert there == paired_difference("image_auroc", ours, theirs, labels, draws=200)


def test_detectors_that_are_alike_are_seldom_told_apart():
    """Of 200 pairs of equal detectors, few would replace a champion: at most 2.5 % and what chance adds."""
    told = 0
    for seed in range(200):
        labels, scored = images(40, 40, seed=seed, noise=1.0)
        told += paired_difference("image_auroc", scored(seed + 1000), scored(seed + 2000), labels, draws=200).low > 0
    assert told <= 12, "more than 12 of 200 at 2.5 % happens once in 300"


def test_a_detector_that_is_much_better_is_told_apart_by_many_images_and_not_by_few():
    for count, told in ((6, False), (200, True)):
        labels, scored = images(count, count, seed=3, noise=0.0)
        theirs = images(count, count, seed=3, noise=3.0)[1](5)
        found = paired_difference("image_auroc", scored(0), theirs, labels, draws=300)
        assert found.value > 0 and (found.low > 0) == told


def test_a_single_image_tells_nothing():
    """One defect that the champion misses: a draw without it, and both are alike."""
    labels = np.repeat([0, 1], [9, 12])
    ours, theirs = labels.astype(float), labels.astype(float)
    theirs[-1] = -1
    found = paired_difference("image_auroc", ours, theirs, labels)
    assert found.value == pytest.approx(1 / 12) and found.low == 0.0


@pytest.mark.parametrize(
    ("metric", "labels", "said"),
    [
        ("pixel_ap", [0, 1], "single|one score"),
        ("image_auroc", [0, 0], "normal and anomalous"),
        ("image_auroc", [0], "2 and 2"),
    ],
)
def test_what_cannot_be_compared(metric, labels, said):
    with pytest.raises(UsageError, match=said):
        paired_difference(metric, np.zeros(2), np.zeros(2), np.array(labels))
