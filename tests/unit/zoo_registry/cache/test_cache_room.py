"""The cache keeps to its limit, says when blobs were used, survives kills and full disks, and finds damage."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.zoos import filler

import zoo_registry
from zoo_registry.cache.blobs import BlobCache, damage
from zoo_registry.cache.listing import cached_files
from zoo_registry.errors import NameInvalidError, StoreUnavailableError
from zoo_registry.format.manifest import BlobRef


def blob(number, size=1000):
    data = bytes([number]) * size
    return BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=size), data


def add(cache, number, *, hours=0.0):
    """Adds a blob that was last used some hours ago."""
    ref, data = blob(number)
    path = cache.add(ref, filler(data), origin="here")
    when = time.time() - hours * 3600
    os.utime(path, (when, when))
    return ref


def test_beyond_the_limit_those_used_longest_ago_go(tmp_path):
    cache = BlobCache(tmp_path, limit=3000)
    refs = [add(cache, number, hours=10 - number) for number in range(3)]
    assert cache.find(refs[0]) is not None, "asked for now, so used last"
    newest = add(cache, 3)
    assert [cache.find(ref) is not None for ref in (*refs, newest)] == [True, False, True, True]


def test_what_was_asked_for_just_now_stays_whatever_the_limit(tmp_path):
    cache = BlobCache(tmp_path, limit=1)
    refs = [add(cache, number) for number in range(3)]
    assert all(cache.find(ref) for ref in refs)


def test_without_a_limit_all_stay(tmp_path):
    cache = BlobCache(tmp_path)
    refs = [add(cache, number, hours=9999) for number in range(5)]
    assert all(cache.find(ref) for ref in refs)


def test_an_evicted_blob_stays_readable_for_who_has_it_open(tmp_path):
    cache = BlobCache(tmp_path, limit=1000)
    ref = add(cache, 1, hours=2)
    with cache.path(ref).open("rb") as file:
        add(cache, 2)
        assert cache.find(ref) is None
        assert file.read() == blob(1)[1]


def test_what_a_killed_fetch_left_goes_after_a_day(tmp_path):
    cache = BlobCache(tmp_path)
    (tmp_path / "tmp").mkdir()
    for name, hours in (("old", 25), ("going-on", 23)):
        (tmp_path / "tmp" / name).write_bytes(b"half")
        when = time.time() - hours * 3600
        os.utime(tmp_path / "tmp" / name, (when, when))
    add(cache, 1)
    assert [path.name for path in (tmp_path / "tmp").iterdir()] == ["going-on"]


FETCH = """
import hashlib, sys, time
from pathlib import Path
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.format.manifest import BlobRef
data = bytes(range(256)) * 40000
ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
def fill(path):
    with path.open("wb") as file:
        for start in range(0, len(data), 1 << 20):
            file.write(data[start : start + (1 << 20)])
            file.flush()
            if start == 2 << 20:
                print("half way", flush=True)
            time.sleep(0.005)
    return ref.sha256
print("begin", flush=True)
while True:
    BlobCache(Path(sys.argv[1])).add(ref, fill, origin="there")
"""


def test_killed_fetches_beside_a_reader_never_show_half_a_blob(tmp_path):
    data = bytes(range(256)) * 40000
    ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    cache = BlobCache(tmp_path / "cache")
    root = Path(zoo_registry.__file__).parents[1]
    kills = 4
    for number in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH, str(tmp_path / "cache")], stdout=subprocess.PIPE, text=True, cwd=root
        )
        assert process.stdout.readline() == "begin\n" and process.stdout.readline() == "half way\n"
        time.sleep(0.01 * number)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=120)
        process.stdout.close()
        path = cache.path(ref)
        assert not path.exists() or path.read_bytes() == data
    assert cache.add(ref, filler(data), origin="here").read_bytes() == data
    assert cache.find(ref, verify=True) is not None


def test_a_full_disk_leaves_no_blob_and_says_so(tmp_path):
    cache = BlobCache(tmp_path)
    ref, data = blob(1)

    def full(path):
        filler(data)(path)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    with pytest.raises(StoreUnavailableError, match="No space") as caught:
        cache.add(ref, full, origin="here")
    assert "free some space" in caught.value.hint
    assert cache.find(ref) is None and cached_files(tmp_path) == []


def test_a_cache_that_cannot_be_tidied_or_dated_still_serves(tmp_path, monkeypatch, caplog):
    """As on a folder that may only be read, which a test run by root cannot make."""
    old, _ = (add(BlobCache(tmp_path), number, hours=2) for number in (1, 3))
    cache = BlobCache(tmp_path, limit=500)

    def refused(*args, **kwargs):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refused)
    assert cache.find(old, verify=True) is not None
    unlink = Path.unlink

    def unlink_temporary(path, missing_ok=False):
        unlink(path, missing_ok) if path.parent.name == "tmp" else refused()

    monkeypatch.setattr(Path, "unlink", unlink_temporary)
    ref, data = blob(2)
    assert cache.add(ref, filler(data), origin="here").read_bytes() == data
    assert "not tidied" in caplog.text


def test_damage_is_found(tmp_path):
    cache = BlobCache(tmp_path)
    refs = [add(cache, number) for number in range(3)]
    cache.path(refs[1]).write_bytes(b"\7" * 1000)
    cache.path(refs[2]).write_bytes(b"")
    found = {file.path.name: damage(file) for file in cached_files(tmp_path)}
    assert found[refs[0].sha256] is None
    assert "has sha256" in found[refs[1].sha256] and "has sha256 e3b0c442" in found[refs[2].sha256]
    listed = cached_files(tmp_path)
    cache.path(refs[1]).unlink()
    assert [damage(file) for file in listed if file.path.name == refs[1].sha256] == [None]


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x", ""])
def test_notes_stay_in_their_folder(tmp_path, key):
    cache = BlobCache(tmp_path / "cache")
    with pytest.raises(NameInvalidError):
        cache.remember("s3://a", key, b"x")
    with pytest.raises(NameInvalidError):
        cache.recall("s3://a", key)


def test_a_note_says_when_it_was_last_read_from_its_store(tmp_path):
    cache = BlobCache(tmp_path)
    assert cache.recalled_at("s3://a", "x.json") is None
    cache.remember("s3://a", "x.json", b"1")
    note = next(file.path for file in cached_files(tmp_path) if file.kind == "note")
    os.utime(note, (0, 0))
    assert cache.recalled_at("s3://a", "x.json") == 0
    cache.remember("s3://a", "x.json", b"1")
    assert cache.recalled_at("s3://a", "x.json") > 1e9, "the same bytes, seen again"
