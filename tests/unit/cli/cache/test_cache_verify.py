"""`kdzoo cache verify` on blobs that are whole, flipped and cut."""

import hashlib
import json

import pytest
from helpers.command import run

from kdzoo.settings import Settings
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.format.manifest import BlobRef


@pytest.fixture
def blobs():
    """Three cached blobs, of which the second has a flipped bit and the third is cut."""
    cache = BlobCache(Settings.from_environment().cache / "zoo")
    paths = []
    for number in range(3):
        data = bytes([number]) * 5000
        ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))

        def fill(to, data=data, digest=ref.sha256):
            to.write_bytes(data)
            return digest

        paths.append(cache.add(ref, fill, origin="here"))
    paths[1].write_bytes(b"\0" + b"\1" * 4999)
    paths[2].write_bytes(b"\2" * 4999)
    return paths


def test_damaged_blobs_are_named_and_removed(capsys, blobs):
    ran = run(capsys, "cache", "verify")
    assert ran.status == 1 and "--remove" in ran.err
    assert str(blobs[1]) in ran.out and str(blobs[2]) in ran.out and str(blobs[0]) not in ran.out
    assert "1 of 3 blobs" in ran.out
    assert all(path.exists() for path in blobs)

    removed = run(capsys, "cache", "verify", "--remove", "--json")
    told = json.loads(removed.out)
    assert removed.status == 0
    assert (told["blobs"], [item["path"] for item in told["damaged"]]) == (3, sorted(map(str, blobs[1:])))
    assert [path.exists() for path in blobs] == [True, False, False]
    assert run(capsys, "cache", "verify").status == 0


def test_a_cache_that_is_not_there_is_whole(capsys):
    ran = run(capsys, "cache", "verify")
    assert ran.status == 0 and "0 of 0 blobs" in ran.out
