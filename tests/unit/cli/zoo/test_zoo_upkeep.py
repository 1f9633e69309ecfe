"""`kdzoo zoo fsck` and `kdzoo zoo gc` as they are typed."""

import hashlib
import json
import os

import pytest
from helpers.command import run

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.store.open import open_store
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"
OLD = 1_000_000_000


@pytest.fixture
def zoo(tmp_path):
    """A zoo with a release, and a blob that nothing refers to, from 2001."""
    store = open_store(tmp_path / "zoo")
    (tmp_path / "w").write_bytes(b"weights")
    Registry(store, BlobCache(tmp_path / "c")).publish(ENTRY, {}, {"weights": tmp_path / "w"})
    sha256 = hashlib.sha256(b"loose").hexdigest()
    store.put_if_absent(f"blobs/sha256/{sha256[:2]}/{sha256}", b"loose")
    os.utime(tmp_path / "zoo" / "blobs" / "sha256" / sha256[:2] / sha256, (OLD, OLD))
    return tmp_path / "zoo"


def weights(zoo):
    sha256 = hashlib.sha256(b"weights").hexdigest()
    return zoo / "blobs" / "sha256" / sha256[:2] / sha256


def test_fsck_of_a_sound_zoo(zoo, capsys):
    ran = run(capsys, "zoo", "fsck", "--deep", "--zoo", zoo)
    assert ran.status == 0
    assert "nothing is wrong" in ran.out and "1 entry, 1 release, 1 alias, 2 blobs of 12 B" in ran.out
    assert "unreferenced-blob: " in ran.out and "kdzoo zoo gc" in ran.out


def test_fsck_of_a_damaged_zoo(zoo, capsys):
    weights(zoo).write_bytes(b"weightz")
    assert run(capsys, "zoo", "fsck", "--zoo", zoo).status == 0
    ran = run(capsys, "zoo", "fsck", "--deep", "--zoo", zoo)
    assert ran.status == 1 and "blob-damaged: " in ran.out and "1 thing is wrong" in ran.out
    weights(zoo).unlink()
    ran = run(capsys, "zoo", "fsck", "--json", "--zoo", zoo)
    document = json.loads(ran.out)
    wrong = [found for found in document["findings"] if found["wrong"]]
    assert ran.status == 1 and not document["sound"]
    assert [(found["kind"], "rd/demo/weave release 1" in found["what"]) for found in wrong] == [("blob-missing", True)]


def test_a_foreign_file_cannot_move_the_cursor(zoo, capsys):
    (zoo / "\x1b[2J").write_text("x")
    ran = run(capsys, "zoo", "fsck", "--zoo", zoo)
    assert ran.status == 0 and "foreign-file" in ran.out and "\x1b" not in ran.out


def test_gc(zoo, capsys):
    sha256 = hashlib.sha256(b"loose").hexdigest()
    before = sorted(zoo.rglob("*"))
    ran = run(capsys, "zoo", "gc", "--dry-run", "--zoo", zoo)
    assert ran.status == 0 and f"would remove blob {sha256}" in ran.out and sorted(zoo.rglob("*")) == before
    ran = run(capsys, "zoo", "gc", "--json", "--zoo", zoo)
    assert (json.loads(ran.out)["removed"], json.loads(ran.out)["freed"]) == ([sha256], 5)
    assert weights(zoo).is_file()
    assert json.loads(run(capsys, "zoo", "gc", "--json", "--grace", "0", "--zoo", zoo).out)["removed"] == []


@pytest.mark.parametrize("command", ["fsck", "gc", "list"])
def test_a_wrong_address(command, tmp_path, capsys):
    ran = run(capsys, "zoo", command, "--zoo", tmp_path / "none")
    assert ran.status == 1 and "there is no zoo at" in ran.err and "--zoo" in ran.err and ran.out == ""
    (tmp_path / "photo.png").write_text("x")
    ran = run(capsys, "zoo", command, "--zoo", tmp_path)
    assert ran.status == 1 and "is not a zoo: it holds photo.png" in ran.err


@pytest.mark.parametrize("grace", ["soon", "7", "-1d", "", "1d2h", "٣d"])
def test_a_grace_that_is_no_time(grace, zoo, capsys):
    ran = run(capsys, "zoo", "gc", "--grace", grace, "--zoo", zoo)
    assert ran.status == 2 and "--grace" in ran.err and "7d" in ran.err


def test_offline_and_remote(monkeypatch, capsys):
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    ran = run(capsys, "zoo", "fsck", "--zoo", "s3://bucket/zoo")
    assert ran.status == 1 and "offline" in ran.err
