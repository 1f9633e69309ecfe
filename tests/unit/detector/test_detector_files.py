"""A detector's files, which it does not trust: damaged, missing, mixed, or written by a stranger."""

import copy
import hashlib
import json
import os
import shutil

import pytest
import torch
from helpers.predictions import same
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo import rebuilding
from kdzoo.detector import DOCUMENT_FILE, TEACHER_FILE, WEIGHTS_FILE, Detector
from kdzoo.errors import CheckpointError, KdzooError, StorageError
from kdzoo.training.document import read_document


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
