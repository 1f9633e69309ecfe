"""A detector of images that keep the ratio of their sides: maps, borders and regions in the image's own pixels."""

import copy

import numpy as np
import pytest
import torch
from helpers.trials import small_trial

from kdzoo.data.roi import Roi
from kdzoo.detector import Detector
from kdzoo.training.outcome import conclude

HEIGHT, WIDTH = 32, 96
TOP, LEFT = 21, 0
"""Of the image in its square of 64, of which it has 21 rows."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd", resize="pad", epochs=1)
    trainer.run()
    return conclude(trainer)


@pytest.fixture
def detector(outcome):
    """Maps are what a test puts into ``drawn``; a pixel above 0.5 is marked."""
    made = Detector(copy.deepcopy(outcome.method), outcome.document, device="cpu")
    made.drawn = torch.zeros(64, 64)
    made.method.anomaly_map = lambda images: made.drawn.expand(len(images), -1, -1).clone()
    made.threshold = made.pixel_threshold = 0.5
    return made


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def test_the_padding_of_a_map_never_alarms(detector, image):
    detector.drawn[:TOP], detector.drawn[TOP + 21 :] = 9.0, 9.0
    found = detector.predict(image)
    assert (found.score, found.anomalous, found.mask.any(), found.regions) == (0.0, False, False, ())
    assert found.anomaly_map.shape == (HEIGHT, WIDTH) and not found.anomaly_map.any()
    tall = detector.predict(image.transpose(1, 0, 2))
    assert tall.score == 9.0 and tall.mask[:30].all() and tall.mask[-30:].all() and not tall.mask[34:60].any()


def test_all_of_the_map_that_is_the_image_covers_all_of_the_image(detector, image):
    detector.drawn[TOP : TOP + 21] = 9.0
    found = detector.predict(image)
    assert found.mask.all() and found.regions[0].box == (0, 0, WIDTH, HEIGHT)


def test_a_region_lies_where_it_lies_in_the_image(detector, image):
    """Rows 7 to 13 and columns 32 to 47 of 21 x 64: two thirds of a pixel each, so 11 to 21 and 48 to 71."""
    detector.drawn[TOP + 7 : TOP + 14, 32:48] = 1.0
    (region,) = detector.predict(image).regions
    left, top, right, bottom = region.box
    assert (left, top, right, bottom) == pytest.approx((48, 7 * 32 / 21, 72, 14 * 32 / 21), abs=1)
    assert region.centroid == pytest.approx((60, 16), abs=0.5)
    assert region.share == region.area / (HEIGHT * WIDTH)


def test_a_border_is_one_of_the_image(detector, image):
    detector.drawn[:] = 1.0
    detector.drawn[TOP + 10, 32] = 0.0
    found = detector.set_regions(border=8).predict(image)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[8:-8, 8:-8] = True
    assert not found.mask[~inside].any()
    assert found.mask[inside].mean() > 0.9
    detector.drawn[:] = 0.0
    detector.drawn[TOP : TOP + 5] = detector.drawn[TOP + 16 : TOP + 21] = 1.0  # 7.6 of 32 pixels at top and bottom
    assert detector.predict(image).score == 0.0


def test_a_region_of_interest_is_one_of_the_image(detector, image):
    detector.drawn[:] = 1.0
    detector.drawn[TOP + 2, 4] = 0.0
    upper_left = Roi(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)),))
    found = detector.set_roi(upper_left).predict(image)
    assert not found.mask[16:].any() and not found.mask[:, 48:].any()
    assert found.mask[:16, :48].mean() > 0.9
    detector.drawn[:] = 0.0
    detector.drawn[TOP + 12 :] = 1.0
    assert detector.predict(image).score == 0.0


def test_nothing_is_marked_beside_a_region_of_interest_that_is_anomalous_all_over(detector, image):
    detector.drawn[:] = 1.0
    found = detector.set_roi(Roi(polygons=(((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),))).predict(image)
    assert found.mask[:, 48:].all() and not found.mask[:, :48].any()
    found = detector.set_roi(None).set_regions(border=4).predict(image)
    assert [region.box for region in found.regions] == [(4, 4, WIDTH - 4, HEIGHT - 4)]


def test_small_regions_are_counted_in_pixels_of_the_image(detector, image):
    detector.drawn[TOP + 7 : TOP + 14, 32:48] = 1.0
    area = detector.predict(image).regions[0].area
    assert area == pytest.approx(7 * 16 * (96 / 64) ** 2, rel=0.1)
    assert detector.set_regions(min_area=area).predict(image).anomalous
    assert not detector.set_regions(min_area=area + 1).predict(image).anomalous


def test_images_of_several_shapes_in_one_batch(detector, image):
    pictures = [image, image.transpose(1, 0, 2), image[:, :32]]
    together = detector.predict(pictures)
    for found, picture in zip(together, pictures, strict=True):
        alone = detector.predict(picture)
        assert found.anomaly_map.shape == picture.shape[:2]
        assert np.array_equal(found.anomaly_map, alone.anomaly_map)
        assert found.overlay().size == picture.shape[1::-1]


def test_a_square_image_is_seen_as_by_a_detector_that_stretches(outcome):
    stretched = copy.deepcopy(outcome.document)
    stretched["input"]["resize"] = "bilinear-antialiased-square"
    square = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    one, other = (
        Detector(outcome.method, each, device="cpu").predict(square) for each in (outcome.document, stretched)
    )
    assert one.score == other.score and np.array_equal(one.anomaly_map, other.anomaly_map)


def test_what_counts_is_made_once_for_images_of_one_shape(detector, image, monkeypatch):
    """A polygon at the size of a camera's image takes longer than the network."""
    made = []
    inside = Roi.inside
    monkeypatch.setattr(Roi, "inside", lambda roi, *shape: made.append(shape) or inside(roi, *shape))
    upper_left = Roi(polygons=(((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.0, 0.5)),))
    first = detector.set_roi(upper_left).predict(image)
    again = detector.predict([image, image])
    assert made == [(21, 64), (HEIGHT, WIDTH)]
    assert all(np.array_equal(each.anomaly_map, first.anomaly_map) for each in again)
    detector.drawn[:] = 1.0
    detector.drawn[TOP + 8, 16] = 0.0
    assert not detector.set_regions(border=8).predict(image).mask[:8].any(), "another rule"
    assert detector.set_regions().set_roi(None).predict(image).mask[-8:].all(), "another region"
    shapes = [image[:, :width] for width in (96, 64, 48, 40, 32)]
    detector.set_roi(upper_left).predict([*shapes, *shapes])
    assert len(detector._known) <= 4
