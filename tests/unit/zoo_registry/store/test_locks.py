"""Locks on every system: flock, msvcrt, and a file that stands for a lock where there is neither."""

import errno
import subprocess
import sys
import threading
import time

import pytest

from zoo_registry.errors import StoreUnavailableError
from zoo_registry.store import locks
from zoo_registry.store.files import open_kept
from zoo_registry.store.folder import FolderStore


class Msvcrt:
    """Windows' locks of bytes, as far as they are asked for: one holder a file, and no waiting."""

    LK_NBLCK = 2

    def __init__(self, fcntl):
        self._fcntl = fcntl

    def locking(self, descriptor, mode, count):
        assert (mode, count) == (self.LK_NBLCK, 1)
        self._fcntl.flock(descriptor, self._fcntl.LOCK_EX | self._fcntl.LOCK_NB)


@pytest.fixture(params=["flock", "msvcrt", "neither"])
def system(request, monkeypatch):
    if request.param != "flock":
        monkeypatch.setattr(locks, "msvcrt", Msvcrt(locks.fcntl) if request.param == "msvcrt" else None)
        monkeypatch.setattr(locks, "fcntl", None)
    return request.param


@pytest.mark.parametrize("threads", [4])
def test_aliases_move_one_after_the_other(system, tmp_path, threads):
    store, rounds = FolderStore(tmp_path / "zoo"), 10
    store.put_if_absent("count", b"0")

    def work():
        done = 0
        while done < rounds:
            data, etag = store.read("count")
            done += bool(store.compare_and_swap("count", str(int(data) + 1).encode(), etag))

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert store.get("count") == str(threads * rounds).encode()
    assert store.list("") == ["count"]


def test_one_holds_a_lock(system, tmp_path):
    first, second = open_kept(tmp_path / "lock"), open_kept(tmp_path / "lock")
    if system == "neither":
        with pytest.raises(OSError) as failed:
            locks.try_lock(first)
        assert failed.value.errno in locks.NONE
        return
    locks.try_lock(first)
    with pytest.raises(OSError) as failed:
        locks.try_lock(second)
    assert failed.value.errno in locks.HELD


def test_readers_share_where_the_system_can(tmp_path):
    first, second = open_kept(tmp_path / "lock"), open_kept(tmp_path / "lock")
    locks.try_lock(first, shared=True)
    locks.try_lock(second, shared=True)
    with pytest.raises(OSError):
        locks.try_lock(second)


@pytest.mark.parametrize("system", ["neither"], indirect=True)
def test_what_a_killed_holder_left_is_named(system, tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_PATIENCE_SECONDS", 0.2)
    store = FolderStore(tmp_path / "zoo")
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")
    assert store.compare_and_swap("a", b"2", etag)
    (lock,) = (tmp_path / "zoo" / ".locks").iterdir()
    left = lock.with_name(f"{lock.name}.held")
    left.touch()
    _, etag = store.read("a")
    begun = time.monotonic()
    with pytest.raises((StoreUnavailableError, TimeoutError), match="killed: then remove it"):
        store.compare_and_swap("a", b"3", etag)
    assert time.monotonic() - begun < 5
    left.unlink()
    assert store.compare_and_swap("a", b"3", etag)


def test_kdzoo_without_what_posix_alone_has(tmp_path):
    program = """
import os, sys
for name in ("fcntl", "pwd", "grp", "resource"):
    sys.modules[name] = None
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "getuid", "geteuid", "sched_getaffinity"):
    delattr(os, name)
import kdzoo
from zoo_registry import BlobCache, open_store
from zoo_registry.errors import EntryNotFoundError
store = open_store(sys.argv[1])
store.put_if_absent("entries/rd/parts/other/releases/000001.json", b"{}")
try:
    kdzoo.load("rd", "parts/lid", zoo=sys.argv[1])
except EntryNotFoundError as error:
    print("reached:", error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "zoo")], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "reached:" in done.stdout


def test_no_other_module_knows_flock():
    from pathlib import Path

    import kdzoo
    import zoo_registry

    found = [
        path.name
        for package in (kdzoo, zoo_registry)
        for path in Path(package.__file__).parent.rglob("*.py")
        if "fcntl" in path.read_text(encoding="utf-8")
    ]
    assert found == ["locks.py"]
    assert errno.EWOULDBLOCK in locks.HELD and not locks.HELD & locks.NONE
