"""The cache of what comes from zoos, also for those who can write to none."""

import hashlib
from pathlib import Path

import pytest

from kdzoo.blob_cache import open_cache
from kdzoo.settings import Settings
from zoo_registry import BlobCache
from zoo_registry.errors import StoreUnavailableError
from zoo_registry.format.manifest import BlobRef
from zoo_registry.store.files import write_synced

DATA = b"weights"
REF = BlobRef(sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA))


def fill(path: Path) -> str:
    write_synced(path, DATA)
    return REF.sha256


@pytest.fixture(params=["a file", "nothing that can be made"])
def no_home(request, tmp_path):
    """What stands where the home should be."""
    if request.param == "a file":
        (tmp_path / "home").write_text("")
        return tmp_path / "home"
    return Path("/proc/nonexistent/.kdzoo")


def test_without_a_home_blobs_are_kept_aside_with_a_note(no_home):
    told = []
    cache = open_cache(Settings.from_environment({"KDZOO_HOME": str(no_home)}), warn=told.append)
    assert cache.find(REF) is None
    kept = cache.add(REF, fill, origin="a zoo")
    assert kept.read_bytes() == DATA and cache.find(REF, verify=True) == kept
    cache.add(REF, fill, origin="a zoo")
    assert len(told) == 1 and "KDZOO_CACHE" in told[0] and str(no_home) in told[0]
    aside = kept.parents[2]
    assert aside.name.startswith("kdzoo-cache-")
    del cache
    assert not aside.exists(), "it goes with who made it"


def test_a_cache_that_can_be_written_is_used(tmp_path):
    told = []
    cache = open_cache(Settings.from_environment({"KDZOO_HOME": str(tmp_path)}), warn=told.append)
    assert cache.add(REF, fill, origin="a zoo").is_relative_to(tmp_path / "cache" / "zoo")
    assert told == []


def test_what_cannot_be_written_names_the_variable(no_home):
    with pytest.raises(StoreUnavailableError) as failed:
        BlobCache(no_home / "cache").add(REF, fill, origin="a zoo")
    assert "KDZOO_CACHE" in failed.value.hint and "KDZOO_HOME" in failed.value.hint
