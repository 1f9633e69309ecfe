"""`kdzoo.load` of what was loaded before: what it asks the network for, how often it reads a file, and offline."""

import logging

import pytest
from helpers.trials import in_new_process, small_trial

from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import save_tensors
from kdzoo.training.outcome import conclude
from kdzoo.zoo import TEACHER, WEIGHTS, entry_name, load, open_registry
from zoo_registry.errors import ManifestInvalidError, StoreUnavailableError

ENTRY = entry_name("rd", "toy/bottle")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small detector's document and its files by role."""
    folder = tmp_path_factory.mktemp("trained")
    # Of a size beside which what botocore reads of its own is little.
    trainer = small_trial(folder, "rd", epochs=1, teacher=load_teacher("random-resnet18"))
    trainer.run()
    outcome = conclude(trainer)
    save_tensors(folder / WEIGHTS, outcome.method.learned_state())
    (folder / TEACHER).write_bytes(outcome.method.teacher.weights())
    return outcome.document, {role: folder / role for role in (WEIGHTS, TEACHER)}


@pytest.fixture
def zoo(trained, s3, monkeypatch):
    """A zoo on a server that counts, with releases 1 and 2; champion is 2, staging 1."""
    document, files = trained
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    address = f"s3://{s3.new_bucket(s3.client())}/zoo"
    registry = open_registry(Settings.from_environment(), address)
    for _ in range(2):
        registry.publish(ENTRY, document, files)
    registry.set_alias(ENTRY, "staging", 1)
    return address


def asked(s3, began):
    """What the server was asked for since, without the bucket's name."""
    return [f"{method} {path.partition('/zoo/')[2]}" for method, path in s3.requests[began:]]


def blobs_asked(s3, began):
    """The blobs that were asked for since; a large one is asked for in several ranges."""
    return {line for line in asked(s3, began) if line.startswith("GET blobs/")}


def test_a_pinned_release_that_was_loaded_before_asks_for_nothing(zoo, s3):
    load("rd", "toy/bottle", zoo=zoo, release=2, device="cpu")
    began = len(s3.requests)
    loaded = load("rd", "toy/bottle", zoo=zoo, release=2, device="cpu")
    assert asked(s3, began) == []
    assert loaded.plan.label == "rd/toy/bottle"


def test_an_alias_asks_for_itself_its_manifest_and_what_is_withdrawn_alone(zoo, s3):
    load("rd", "toy/bottle", zoo=zoo, device="cpu")
    began = len(s3.requests)
    load("rd", "toy/bottle", zoo=zoo, device="cpu")
    assert asked(s3, began) == [
        "GET entries/rd/toy/bottle/aliases/champion.json",
        "GET entries/rd/toy/bottle/releases/000002.json",
        "GET entries/rd/toy/bottle/withdrawn.json",
    ]


def test_the_teacher_is_fetched_once_for_all_releases(zoo, s3, trained):
    began = len(s3.requests)
    for release in (1, 2):
        load("rd", "toy/bottle", zoo=zoo, release=release, device="cpu")
    assert len(blobs_asked(s3, began)) == 2
    began = len(s3.requests)
    for release in (1, 2):
        load("rd", "toy/bottle", zoo=zoo, release=release, device="cpu")
    assert asked(s3, began) == []


READS = """
import json, sys, kdzoo
from kdzoo.detector import Detector
def read():
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])
def load():
    before = read()
    kdzoo.load("rd", "toy/bottle", zoo=sys.argv[1], release=1, device="cpu")
    return read() - before
load()
print(json.dumps(load()))
"""


def test_a_warm_load_reads_each_file_once(zoo, trained, tmp_path):
    """Once to compare its digest; the tensors themselves are mapped, which counts as no reading."""
    _, files = trained
    total = sum(path.stat().st_size for path in files.values())
    bytes_read = in_new_process(READS, zoo)
    assert total <= bytes_read < total * 1.05 + 200_000


def test_offline_the_alias_is_where_it_was_and_a_warning_says_so(zoo, s3, monkeypatch, caplog):
    load("rd", "toy/bottle", zoo=zoo, device="cpu")
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    began = len(s3.requests)
    with caplog.at_level(logging.WARNING):
        load("rd", "toy/bottle", zoo=zoo, device="cpu")
    assert "offline: alias champion of rd/toy/bottle is taken from the cache, as it was on 20" in caplog.text
    caplog.clear()
    load("rd", "toy/bottle", zoo=zoo, release=2, device="cpu")
    assert caplog.text == "", "a release never changes, so there is nothing to warn of"
    with pytest.raises(StoreUnavailableError, match="staging"):
        load("rd", "toy/bottle", zoo=zoo, alias="staging", device="cpu")
    assert asked(s3, began) == []


@pytest.mark.parametrize("role", [WEIGHTS, TEACHER])
@pytest.mark.parametrize("damage", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1]])
def test_a_damaged_cached_blob_is_fetched_again(zoo, s3, role, damage):
    load("rd", "toy/bottle", zoo=zoo, release=1, device="cpu")
    registry = open_registry(Settings.from_environment(), zoo)
    path = registry.fetch(registry.resolve(ENTRY, 1), role)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    began = len(s3.requests)
    load("rd", "toy/bottle", zoo=zoo, release=1, device="cpu")
    assert len(blobs_asked(s3, began)) == 1
    assert path.read_bytes() == whole


def test_a_damaged_kept_manifest_is_read_again(zoo, s3, caplog):
    load("rd", "toy/bottle", zoo=zoo, release=1, device="cpu")
    notes = list((Settings.from_environment().cache / "zoo" / "seen").rglob("000001.json"))
    assert len(notes) == 1
    notes[0].write_bytes(b"{")
    began = len(s3.requests)
    load("rd", "toy/bottle", zoo=zoo, release=1, device="cpu")
    assert asked(s3, began) == ["GET entries/rd/toy/bottle/releases/000001.json"]
    assert "damaged in the cache" in caplog.text


def test_a_release_pinned_by_its_digest_asks_for_nothing_and_another_is_refused(zoo, s3):
    registry = open_registry(Settings.from_environment(), zoo)
    one, two = (registry.resolve(ENTRY, number).digest for number in (1, 2))
    for pin in ({"release": 1}, {}):
        load("rd", "toy/bottle", zoo=zoo, digest=one, device="cpu", **pin)
    began = len(s3.requests)
    load("rd", "toy/bottle", zoo=zoo, release=1, digest=one, device="cpu")
    assert asked(s3, began) == []
    with pytest.raises(ManifestInvalidError, match="is not the one asked for"):
        load("rd", "toy/bottle", zoo=zoo, release=1, digest=two, device="cpu")
