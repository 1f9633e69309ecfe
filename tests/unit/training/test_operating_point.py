"""The operating point in the document: what a recount gives, and what a tracker is told of it."""

import numpy as np
import pytest
from helpers.trials import small_trial

from kdzoo.metrics.binomial import interval, upper_bound
from kdzoo.training.evaluation import score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.operating_point import as_metrics
from kdzoo.training.outcome import conclude


@pytest.fixture(scope="module")
def concluded(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd", epochs=1)
    trainer.step()
    return trainer, conclude(trainer)


def test_the_counts_are_those_of_a_recount(concluded):
    trainer, outcome = concluded
    point = outcome.document["operating_point"]
    assert point["threshold"] == outcome.document["calibration"]["threshold"]
    for part, truth in (("selection", trainer.data.selection), ("report", trainer.data.report)):
        scores = score_images(outcome.method, ImageSource(truth.images, trainer.device)).scores
        for kind, label in (("false_alarms", 0), ("misses", 1)):
            wrong = (scores.astype(np.float64) > point["threshold"]) == (label == 0)
            count, of = int((wrong & (truth.labels == label)).sum()), int((truth.labels == label).sum())
            low, high = interval(count, of)
            assert point[part][kind] == {"count": count, "of": of, "low": low, "high": high}


def test_what_is_stated_is_no_more_than_the_images_show(concluded):
    trainer, outcome = concluded
    stated = outcome.document["operating_point"]["calibration"]
    normal = int((trainer.data.selection.labels == 0).sum())
    assert (stated["origin"], stated["false_alarms"]["count"], stated["false_alarms"]["of"]) == ("selection", 0, normal)
    assert (stated["holds"], stated["asked_rate"], stated["expected_rate"]) == (False, 0.01, 1 / (normal + 1))
    assert stated["at_most"] == upper_bound(0, normal)
    assert "folds" not in stated


def test_a_tracker_is_told_counts_rates_and_intervals(concluded):
    point = concluded[1].document["operating_point"]
    told = as_metrics(point)
    share = point["report"]["misses"]
    assert told["test_misses"] == share["count"] and told["test_defective_images"] == share["of"]
    assert told["test_miss_rate"] == share["count"] / share["of"]
    assert (told["test_miss_rate_low"], told["test_miss_rate_high"]) == (share["low"], share["high"])
    assert told["calibration_at_most"] == point["calibration"]["at_most"]
    assert told["calibration_normal_images"] == told["val_normal_images"]
    assert not {name for name in told if name.startswith("calibration_") and "miss" in name}
    assert as_metrics({}) == {}
