"""A detector in a person's hands: what it takes, what it says, and how it is kept."""

import copy
import dataclasses
from io import BytesIO

import numpy as np
import pytest
import torch
from helpers.predictions import same
from PIL import Image

from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE, Detector, choose_device
from kdzoo.errors import CheckpointError, ImageError, StorageError, UsageError
from kdzoo.pictures import LEGEND_HEIGHT, LEGEND_WIDTH

HEIGHT, WIDTH = 50, 70


def test_every_form_of_an_image_gives_the_same_numbers(detector, image, tmp_path):
    Image.fromarray(image).save(tmp_path / "part.png")
    channels_first = torch.from_numpy(image).permute(2, 0, 1)
    expected = detector.predict(image)
    for form in (
        tmp_path / "part.png",
        str(tmp_path / "part.png"),
        Image.fromarray(image),
        Image.fromarray(image).convert("RGBA"),
        channels_first,
        channels_first.contiguous(),
        channels_first.float() / 255,
        channels_first.double() / 255,
        (channels_first.float() / 255).requires_grad_(),
        np.ascontiguousarray(image[::-1])[::-1],
    ):
        same(detector.predict(form), expected)


def test_a_list_and_a_tuple_give_a_list_in_order(detector, image):
    dark = image // 2
    one, two = detector.predict(image), detector.predict(dark)
    for given_ in ([image, dark], (image, dark)):
        found = detector.predict(given_)
        assert [each.score for each in found] == pytest.approx([one.score, two.score], rel=1e-5)
        assert np.array_equal(found[0].image, image)
        assert np.array_equal(found[1].image, dark)
    assert detector.predict([]) == []


def test_batches_do_not_change_what_is_said(detector, image):
    images = [image, image // 2, 255 - image]
    small, large = (list(detector.predict_each(images, batch_size=size)) for size in (1, 3))
    assert [each.score for each in small] == pytest.approx([each.score for each in large], rel=1e-5)


def test_map_mask_and_overlay_have_the_images_own_size(detector, image):
    found = detector.predict(image)
    assert (found.anomaly_map.shape, found.anomaly_map.dtype) == ((HEIGHT, WIDTH), np.float32)
    assert (found.mask.shape, found.mask.dtype) == ((HEIGHT, WIDTH), np.bool_)
    assert found.overlay().size == (WIDTH, HEIGHT)
    assert np.array_equal(found.mask, found.anomaly_map > found.pixel_threshold)
    assert np.array_equal(found.image, image)


def test_a_normal_image_is_not_coloured_and_another_decision_changes_no_colour(detector, image):
    found = detector.predict(image)
    begin = detector.calibration.pixel_threshold()
    level = np.full_like(found.anomaly_map, begin)
    quiet = dataclasses.replace(found, anomaly_map=level, mask=level > found.pixel_threshold)
    assert np.array_equal(np.asarray(quiet.overlay()), image)
    loud = dataclasses.replace(found, anomaly_map=np.full_like(found.anomaly_map, found.heat_scale.full))
    assert (np.asarray(loud.overlay()) != image).any(axis=2).all()
    scale = detector.predict(image).heat_scale
    try:
        assert detector.set_threshold(false_positive_rate=0.5).predict(image).heat_scale == scale
    finally:
        detector.set_threshold(false_positive_rate=detector.calibration.false_positive_rate)
    assert found.score >= found.anomaly_map.max() - 1e-5


def test_regions_cover_the_mask_and_lie_in_the_images_own_pixels(detector, image):
    detector.pixel_threshold = float(np.quantile(detector.predict(image).anomaly_map, 0.9))
    found = detector.predict(image)
    assert sum(region.area for region in found.regions) == found.mask.sum() > 0
    assert [region.area for region in found.regions] == sorted((each.area for each in found.regions), reverse=True)
    left, top, right, bottom = found.regions[0].box
    assert found.regions[0].peak == found.anomaly_map[top:bottom, left:right].max()


def test_regions_below_the_least_area_are_not_marked_and_alone_do_not_alarm(detector, image):
    detector.set_threshold(0.0).pixel_threshold = float(np.quantile(detector.predict(image).anomaly_map, 0.9))
    whole = detector.predict(image)
    largest = whole.regions[0].area
    assert whole.anomalous
    kept = detector.set_regions(min_area=largest).predict(image)
    assert {region.area for region in kept.regions} == {largest}
    assert kept.anomalous
    none = detector.set_regions(min_area=largest + 1).predict(image)
    assert (none.regions, none.mask.any(), none.anomalous, none.score) == ((), False, False, whole.score)


def test_a_border_cannot_alarm(detector, image):
    whole = detector.predict(image)
    row, column = np.unravel_index(whole.anomaly_map.argmax(), whole.anomaly_map.shape)
    border = int(min(row, column, HEIGHT - 1 - row, WIDTH - 1 - column)) + 1
    if 2 * border >= HEIGHT:
        pytest.fail("the peak lies in the middle of this image: no border leaves it out")
    found = detector.set_regions(border=border).predict(image)
    inside = found.anomaly_map[border:-border, border:-border]
    assert np.array_equal(inside, whole.anomaly_map[border:-border, border:-border])
    edge = np.ones((HEIGHT, WIDTH), bool)
    edge[border:-border, border:-border] = False
    assert set(found.anomaly_map[edge].tolist()) == {inside.min()}
    assert found.score < whole.score


def test_a_border_wider_than_the_image_names_its_size(detector, image):
    with pytest.raises(
        ImageError, match=f"a border of {HEIGHT // 2} pixels leaves nothing of an image of {WIDTH}x{HEIGHT}"
    ):
        detector.set_regions(border=HEIGHT // 2).predict(image)


def test_the_decision_follows_the_threshold(detector, image):
    score = detector.predict(image).score
    assert detector.set_threshold(score).predict(image).anomalous is False
    assert detector.set_threshold(np.nextafter(score, -1)).predict(image).anomalous is True
    assert detector.predict(image).score == score


def test_a_rate_takes_its_thresholds_from_the_normal_images(detector):
    scores, peaks = detector.calibration.image_scores, detector.calibration.map_peaks
    assert (detector.threshold, detector.pixel_threshold) == (max(scores), max(peaks))
    assert detector.set_threshold(false_positive_rate=0.99) is detector
    assert (detector.threshold, detector.pixel_threshold) == (min(scores), min(peaks))


@pytest.mark.parametrize(
    "given_",
    [{}, {"threshold": 1.0, "false_positive_rate": 0.1}, {"false_positive_rate": 1.0}, {"threshold": float("nan")}],
)
def test_thresholds_that_cannot_be(detector, given_):
    before = detector.threshold
    with pytest.raises(UsageError):
        detector.set_threshold(**given_)
    assert detector.threshold == before


@pytest.mark.parametrize(
    "picture",
    [
        "nowhere.png",
        None,
        5,
        np.zeros((4, 4, 7), np.uint8),
        np.full((4, 4, 3), 2.0),
        torch.zeros(4, 4, 3),
        torch.zeros(1, 2, 4, 4),
        torch.zeros(1, 1, 3, 4, 4),
        b"no image",
        torch.full((3, 4, 4), float("nan")),
        torch.zeros(3, 4, 4, dtype=torch.int64),
    ],
    ids=str,
)
def test_what_is_no_image_is_an_image_error(detector, picture):
    with pytest.raises(ImageError):
        detector.predict(picture)


def test_a_brain_float_tensor_is_an_image_too(detector):
    assert detector.predict(torch.full((3, 8, 8), 0.5, dtype=torch.bfloat16)).image.max() == 128


def test_save_and_open_give_the_same_detector(detector, image, tmp_path):
    again = Detector.open(detector.save(tmp_path / "a" / "b"), device="cpu")
    same(again.predict(image), detector.predict(image))
    assert again.document == detector.document
    assert repr(again) == repr(detector)
    assert "rd/toy/bottle, protocol=holdout" in repr(again)
    assert sorted(file.name for file in (tmp_path / "a" / "b").iterdir()) == sorted(
        [DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE]
    )


def test_saving_twice_gives_the_same_bytes(detector, tmp_path):
    one, two = detector.save(tmp_path / "1"), Detector.open(detector.save(tmp_path / "2")).save(tmp_path / "3")
    for name in (DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE):
        assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_believed(detector, tmp_path, image, value):
    detector = Detector(copy.deepcopy(detector.method), detector.document)
    with torch.no_grad():
        next(detector.method.student.parameters()).fill_(value)
    with pytest.raises(CheckpointError, match=r"student.*holds NaN or infinite"):
        detector.save(tmp_path / "x")
    assert not (tmp_path / "x").exists()
    with pytest.raises(CheckpointError, match="scores that are NaN or infinite"):
        detector.predict(image)


def test_a_folder_that_cannot_be_written_is_a_storage_error(detector, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        detector.save(tmp_path / "file")


def test_a_device_that_is_not_there():
    with pytest.raises(UsageError, match="device 'nonsense' is not there"):
        choose_device("nonsense")
    with pytest.raises(UsageError, match="device 'cuda:99' is not there"):
        choose_device("cuda:99")


def test_a_wrong_device_is_not_blamed_on_the_document(saved):
    with pytest.raises(UsageError, match="device 'nonsense'"):
        Detector.open(saved, device="nonsense")


def test_bytes_gray_images_and_batches_are_judged_as_what_they_are(detector, image):
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    alone = detector.predict(image).score
    assert detector.predict(buffer.getvalue()).score == alone
    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)
    for batch in (np.stack([image, image]), torch.stack([tensor, tensor])):
        assert [found.score for found in detector.predict(batch)] == pytest.approx([alone, alone], rel=1e-4)
    gray = image[:, :, 1]
    expected = detector.predict(np.repeat(gray[:, :, None], 3, axis=2)).score
    plane = torch.from_numpy(gray.copy())
    for form in (gray, gray[:, :, None], plane, plane[None]):
        assert detector.predict(form).score == expected
    assert [found.score for found in detector.predict(plane[None, None])] == [expected]


def test_the_picture_has_a_legend_below_the_overlay(detector, image):
    found = detector.predict(image)
    whole, overlay = found.picture(), found.overlay()
    assert whole.size == (max(overlay.width, LEGEND_WIDTH), overlay.height + LEGEND_HEIGHT)
    assert np.array_equal(np.asarray(whole)[: overlay.height, : overlay.width], np.asarray(overlay))
    assert f"score {found.score:.4f}, threshold {found.threshold:.4f}" in found.verdict
