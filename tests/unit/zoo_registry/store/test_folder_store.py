"""What only a folder can do wrong: links, pipes, rights, full disks, no locks, and a kill at any point."""

import errno
import fcntl
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import zoo_registry
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import StoreRefusedError, StoreUnavailableError
from zoo_registry.format.layout import blob_key
from zoo_registry.store.folder import FolderStore
from zoo_registry.zoo.registry import Registry

PUBLISHER = """
import sys
from pathlib import Path
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.store.folder import FolderStore
from zoo_registry.zoo.registry import Registry
root, seed = Path(sys.argv[1]), sys.argv[2]
registry = Registry(FolderStore(root / "zoo"), BlobCache(root / "cache"))
source = root / f"source-{seed}"
print("ready", flush=True)
for n in range(10_000):
    source.write_bytes(f"{seed} {n} ".encode() * 20_000)
    registry.publish("rd/demo/weave", {"n": n}, {"weights": source})
    print("published", flush=True)
"""


@pytest.fixture
def store(tmp_path) -> FolderStore:
    return FolderStore(tmp_path / "zoo")


def test_reading_makes_nothing(store, tmp_path):
    assert store.list("") == []
    assert list(tmp_path.iterdir()) == []


def test_links_out_of_the_root_are_refused(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "door").symlink_to(outside)
    (tmp_path / "zoo" / "file").symlink_to(outside / "secret")
    for key in ("door/secret", "file"):
        with pytest.raises(StoreRefusedError, match="symbolic link"):
            store.get(key)
    with pytest.raises(StoreRefusedError):
        store.put_if_absent("door/new", b"1")
    assert [path.name for path in outside.iterdir()] == ["secret"]
    with pytest.raises(StoreRefusedError):
        store.list("door/")


def test_a_loop_of_links_is_an_error_with_the_path(store, tmp_path):
    (tmp_path / "zoo").mkdir()
    (tmp_path / "zoo" / "loop").symlink_to("loop")
    with pytest.raises(StoreUnavailableError, match="loop"):
        store.get("loop")


def test_a_root_that_is_itself_a_link_is_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "zoo").symlink_to(tmp_path / "real")
    store = FolderStore(tmp_path / "zoo")
    assert store.put_if_absent("a/b", b"1")
    assert (tmp_path / "real" / "a" / "b").read_bytes() == b"1"


def test_a_pipe_or_folder_in_place_of_a_file_does_not_hang(store, tmp_path):
    (tmp_path / "zoo" / "folder").mkdir(parents=True)
    os.mkfifo(tmp_path / "zoo" / "pipe")
    for key in ("folder", "pipe"):
        with pytest.raises(StoreUnavailableError, match="not a plain file"):
            store.get(key)


def test_no_rights_and_a_file_in_the_way_name_the_path(tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = FolderStore(tmp_path / "file" / "zoo")
    with pytest.raises(StoreUnavailableError, match=str(tmp_path / "file")) as error:
        store.put_if_absent("a", b"1")
    assert isinstance(error.value, OSError)


@pytest.mark.parametrize(
    ("number", "hint"), [(errno.ENOSPC, "space"), (errno.EACCES, "rights"), (errno.EIO, "mounted")]
)
def test_a_disk_that_fails_leaves_nothing_behind(store, tmp_path, monkeypatch, number, hint):
    store.put_if_absent("a/old", b"old")

    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreUnavailableError, match="a/new") as error:
        store.put_if_absent("a/new", b"new")
    assert hint in error.value.hint
    _, etag = store.read("a/old")
    with pytest.raises(StoreUnavailableError):
        store.compare_and_swap("a/old", b"changed", etag)
    monkeypatch.undo()
    assert store.list("") == ["a/old"]
    assert store.get("a/old") == b"old"
    assert list((tmp_path / "zoo" / ".tmp").iterdir()) == []


def test_a_disk_without_hard_links(store, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(os, "link", fail)
    assert store.put_if_absent("a/b", b"1") is True
    assert store.put_if_absent("a/b", b"2") is False
    assert store.get("a/b") == b"1"


def test_a_disk_without_locks_refuses_to_move_an_alias(store, monkeypatch):
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")

    def fail(handle, operation):
        raise OSError(errno.ENOLCK, "no locks here")

    monkeypatch.setattr(fcntl, "flock", fail)
    with pytest.raises(StoreRefusedError, match="file locks"):
        store.compare_and_swap("a", b"2", etag)
    assert store.get("a") == b"1"


def test_hidden_files_are_no_objects(store, tmp_path):
    store.put_if_absent("a/b", b"1")
    (tmp_path / "zoo" / "a" / ".DS_Store").write_text("x")
    (tmp_path / "zoo" / ".trash").mkdir()
    (tmp_path / "zoo" / ".trash" / "c").write_text("x")
    assert store.list("") == ["a/b"]


def test_large_objects_are_not_read_by_stat(store, tmp_path):
    source = tmp_path / "big"
    with source.open("wb") as file:
        file.truncate(9 * 1024 * 1024)
    store.put_if_absent("big", source)
    info = store.stat("big")
    assert info.size == 9 * 1024 * 1024 and info.etag.startswith("file-")


def check_whole(root: Path) -> int:
    """Asserts that all that can be seen is whole; gives the number of releases."""
    store = FolderStore(root / "zoo")
    registry = Registry(store, BlobCache(root / "checked"))
    numbers = registry.releases("rd/demo/weave")
    assert numbers == list(range(1, len(numbers) + 1))
    for number in numbers:
        manifest = registry.resolve("rd/demo/weave", number)
        assert (
            hashlib.sha256(registry.fetch(manifest, "weights").read_bytes()).hexdigest()
            == manifest.blobs["weights"].sha256
        )
    for alias in registry.aliases("rd/demo/weave").values():
        assert alias.release in numbers
    for key in store.list("blobs/"):
        data = (root / "zoo" / key).read_bytes()
        assert blob_key(hashlib.sha256(data).hexdigest()) == key
    return len(numbers)


def test_killed_at_any_point_the_zoo_is_whole(tmp_path):
    draw = random.Random(7)
    seen = 0
    for seed in range(12):
        child = subprocess.Popen(
            [sys.executable, "-c", PUBLISHER, str(tmp_path), str(seed)],
            cwd=Path(zoo_registry.__file__).parents[1],
            stdout=subprocess.PIPE,
        )
        try:
            assert child.stdout.readline() == b"ready\n"
            if seed % 2:  # else the kill falls into the very first publish
                assert child.stdout.readline() == b"published\n"
            time.sleep(draw.uniform(0.005, 0.08))
        finally:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        now = check_whole(tmp_path)
        assert now >= seen
        seen = now
    registry = Registry(FolderStore(tmp_path / "zoo"), BlobCache(tmp_path / "cache"))
    (tmp_path / "last").write_bytes(b"last")
    assert registry.publish("rd/demo/weave", {}, {"weights": tmp_path / "last"}).release == seen + 1
    assert seen >= 6  # one at least of every second child
