"""The best epoch: by the objective, then pixel AP or AUPRO, then the later."""

import pytest
import torch

from kdzoo.errors import ConfigError
from kdzoo.metrics.report import Report
from kdzoo.training.best import BestEpoch

NOTHING = dict.fromkeys(("image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro"))


def report(image_auroc, **metrics):
    values = NOTHING | metrics
    return Report(image_auroc=image_auroc, **values, fpr_limit=0.3, images=4, anomalous_images=2, pixels=64)


def best_of(*reports, objective="image_auroc"):
    best = BestEpoch()
    for epoch, each in enumerate(reports, start=1):
        best.offer(each, objective, epoch, {"w": torch.tensor([float(epoch)])})
    assert best.weights["w"].tolist() == [float(best.epoch)]
    return best


@pytest.mark.parametrize(
    ("reports", "epoch"),
    [
        ([report(0.5), report(0.7), report(0.6)], 2),
        ([report(0.7), report(0.7), report(0.6)], 2),
        ([report(0.7, pixel_ap=0.3), report(0.7, pixel_ap=0.2)], 1),
        ([report(0.7, pixel_ap=0.3, aupro=0.1), report(0.7, pixel_ap=0.3, aupro=0.0)], 2),
        ([report(0.7, aupro=0.3), report(0.7, aupro=0.2)], 1),
        ([report(0.7, pixel_ap=0.1), report(0.6, pixel_ap=0.9)], 1),
        ([report(0.7, pixel_ap=0.9), report(0.8, pixel_ap=0.1)], 2),
        ([report(0.0), report(0.0)], 2),
    ],
)
def test_which_epoch_is_best(reports, epoch):
    best = best_of(*reports)
    assert best.epoch == epoch
    assert best.objective == reports[epoch - 1].image_auroc
    assert best.metrics == reports[epoch - 1].as_dict("")


def test_aupro_decides_where_pixel_ap_is_the_objective():
    reports = [report(0.9, pixel_ap=0.5, aupro=0.8), report(1.0, pixel_ap=0.5, aupro=0.7)]
    assert best_of(*reports, objective="pixel_ap").epoch == 1


def test_the_weights_are_a_copy():
    best, weight = BestEpoch(), torch.zeros(2)
    best.offer(report(0.5), "image_auroc", 1, {"w": weight})
    weight += 1
    assert best.weights["w"].tolist() == [0.0, 0.0]


def test_an_objective_that_is_not_defined():
    with pytest.raises(ConfigError, match="'pixel_ap' cannot be measured"):
        BestEpoch().offer(report(0.5), "pixel_ap", 1, {})
