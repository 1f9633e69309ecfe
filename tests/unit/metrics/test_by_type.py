"""Metrics of each defect type: against the whole set's where there is one type, and by hand where there are two."""

import numpy as np
import pytest

from kdzoo.metrics.by_type import by_defect_type
from kdzoo.metrics.maps import LazyImages
from kdzoo.metrics.report import evaluate


@pytest.fixture
def images():
    """Two normal images and two defects each of two types: dents are found, scratches are not."""
    dice = np.random.default_rng(0)
    maps = dice.random((6, 8, 8)).astype(np.float32)
    masks = np.zeros((6, 8, 8), np.uint8)
    masks[2:, 2:4, 2:5] = 1
    maps[2:4, 2:4, 2:5] += 2
    labels = np.array([0, 0, 1, 1, 1, 1])
    scores = np.array([0.2, 0.4, 0.9, 0.8, 0.3, 0.1], np.float32)
    return maps, masks, scores, labels, ("good", "good", "dent", "dent", "scratch", "scratch")


def test_each_type_has_its_own(images):
    found = by_defect_type(*images, threshold=0.5, fpr_limit=0.3)
    assert list(found) == ["dent", "scratch"]
    assert found["dent"]["image_auroc"] == 1.0
    assert found["scratch"]["image_auroc"] == 0.25
    assert [(row["misses"]["count"], row["misses"]["of"]) for row in found.values()] == [(0, 2), (2, 2)]
    assert found["dent"]["pixel_ap"] == 1.0 > found["scratch"]["pixel_ap"]
    assert all(row["images"] == 2 for row in found.values())


def test_one_type_is_what_the_report_says(images):
    maps, masks, scores, labels, _ = images
    report = evaluate(maps, masks, scores, labels)
    (row,) = by_defect_type(
        maps, masks, scores, labels, ["good"] * 2 + ["odd"] * 4, threshold=0.5, fpr_limit=0.3
    ).values()
    assert (row["image_auroc"], row["image_ap"]) == (report.image_auroc, report.image_ap)
    own = evaluate(maps[2:], masks[2:], scores[2:], labels[2:])
    assert (row["pixel_ap"], row["aupro"]) == (own.pixel_ap, own.aupro)


def test_without_masks_there_are_no_metrics_of_pixels(images):
    maps, _, *rest = images
    found = by_defect_type(maps, None, *rest, threshold=0.5, fpr_limit=0.3)
    assert set(found["dent"]) == {"images", "image_auroc", "image_ap", "misses"}


def test_without_normal_images_what_is_found_is_counted_all_the_same(images):
    maps, masks, scores, labels, kinds = (each[2:] for each in images)
    found = by_defect_type(maps, masks, scores, labels, kinds, threshold=0.5, fpr_limit=0.3)
    assert "image_auroc" not in found["dent"]
    assert found["scratch"]["misses"]["count"] == 2


def test_images_of_many_sizes_and_what_counts_of_them(images):
    maps, masks, *rest = images
    inside = np.ones((6, 8, 8), bool)
    inside[:, :, 6:] = False
    lazy = by_defect_type(
        LazyImages(lambda number: maps[number], 6), LazyImages(lambda number: masks[number], 6), *rest,
        threshold=0.5, fpr_limit=0.3, inside=LazyImages(lambda number: inside[number], 6),
    )  # fmt: skip
    assert lazy == by_defect_type(maps, masks, *rest, threshold=0.5, fpr_limit=0.3, inside=inside)
    assert lazy == by_defect_type(maps, masks, *rest, threshold=0.5, fpr_limit=0.3, inside=inside[0])
