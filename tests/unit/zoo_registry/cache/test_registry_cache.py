"""The cache: only checked bytes get in, nothing half written is ever served."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.zoos import filler

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import BlobCorruptError, StoreUnavailableError
from zoo_registry.format.manifest import BlobRef

DATA = bytes(range(256)) * 5000
REF = BlobRef(sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA))


@pytest.fixture
def cache(tmp_path) -> BlobCache:
    return BlobCache(tmp_path / "cache")


def test_add_then_find(cache, tmp_path):
    assert cache.find(REF) is None
    path = cache.add(REF, filler(DATA), origin="here")
    assert path == tmp_path / "cache" / "sha256" / REF.sha256[:2] / REF.sha256
    assert cache.find(REF) == cache.find(REF, verify=True) == path
    assert path.read_bytes() == DATA


@pytest.mark.parametrize(
    "wrong", [b"", DATA[:-1], DATA + b"x", b"\1" + DATA[1:]], ids=["empty", "cut", "longer", "flip"]
)
def test_wrong_bytes_do_not_get_in(cache, tmp_path, wrong):
    with pytest.raises(BlobCorruptError, match="from there"):
        cache.add(REF, filler(wrong), origin="there")
    assert cache.find(REF) is None
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failed_fill_leaves_nothing(cache, tmp_path):
    def fill(to):
        to.write_bytes(DATA[:10])
        raise StoreUnavailableError("gone")

    with pytest.raises(StoreUnavailableError, match="gone"):
        cache.add(REF, fill, origin="there")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_damaged_file_is_not_served(cache):
    path = cache.add(REF, filler(DATA), origin="here")
    path.write_bytes(DATA[:-1])
    assert cache.find(REF) is None
    path.write_bytes(b"\1" + DATA[1:])
    assert cache.find(REF, verify=True) is None
    assert cache.add(REF, filler(DATA), origin="here").read_bytes() == DATA


def test_many_at_once(cache):
    barrier = threading.Barrier(8)

    def work(n):
        barrier.wait()
        return cache.add(REF, filler(DATA), origin="here").read_bytes() == DATA

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailableError, match="file/cache") as error:
        BlobCache(tmp_path / "file" / "cache").add(REF, filler(DATA), origin="here")
    assert isinstance(error.value, OSError) and error.value.hint


def test_notes_are_by_store_and_replaced(cache):
    assert cache.recall("s3://a", "x/y.json") is None
    cache.remember("s3://a", "x/y.json", b"1")
    cache.remember("s3://a", "x/y.json", b"2")
    assert cache.recall("s3://a", "x/y.json") == b"2"
    assert cache.recall("s3://b", "x/y.json") is None
