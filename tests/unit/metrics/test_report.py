import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from kdzoo.errors import ConfigError, NonFiniteLossError, UsageError
from kdzoo.metrics import METRIC_NAMES, OBJECTIVES, ImageScores, evaluate

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics.npz"


@pytest.mark.parametrize("limit", [0.3, 0.05])
def test_report_equals_the_reference_numbers(limit):
    golden = np.load(GOLDEN)
    maps, masks = golden["maps"], golden["masks"]
    report = evaluate(maps, masks, maps.max((1, 2)), masks.any((1, 2)).astype(int), fpr_limit=limit)
    for name, value in report.as_dict("").items():
        expected = golden[f"aupro_{limit}" if name == "aupro" else name]
        assert value == pytest.approx(float(expected), abs=1e-9), name
    assert tuple(report.as_dict("")) == METRIC_NAMES
    assert (report.images, report.pixels, report.undefined) == (16, 16 * 96 * 96, ())


def test_image_metrics_by_hand():
    scores = ImageScores(scores=np.array([0.9, 0.8, 0.7, 0.1]), labels=np.array([1, 0, 1, 0]))
    assert scores.image_auroc() == 0.75
    assert scores.image_ap() == pytest.approx(1 / 2 + 1 / 2 * 2 / 3)
    assert scores.image_f1_max() == pytest.approx(0.8)


@given(st.lists(st.tuples(st.sampled_from([-1.5, -0.0, 0.0, 0.25, 3.0]), st.booleans()), min_size=1, max_size=12))
def test_image_metrics_equal_scikit_learn_on_tied_scores(images):
    scores, truth = (np.array(each) for each in zip(*images, strict=True))
    found = ImageScores(scores=scores, labels=truth)
    if truth.all() or not truth.any():
        assert (found.image_auroc(), found.image_ap(), found.image_f1_max()) == (None,) * 3
        return
    precision, recall, _ = precision_recall_curve(truth, scores)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    assert found.image_auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert found.image_ap() == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert found.image_f1_max() == pytest.approx(f1.max(), abs=1e-12)


def test_f1_of_scores_in_the_worst_order_has_no_division_by_zero():
    with np.errstate(all="raise"):
        worst = ImageScores(scores=np.array([0.1, 0.9, 0.8]), labels=np.array([1, 0, 0])).image_f1_max()
    assert worst == pytest.approx(0.5)  # one hit with two false alarms: 2 * 1 / (3 + 1)


def test_a_set_without_masks_has_image_metrics_and_says_why_no_others():
    report = evaluate(np.zeros((2, 3, 3)), None, np.array([0.0, 1.0]), np.array([0, 1]))
    assert report.as_dict() == {"test_image_auroc": 1.0, "test_image_ap": 1.0, "test_image_f1_max": 1.0}
    assert dict(report.undefined) == dict.fromkeys(METRIC_NAMES[3:], "the data set has no pixel masks")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [([0, 0], "no image is anomalous"), ([1, 1], "no image is normal"), ([], "there are no images")],
)
def test_one_class_alone_gives_a_report_without_values(labels, reason):
    count = len(labels)
    masks = np.zeros((count, 2, 2))
    report = evaluate(np.ones((count, 2, 2)), masks, np.arange(count), np.array(labels))
    assert report.as_dict() == {}
    assert dict(report.undefined)["image_auroc"] == reason
    assert {name for name, _ in report.undefined} == set(METRIC_NAMES)
    assert (report.images, report.anomalous_images) == (count, sum(labels))


def test_constant_maps_are_chance():
    masks = np.zeros((2, 4, 4))
    masks[1, :2] = 1
    report = evaluate(np.full((2, 4, 4), 7.0), masks, np.array([7.0, 7.0]), np.array([0, 1]))
    assert (report.image_auroc, report.pixel_auroc, report.pixel_ap) == (0.5, 0.5, 0.25)
    assert report.aupro == pytest.approx(0.15)


def test_prefix_names_the_part_measured():
    report = evaluate(np.zeros((2, 1, 1)), None, np.array([0.0, 1.0]), np.array([0, 1]))
    assert set(report.as_dict("val_")) == {"val_image_auroc", "val_image_ap", "val_image_f1_max"}


def test_every_metric_may_be_an_objective_and_is_a_field_of_the_frozen_report():
    report = evaluate(np.zeros((2, 1, 1)), None, np.array([0.0, 1.0]), np.array([0, 1]))
    assert set(OBJECTIVES) <= {field.name for field in dataclasses.fields(report)}
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.aupro = 1.0


@pytest.mark.parametrize(
    ("maps", "scores", "labels", "error", "words"),
    [
        (np.zeros((2, 1, 1)), [0.0], [1], UsageError, "2 anomaly maps, but 1"),
        (np.zeros((2, 1, 1)), [0.0, 1.0], [0], UsageError, r"\(2,\)"),
        (np.zeros((2, 1, 1)), [0.0, 1.0], [0, 2], UsageError, "0 .normal. or 1"),
        (np.zeros((2, 1, 1)), [0.0, np.nan], [0, 1], NonFiniteLossError, "image 1 is nan"),
        (np.full((2, 1, 1), np.inf), [0.0, 1.0], [0, 1], NonFiniteLossError, "image 0"),
    ],
)
def test_bad_input_is_named(maps, scores, labels, error, words):
    with pytest.raises(error, match=words):
        evaluate(maps, None, np.array(scores), np.array(labels))


def test_bad_limit_is_refused_even_without_masks():
    with pytest.raises(ConfigError, match="fpr_limit"):
        evaluate(np.zeros((0, 1, 1)), None, np.zeros(0), np.zeros(0), fpr_limit=30)


def test_the_names_are_light():
    check = "import sys, kdzoo.metrics as m; m.METRIC_NAMES; sys.exit(bool({'scipy', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
    check = "import sys, kdzoo.tracking.leaderboard; sys.exit(bool({'mlflow', 'sklearn'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
