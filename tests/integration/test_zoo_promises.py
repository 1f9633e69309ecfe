"""The promises of publishing and loading, each with its count: killed, raced, disturbed, damaged.

The counts are small by default. `ZOO_TEST_FULL=1 pytest tests/integration/test_zoo_promises.py` takes the full ones;
`ZOO_TEST_KILLS=10000` and so on set one.
"""

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import publishers
from helpers.chaos import Chaos
from helpers.counts import repeats

import zoo_registry
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import (
    BlobCorruptError,
    PublishStateUnknownError,
    StoreUnavailableError,
)
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.s3.store import S3Store
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.registry import Registry

KILLS = repeats("KILLS", 30, 500)
S3_KILLS = repeats("S3_KILLS", 10, 200)
PROCESSES = repeats("PROCESSES", 64, 64)
S3_PROCESSES = repeats("S3_PROCESSES", 8, 64)
DISTURBED = repeats("DISTURBED", 40, 1000)
DAMAGED = repeats("DAMAGED", 300, 1000)
LIMIT_S = 3600


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path):
    """A store, its address, and the environment that reaches it."""
    if request.param == "folder":
        return FolderStore(tmp_path / "zoo"), str(tmp_path / "zoo"), {}
    s3 = request.getfixturevalue("s3")
    client = s3.client()
    bucket = s3.new_bucket(client)
    return S3Store(bucket, "zoo", client=client), f"s3://{bucket}/zoo", s3.variables()


def run(command, uri, settings, scratch: Path, *numbers):
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, publishers.__file__, command, uri, str(scratch), *map(str, numbers)],
        env=os.environ | settings | {"PYTHONPATH": str(Path(zoo_registry.__file__).parents[1])},
        stdout=subprocess.PIPE,
        timeout=LIMIT_S,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.timeout(LIMIT_S)
def test_killed_at_random_points_the_zoo_is_sound(place, tmp_path):
    store, uri, settings = place
    count = KILLS if isinstance(store, FolderStore) else S3_KILLS
    assert run("kill", uri, settings, tmp_path / "scratch", count, 7)["killed"] == count
    checked = fsck(store, deep=True)
    assert checked.is_sound, checked.findings
    assert checked.releases > 1 and checked.aliases == 1
    # What the killed ones left is known as such, and gc removes it and nothing else.
    assert {found.kind.value for found in checked.findings} <= {"leftover", "unreferenced-blob"}
    collect(store, grace=0, now=1e11)
    assert fsck(store, deep=True).findings == ()
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    assert registry.publish(publishers.ENTRY, {}, {}).release == checked.releases + 1


@pytest.mark.timeout(LIMIT_S)
def test_many_processes_at_once_each_get_a_release(place, tmp_path):
    store, uri, settings = place
    count = PROCESSES if isinstance(store, FolderStore) else S3_PROCESSES
    done = run("race", uri, settings, tmp_path / "scratch", count)
    assert done["failed"] == 0
    assert sorted(release for _, release in done["won"]) == list(range(1, count + 1))
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    for writer, release in done["won"]:
        assert registry.resolve(publishers.ENTRY, release).document["writer"] == writer
    assert registry.read_alias(publishers.ENTRY, "champion").release == count
    assert fsck(store, deep=True).findings == ()


@pytest.mark.timeout(LIMIT_S)
def test_publishing_through_a_bad_network(tmp_path, s3, monkeypatch):
    """Each publish succeeds, or fails with a word that says so; none is lost, doubled, or in conflict with itself."""
    client = s3.client(attempts=3)
    store = S3Store(s3.new_bucket(client), "zoo", client=client)
    registry = Registry(store, BlobCache(tmp_path / "cache"), on_warning=lambda text: None)
    registry.probe()
    chaos = Chaos(seed=11, share=0.15)
    published, unsure, failed = {}, set(), set()
    with monkeypatch.context() as patch:
        patch.setattr(s3, "chaos", chaos)
        for n in range(DISTURBED):
            (tmp_path / "w").write_bytes(b"weights %d" % n)
            try:
                published[n] = registry.publish(publishers.ENTRY, {"n": n}, {"w": tmp_path / "w"}).release
            except PublishStateUnknownError:
                unsure.add(n)
            except (StoreUnavailableError, BlobCorruptError) as error:
                (unsure if "is written" in str(error) or "is published" in str(error) else failed).add(n)
    numbers = registry.releases(publishers.ENTRY)
    held = [registry.resolve(publishers.ENTRY, number).document["n"] for number in numbers]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(set(held)) == len(held), "a publish made two releases"
    assert all(held[release - 1] == n for n, release in published.items()), "a release is not what was published"
    assert set(held) - published.keys() <= unsure, "a publish failed and yet made a release"
    assert not failed & set(held)
    assert len(published) > 0.7 * DISTURBED
    assert len(chaos.met) >= 7 and sum(chaos.met.values()) > DISTURBED / 2


def test_damaged_blobs_are_never_loaded(tmp_path):
    """Bits flipped, ends cut or added: in the store, and in the cache."""
    dice = random.Random(5)
    data = dice.randbytes(5_000)
    (tmp_path / "w").write_bytes(data)
    store = FolderStore(tmp_path / "zoo")
    manifest = (
        Registry(store, BlobCache(tmp_path / "first")).publish("rd/demo/weave", {}, {"w": tmp_path / "w"}).manifest
    )
    sha256 = hashlib.sha256(data).hexdigest()
    lies = tmp_path / "zoo" / "blobs" / "sha256" / sha256[:2] / sha256
    cache = BlobCache(tmp_path / "cache")
    registry = Registry(store, cache, on_warning=lambda text: None)
    kept = cache.path(manifest.blobs["w"])
    kept.parent.mkdir(parents=True)
    refused = 0
    for n in range(DAMAGED):
        bad = damaged(dice, data)
        if n % 2:
            lies.write_bytes(bad)
            with pytest.raises(BlobCorruptError):
                registry.fetch(manifest, "w")
            assert not kept.exists()
        else:
            lies.write_bytes(data)
            kept.write_bytes(bad)
            assert registry.fetch(manifest, "w").read_bytes() == data
            kept.unlink()
        refused += 1
    assert refused == DAMAGED


def damaged(dice: random.Random, data: bytes) -> bytes:
    """Other bytes than ``data``, by little."""
    kind, at = dice.randrange(4), dice.randrange(len(data))
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data + dice.randbytes(1 + dice.randrange(100))
    return data[:at] + data[at + 1 :]
