"""A detector in a person's hands: what it takes, what it says, and what it does with files it should not trust."""

import copy
import dataclasses
import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import torch
from helpers.trials import small_trial
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kdzoo import rebuilding
from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE, Detector, choose_device
from kdzoo.errors import CheckpointError, ImageError, KdzooError, StorageError, UsageError
from kdzoo.training.document import read_document
from kdzoo.training.outcome import conclude

HEIGHT, WIDTH = 50, 70


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    trainer = small_trial(tmp_path_factory.mktemp("trial"), "rd")
    trainer.run()
    return conclude(trainer)


@pytest.fixture
def detector(outcome):
    return Detector(outcome.method, copy.deepcopy(outcome.document), device="cpu")


@pytest.fixture(scope="module")
def saved(outcome, tmp_path_factory):
    return Detector(outcome.method, outcome.document).save(tmp_path_factory.mktemp("saved") / "detector")


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that may be damaged."""
    return shutil.copytree(saved, tmp_path / "detector")


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def same(one, other):
    assert (one.score, one.anomalous, one.threshold) == (other.score, other.anomalous, other.threshold)
    assert np.array_equal(one.anomaly_map, other.anomaly_map)
    assert np.array_equal(one.mask, other.mask)
    assert np.array_equal(one.image, other.image)


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
        torch.zeros(1, 3, 4, 4),
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


def test_no_detector_there(tmp_path):
    with pytest.raises(StorageError, match="there is no detector at"):
        Detector.open(tmp_path)


def test_another_teacher_is_refused(folder):
    data = bytearray((folder / TEACHER_FILE).read_bytes())
    data[-1] ^= 1
    (folder / TEACHER_FILE).write_bytes(data)
    with pytest.raises(CheckpointError, match="is not the teacher that the document names by its digest"):
        Detector.open(folder)


def test_weights_of_another_detector_are_refused(folder, outcome, tmp_path):
    named = json.loads((folder / DOCUMENT_FILE).read_bytes())["weights"]["sha256"]
    assert named == hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    other = copy.deepcopy(outcome.method)
    with torch.no_grad():
        next(parameter for parameter in other.parameters() if parameter.requires_grad).add_(0.5)
    elsewhere = Detector(other, outcome.document, device="cpu").save(tmp_path / "other")
    assert Detector.open(elsewhere, device="cpu").document["weights"]["sha256"] != named
    shutil.copy(elsewhere / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    with pytest.raises(CheckpointError, match="does not hold the weights that the document names"):
        Detector.open(folder)


def test_a_document_of_before_names_no_weights_and_loads(folder, saved, image):
    document = json.loads((folder / DOCUMENT_FILE).read_bytes())
    del document["weights"]
    (folder / DOCUMENT_FILE).write_text(json.dumps(document))
    same(Detector.open(folder).predict(image), Detector.open(saved).predict(image))
    assert "weights" not in json.loads((Detector.open(folder).save(folder) / DOCUMENT_FILE).read_bytes())


@pytest.mark.parametrize("weights", [None, "x", {}, {"sha256": 3}, {"sha256": "abc"}, {"sha256": "A" * 64}])
def test_a_digest_that_is_none(folder, weights):
    document = json.loads((folder / DOCUMENT_FILE).read_bytes()) | {"weights": weights}
    (folder / DOCUMENT_FILE).write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match="weights"):
        Detector.open(folder)


@pytest.mark.parametrize("name", [TEACHER_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(KdzooError, match=name):
        Detector.open(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{",
        "\xff",
        '{"schema": NaN}',
        '{"a": Infinity}',
        "[" * 100_000,
        '{"a": ' + "9" * 5000 + "}",
        '{"a": 1e400}',
    ],
    ids=lambda text: text[:12],
)
def test_documents_that_are_none(folder, text):
    (folder / DOCUMENT_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError):
        Detector.open(folder)


def test_a_document_that_is_no_plain_file_is_not_waited_for(folder):
    (folder / DOCUMENT_FILE).unlink()
    os.mkfifo(folder / DOCUMENT_FILE)
    with pytest.raises(StorageError, match="not a plain file"):
        Detector.open(folder)


def test_a_document_of_many_megabytes_is_not_read(folder):
    with (folder / DOCUMENT_FILE).open("r+b") as file:
        file.truncate(2**30)
    with pytest.raises(CheckpointError, match="too large"):
        Detector.open(folder)


def test_a_document_of_a_later_kdzoo(outcome):
    with pytest.raises(CheckpointError, match="is of schema 'kdzoo-detector/2'") as caught:
        Detector(outcome.method, outcome.document | {"schema": "kdzoo-detector/2"})
    assert caught.value.hint == "update kdzoo"


NEEDED = [
    "schema", "method", "config", "protocol",
    "teacher", "teacher.architecture", "teacher.source", "teacher.sha256", "teacher.mean", "teacher.std",
    "input", "input.size", "dataset", "dataset.name", "dataset.category",
    "calibration", "calibration.image_scores", "calibration.map_peaks", "calibration.false_positive_rate",
]  # fmt: skip


def changed(document, key, value=None, *, remove=False):
    document = copy.deepcopy(document)
    *parents, last = key.split(".")
    inner = document
    for parent in parents:
        inner = inner[parent]
    if remove:
        del inner[last]
    else:
        inner[last] = value
    return document


@pytest.mark.parametrize("key", NEEDED)
def test_a_missing_key_is_named(saved, outcome, key):
    document = changed(outcome.document, key, remove=True)
    with pytest.raises(CheckpointError, match=f"'({key}|{key}\\..*|{key.rpartition('.')[2]})'"):
        Detector.from_files(document, saved / WEIGHTS_FILE, saved / TEACHER_FILE)


FREE_TEXT = {"protocol", "dataset.name", "dataset.category", "teacher.source"}
OTHER_KINDS = [
    (key, value)
    for key in NEEDED
    for value in (None, True, -1, "", "x", [], {}, [None], 10**30)
    if not (isinstance(value, str) and key in FREE_TEXT) and (key, value) != ("config", {})
]


@pytest.mark.parametrize(("key", "value"), OTHER_KINDS, ids=str)
def test_a_value_of_another_kind_is_refused(saved, outcome, key, value):
    with pytest.raises(CheckpointError):
        Detector.from_files(changed(outcome.document, key, value), saved / WEIGHTS_FILE, saved / TEACHER_FILE)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("input.size", 0),
        ("input.size", 65),
        ("input.size", 2**40),
        ("input.size", 64.5),
        ("teacher.mean", [0.1, 0.2]),
        ("teacher.mean", [0.1, 0.2, "0.3"]),
        ("teacher.mean", [0, 0, float("nan")]),
        ("teacher.std", [1.0, 1.0, 0.0]),
        ("teacher.std", [1.0, 1.0, 1e300]),
        ("teacher.sha256", "AB" * 32),
        ("teacher.architecture", "resnet34"),
        ("teacher.architecture", "vit_tiny_patch16_224"),
        ("teacher.architecture", "../../etc/passwd"),
        ("teacher.architecture", "hf-hub:someone/something"),
        ("method", "aand"),
        ("method", "nothing"),
        ("config", {"widht": 1}),
        ("config", {"width": 10**400}),
        ("config", {"width": 0.5}),
        ("calibration.image_scores", [float("nan")]),
        ("calibration.false_positive_rate", 1.0),
    ],
)
def test_a_value_that_does_not_fit_is_refused(saved, outcome, key, value):
    with pytest.raises(CheckpointError):
        Detector.from_files(changed(outcome.document, key, value), saved / WEIGHTS_FILE, saved / TEACHER_FILE)


def paths(value, prefix=()):
    """Every place in a JSON value."""
    yield prefix
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths(inner, (*prefix, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value[:3]):
            yield from paths(inner, (*prefix, position))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def mutated(document, data):
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from([each for each in paths(document) if each]))
        inner = document
        for part in place[:-1]:
            inner = inner[part]
        if data.draw(st.booleans()):
            inner[place[-1]] = data.draw(json_values)
        else:
            del inner[place[-1]]
        if not document:
            break
    return document


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_document_makes_a_detector_that_works_or_a_kdzoo_error(outcome, image, data):
    try:
        detector = Detector(outcome.method, mutated(outcome.document, data), device="cpu")
        repr(detector)
        if detector.size <= 128:
            detector.predict(image).overlay()
    except KdzooError as error:
        assert error.message


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_document_on_disk_opens_or_is_a_kdzoo_error(saved, outcome, tmp_path_factory, data):
    document = mutated({key: outcome.document[key] for key in ("config", "teacher", "method")}, data)
    path = tmp_path_factory.getbasetemp() / "mutated.json"
    path.write_text(json.dumps(outcome.document | document))
    try:
        Detector.from_files(read_document(path), saved / WEIGHTS_FILE, saved / TEACHER_FILE, device="cpu")
    except KdzooError as error:
        assert error.message


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_damaged_weights_open_finite_or_are_a_kdzoo_error(saved, outcome, tmp_path_factory, data):
    content = bytearray((saved / WEIGHTS_FILE).read_bytes())
    header = int.from_bytes(content[:8], "little")
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            content[data.draw(st.integers(0, header + 200))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    path.write_bytes(content)
    earlier = {
        key: value for key, value in outcome.document.items() if key != "weights"
    }  # no digest stands before them
    try:
        made = Detector.from_files(earlier, path, saved / TEACHER_FILE, device="cpu")
    except KdzooError as error:
        assert error.message
    else:
        assert all(torch.isfinite(tensor).all() for tensor in made.method.learned_state().values())


def test_what_was_compared_with_a_digest_is_what_is_used(folder, detector, image, monkeypatch):
    """Whoever may write to the folder cannot put other weights there between the two."""
    real, build = (folder / WEIGHTS_FILE).read_bytes(), rebuilding.build_teacher

    def meddle(name):
        for path in (folder / WEIGHTS_FILE, folder / TEACHER_FILE):
            path.write_bytes(b"other")
        return build(name)

    monkeypatch.setattr(rebuilding, "build_teacher", meddle)
    assert Detector.open(folder, device="cpu").predict(image).score == detector.predict(image).score
    assert (folder / WEIGHTS_FILE).read_bytes() != real
