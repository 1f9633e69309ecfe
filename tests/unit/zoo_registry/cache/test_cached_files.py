import hashlib
import os
import time

import pytest
from helpers.zoos import filler

from zoo_registry import Registry
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.listing import cached_files, remove_file
from zoo_registry.format.manifest import BlobRef

DATA = b"weights" * 100
REF = BlobRef(sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA))
KEY = "entries/aand/demo/weave/releases/000003.json"


@pytest.fixture
def root(tmp_path):
    return tmp_path / "zoo"


@pytest.fixture
def cache(root):
    made = BlobCache(root)
    made.add(REF, filler(DATA), origin="here")
    return made


def manifest(tmp_path):
    """A true manifest, as a registry writes it."""
    (tmp_path / "weights").write_bytes(DATA)
    registry = Registry.open(str(tmp_path / "store"), cache=tmp_path / "other")
    registry.publish("aand/demo/weave", {}, {"weights": tmp_path / "weights"})
    return registry.resolve("aand/demo/weave")


def test_nothing_there(root):
    assert cached_files(root) == []


def test_a_blob_without_a_note_is_called_by_its_digest(root, cache):
    (file,) = cached_files(root)
    assert (file.path, file.kind, file.what, file.size) == (cache.path(REF), "blob", REF.sha256, len(DATA))
    assert abs(file.used - time.time()) < 60


def test_a_kept_manifest_gives_its_blobs_names(root, cache, tmp_path):
    cache.remember("s3://bucket", KEY, manifest(tmp_path).to_bytes())
    found = {file.kind: file for file in cached_files(root)}
    assert found["blob"].what == "aand/demo/weave 1 weights" and found["note"].what.endswith(KEY)


@pytest.mark.parametrize("data", [b"", b"{", b"[" * 5000, b"\xff"])
def test_a_damaged_note_is_listed_all_the_same(root, cache, data):
    cache.remember("s3://bucket", KEY, data)
    assert {(file.kind, file.what == REF.sha256) for file in cached_files(root)} == {("blob", True), ("note", False)}


def test_what_a_stopped_fetch_left(root, cache):
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp" / "half").write_bytes(b"1")
    assert {file.what: file.kind for file in cached_files(root)} == {REF.sha256: "blob", "tmp/half": "rest"}


def test_links_and_pipes_are_left_alone(root, cache, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x")
    (root / "sha256" / "link").symlink_to(outside)
    (root / "sha256" / ("0" * 64)).symlink_to(outside / "precious")
    os.mkfifo(root / "pipe")
    assert [file.path for file in cached_files(root)] == [cache.path(REF)]


def test_ordered_by_use_and_removed(root, cache):
    (root / "old").write_bytes(b"1")
    os.utime(root / "old", (0, 0))
    old, blob = cached_files(root)
    assert old.what == "old" and blob.kind == "blob"
    remove_file(root, old)
    remove_file(root, old)
    assert cached_files(root) == [blob]


def test_nothing_outside_is_removed(root, cache, tmp_path):
    (file,) = cached_files(root)
    with pytest.raises(ValueError, match="subpath"):
        remove_file(tmp_path / "elsewhere", file)
    assert file.path.exists()
