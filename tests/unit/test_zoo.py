"""Detectors in and out of the zoo: who becomes champion, and that what is loaded is what was trained."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.layouts import make_category

import kdzoo
from kdzoo.data.catalog import open_dataset
from kdzoo.detector import choose_device
from kdzoo.errors import CheckpointError, UsageError
from kdzoo.methods.registry import find_method
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import save_tensors
from kdzoo.training.data import TrialData
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions, TrialSpec
from kdzoo.training.trainer import Trainer
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, Published, entry_name, load, open_registry, publish
from zoo_registry import EntryName, Registry
from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    EntryNotFoundError,
    NameInvalidError,
    ReleaseNotFoundError,
    StoreRefusedError,
)

ENTRY = EntryName(method="aand", dataset="parts", category="screw")
ALONE = "by the value alone: scores of single images are not kept of both"
FILES = {WEIGHTS: b"weights", TEACHER: b"teacher", PICTURE: b"picture"}


def document(value=0.9, *, protocol="holdout", digest="aa", name="image_auroc", fingerprint="ff", size=256):
    return {
        "protocol": protocol,
        "split": {"digest": digest, "seed": 0},
        "objective": {"name": name, "value": value},
        "dataset": {"fingerprint": fingerprint},
        "input": {"size": size},
    }


@pytest.fixture
def registry(tmp_path):
    return Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")


def test_the_first_release_becomes_champion(registry):
    first = "first champion"
    published = Published(release=1, promoted=True, note=first, leads=True, over_methods=first)
    assert publish(registry, ENTRY, document(), FILES) == published
    manifest = registry.resolve(ENTRY)
    assert registry.fetch(manifest, WEIGHTS).read_bytes() == b"weights"
    assert {role: ref.media_type for role, ref in manifest.blobs.items()} == {
        WEIGHTS: "application/vnd.safetensors",
        TEACHER: "application/vnd.safetensors",
        PICTURE: "image/png",
    }


def test_only_a_better_one_is_promoted(registry):
    publish(registry, ENTRY, document(0.9), FILES)
    for value in (0.9, 0.8):
        kept = publish(registry, ENTRY, document(value), FILES)
        assert (kept.release, kept.promoted) == (None, False)
        assert kept.note == "champion 1 stays (0.9000)"
    better = publish(registry, ENTRY, document(0.900001), FILES)
    assert (better.release, better.promoted) == (2, True)
    assert better.note == f"beats champion 1 (0.9000), {ALONE}"
    assert registry.releases(ENTRY) == [1, 2]
    assert registry.resolve(ENTRY).release == 2


@pytest.mark.parametrize(
    "other",
    [
        document(1.0, protocol="test"),
        document(1.0, digest="bb"),
        document(1.0, name="aupro"),
        document(1.0, fingerprint="ee"),
        document(1.0, size=64),
        {"odd": True},
    ],
)
def test_what_cannot_be_compared_stands_beside_the_champion(registry, other):
    publish(registry, ENTRY, document(0.5), FILES)
    beside = publish(registry, ENTRY, other, FILES)
    assert (beside.release, beside.promoted) == (2, False)
    assert "not compared with champion 1" in beside.note
    assert registry.resolve(ENTRY).release == 1


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {**document(), "objective": None},
        {**document(), "objective": {"name": "image_auroc"}},
        {**document(), "objective": {"name": "image_auroc", "value": "high"}},
        {**document(), "objective": {"name": "image_auroc", "value": None}},
        {**document(), "objective": {"name": "image_auroc", "value": True}},
        {**document(), "split": "aa"},
        {**document(), "dataset": {}},
    ],
)
def test_a_champion_with_an_odd_document_is_not_compared(registry, odd):
    publish(registry, ENTRY, odd, FILES)
    beside = publish(registry, ENTRY, document(), FILES)
    assert (beside.release, beside.promoted) == (2, False)
    assert "not compared with champion 1" in beside.note


def test_a_champion_with_a_damaged_manifest_is_not_replaced(registry, tmp_path):
    publish(registry, ENTRY, document(), FILES)
    file = tmp_path / "zoo" / "entries" / "aand" / "parts" / "screw" / "releases" / "000001.json"
    file.chmod(0o644)
    file.write_text("{")
    beside = publish(registry, ENTRY, document(0.95), FILES)
    assert (beside.release, beside.promoted) == (2, False)
    assert "cannot be read" in beside.note
    assert registry.read_alias(ENTRY, "champion").release == 1


def before(monkeypatch, registry, method, happens):
    """Lets something happen once, just before a registry's method is called for the first time."""
    real, due = getattr(registry, method), [happens]

    def called(*args, **kwargs):
        if due:
            due.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(registry, method, called)


@pytest.mark.parametrize("moment", ["publish", "set_alias"])
@pytest.mark.parametrize(("rival", "champion"), [(0.95, "rival's"), (0.7, "ours")], ids=["better rival", "worse rival"])
def test_a_rival_in_between_is_compared_with(registry, tmp_path, monkeypatch, moment, rival, champion):
    publish(registry, ENTRY, document(0.5), FILES)
    other, rivals = Registry.open(tmp_path / "zoo", cache=tmp_path / "other"), []
    before(monkeypatch, registry, moment, lambda: rivals.append(publish(other, ENTRY, document(rival), FILES)))
    ours = publish(registry, ENTRY, document(0.8), FILES)
    assert rivals[0].promoted
    assert ours.promoted == (champion == "ours")
    verb = f"beats champion {{}} ({{:.4f}}), {ALONE}" if ours.promoted else "champion {} stays ({:.4f})"
    assert ours.note == verb.format(rivals[0].release, rival)
    assert registry.resolve(ENTRY).release == (ours if ours.promoted else rivals[0]).release


def test_of_many_publishers_at_once_the_best_ends_as_champion(tmp_path):
    together = threading.Barrier(6)

    def publish_one(number):
        registry = Registry.open(tmp_path / "zoo", cache=tmp_path / "cache")
        together.wait(timeout=120)
        return publish(registry, ENTRY, document(0.9 - number / 100), FILES)

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(publish_one, range(6)))
    champion = Registry.open(tmp_path / "zoo", cache=tmp_path / "cache").resolve(ENTRY)
    assert (champion.release, champion.document["objective"]["value"]) == (done[0].release, 0.9)


def test_a_release_whose_alias_cannot_be_moved_is_published_all_the_same(registry, monkeypatch):
    def refuse(*args, **kwargs):
        raise StoreRefusedError("no right to write aliases")

    monkeypatch.setattr(registry, "set_alias", refuse)
    note = "published, but champion was not moved: no right to write aliases"
    assert publish(registry, ENTRY, document(), FILES) == Published(release=1, promoted=False, note=note)
    assert registry.resolve(ENTRY, 1).document["objective"]["value"] == 0.9


def test_a_champion_that_others_move_all_the_time(registry, monkeypatch):
    def conflict(*args, **kwargs):
        raise ConflictError("moved")

    monkeypatch.setattr(registry, "set_alias", conflict)
    found = publish(registry, ENTRY, document(), FILES)
    assert (found.release, found.promoted) == (1, False)
    assert "others moved it" in found.note


def test_names():
    assert entry_name("aand", "demo/weave") == EntryName(method="aand", dataset="demo", category="weave")
    for name in ("demo", "demo/weave/x", ""):
        with pytest.raises(UsageError, match="DATASET/CATEGORY"):
            entry_name("aand", name)
    with pytest.raises(NameInvalidError):
        entry_name("aand", "demo/..")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A tiny detector as a trial leaves it, what is published of it, and its numbers on one image."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    make_category(folder / "parts" / "screw")
    settings = Settings.from_environment({"KDZOO_HOME": str(folder / "home")})
    dataset = open_dataset(str(folder / "parts"), settings)
    options = RunOptions(teacher="random-test_resnet", image_size=64, protocol="holdout")
    config = find_method("rd").config(epochs=1, batch_size=4, width=0.25)
    spec = TrialSpec(method="rd", config=config, dataset=dataset.name, category="screw", options=options)
    data = TrialData(dataset, "screw", options, cache=settings.cache)
    trainer = Trainer(spec, data, load_teacher("random-test_resnet"), choose_device("cpu"))
    trainer.run()
    outcome = conclude(trainer)
    save_tensors(folder / "weights", outcome.method.learned_state())
    files = {
        WEIGHTS: (folder / "weights").read_bytes(),
        TEACHER: outcome.method.teacher.weights(),
        PICTURE: outcome.picture,
    }
    image = folder / "parts" / "screw" / "test" / "scratch" / "000.png"
    prediction = kdzoo.Detector(outcome.method, outcome.document, device="cpu").predict(image)
    return outcome.document, files, image, prediction


SCRIPT = """
import json, sys, kdzoo
detector = kdzoo.load("rd", "parts/screw", zoo=sys.argv[1], device="cpu")
found = detector.predict(sys.argv[2])
print(json.dumps({"score": found.score, "threshold": found.threshold, "map": found.anomaly_map.tolist()}))
"""


def numbers_elsewhere(zoo, image):
    """The numbers of the champion on an image, in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, zoo, str(image)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_same(numbers, prediction):
    assert numbers["score"] == pytest.approx(prediction.score, abs=1e-5)
    assert numbers["threshold"] == pytest.approx(prediction.threshold, abs=1e-5)
    np.testing.assert_allclose(numbers["map"], prediction.anomaly_map, atol=1e-5)


def test_a_loaded_detector_says_the_same_in_another_process_twice(trained, tmp_path):
    document, files, image, prediction = trained
    zoo = str(tmp_path / "zoo")
    registry = open_registry(Settings.from_environment(), zoo)
    assert publish(registry, entry_name("rd", "parts/screw"), document, files).promoted
    first, second = (numbers_elsewhere(zoo, image) for _ in range(2))
    assert first == second
    assert_same(first, prediction)


def test_a_detector_goes_through_s3(trained, s3, monkeypatch):
    document, files, image, prediction = trained
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    zoo, began = f"s3://{s3.new_bucket(s3.client())}/zoo", len(s3.requests)
    registry = open_registry(Settings.from_environment(), zoo)
    assert publish(registry, entry_name("rd", "parts/screw"), document, files).promoted
    assert_same(numbers_elsewhere(zoo, image), prediction)
    blobs = {path for method, path in s3.requests[began:] if method == "GET" and "/blobs/" in path}
    began = len(s3.requests)
    load("rd", "parts/screw", zoo=zoo, device="cpu")
    again = [path for method, path in s3.requests[began:] if method == "GET" and "/blobs/" in path]
    assert len(blobs) == 2
    assert again == [], "the second load takes the blobs from the cache"


def test_load_by_release_alias_and_threshold(trained, tmp_path):
    document, files, image, prediction = trained
    zoo = str(tmp_path / "zoo")
    registry = open_registry(Settings.from_environment(), zoo)
    entry = entry_name("rd", "parts/screw")
    publish(registry, entry, document, files)
    second = {**document, "objective": {**document["objective"], "value": 2.0}}
    assert "do not tell them apart" in publish(registry, entry, second, files).note, "the same scores, image by image"
    registry.set_alias(entry, "champion", 2)
    registry.set_alias(entry, "line-3", 1)
    assert load("rd", "parts/screw", zoo=zoo).document["objective"]["value"] == 2.0
    assert load("rd", "parts/screw", zoo=zoo, release=1).document["objective"] == document["objective"]
    assert load("rd", "parts/screw", zoo=zoo, alias="line-3").document["objective"] == document["objective"]
    assert load("rd", "parts/screw", zoo=zoo, threshold=0.25).predict(image).threshold == 0.25
    lenient = load("rd", "parts/screw", zoo=zoo, false_positive_rate=0.5)
    assert lenient.threshold == lenient.calibration.threshold(0.5) <= prediction.threshold


def test_unknown_names_say_what_there_is(trained, tmp_path):
    document, files, _, _ = trained
    zoo = str(tmp_path / "zoo")
    publish(open_registry(Settings.from_environment(), zoo), entry_name("rd", "parts/screw"), document, files)
    with pytest.raises(EntryNotFoundError) as caught:
        load("rd", "parts/scrwe", zoo=zoo)
    assert "rd/parts/screw" in str(caught.value.hint)
    with pytest.raises(ReleaseNotFoundError, match="release 7"):
        load("rd", "parts/screw", zoo=zoo, release=7)
    with pytest.raises(ReleaseNotFoundError, match="line-3"):
        load("rd", "parts/screw", zoo=zoo, alias="line-3")


@pytest.mark.parametrize("role", [WEIGHTS, TEACHER])
def test_damaged_blobs_are_never_loaded(trained, tmp_path, role):
    document, files, _, _ = trained
    zoo = tmp_path / "zoo"
    registry = open_registry(Settings.from_environment(), str(zoo))
    publish(registry, entry_name("rd", "parts/screw"), document, files)
    sha256 = registry.resolve("rd/parts/screw").blobs[role].sha256
    blob = zoo / "blobs" / "sha256" / sha256[:2] / sha256
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.chmod(0o644)
    blob.write_bytes(bytes(data))
    with pytest.raises(BlobCorruptError):
        load("rd", "parts/screw", zoo=str(zoo))


def test_a_release_whose_document_names_other_weights_is_never_loaded(trained, tmp_path):
    document, files, _, _ = trained
    zoo, paths = str(tmp_path / "zoo"), {}
    for role, data in files.items():
        paths[role] = tmp_path / role
        paths[role].write_bytes(data)
    registry = open_registry(Settings.from_environment(), zoo)
    for value, release in (("0" * 64, 1), (document["weights"]["sha256"], 2)):
        registry.publish("rd/parts/screw", {**document, "weights": {"sha256": value}}, paths)
        if release == 1:
            with pytest.raises(CheckpointError, match="does not hold the weights that the document names"):
                load("rd", "parts/screw", zoo=zoo)
    assert load("rd", "parts/screw", zoo=zoo).plan.weights_sha256 == document["weights"]["sha256"]


def test_a_release_of_before_names_no_weights_and_loads(trained, tmp_path):
    document, files, _, _ = trained
    zoo, paths = str(tmp_path / "zoo"), {}
    for role, data in files.items():
        paths[role] = tmp_path / role
        paths[role].write_bytes(data)
    earlier = {key: value for key, value in document.items() if key not in ("weights", "provenance")}
    open_registry(Settings.from_environment(), zoo).publish("rd/parts/screw", earlier, paths)
    assert load("rd", "parts/screw", zoo=zoo).document == earlier


def test_a_release_that_is_no_detector_of_this_version(trained, tmp_path):
    document, files, _, _ = trained
    zoo = str(tmp_path / "zoo")
    registry = open_registry(Settings.from_environment(), zoo)
    publish(registry, entry_name("rd", "parts/screw"), {**document, "schema": "kdzoo-detector/99"}, files)
    with pytest.raises(CheckpointError, match="kdzoo-detector/99"):
        load("rd", "parts/screw", zoo=zoo)
    swapped = {**files, TEACHER: files[WEIGHTS]}
    publish(registry, entry_name("rd", "parts/nut"), document, swapped)
    with pytest.raises(CheckpointError, match="not the teacher"):
        load("rd", "parts/nut", zoo=zoo)


class TestTheDigestOfTheWeights:
    def test_every_release_names_it(self, registry):
        publish(registry, ENTRY, document(), FILES)
        named = registry.resolve(ENTRY).document["weights"]
        assert named == {"sha256": registry.resolve(ENTRY).blobs[WEIGHTS].sha256}

    def test_a_document_of_other_weights_is_not_published(self, registry):
        for odd in ({"sha256": "0" * 64}, {}, "x"):
            with pytest.raises(CheckpointError, match="names other weights"):
                publish(registry, ENTRY, document() | {"weights": odd}, FILES)
        assert registry.releases(ENTRY) == []
