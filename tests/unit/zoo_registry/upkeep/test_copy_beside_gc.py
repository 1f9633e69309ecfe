"""A copy into a zoo that somebody tidies at the same moment leaves no release without its blobs."""

import os
import threading
import time

import pytest
from helpers.zoos import ENTRY, publish

from zoo_registry import BlobRef, Registry
from zoo_registry.errors import BlobCorruptError
from zoo_registry.format.layout import blob_key
from zoo_registry.store.folder import FolderStore
from zoo_registry.upkeep.copying import copy
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.blob_upload import BlobSender


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def source(tmp_path):
    for number in range(4):
        publish(tmp_path / "source", f"weights {number}")
    return FolderStore(tmp_path / "source")


@pytest.fixture
def target(tmp_path):
    return FolderStore(tmp_path / "target")


def refs(source: FolderStore) -> list[BlobRef]:
    registry = Registry.open(source.uri, cache=source._root.parent / "cache")
    return [ref for number in registry.releases(ENTRY) for ref in registry.resolve(ENTRY, number).blobs.values()]


def lay_loose(source: FolderStore, target: FolderStore) -> None:
    """Puts all blobs of the source into the target, where nothing refers to them."""
    for ref in refs(source):
        target.put_if_absent(blob_key(ref.sha256), source.get(blob_key(ref.sha256)))


def tidy(target: FolderStore) -> tuple[str, ...]:
    return collect(target, grace=0, now=time.time() + 60).removed


def test_blobs_taken_away_before_the_first_manifest_stands_are_brought_again(source, target, monkeypatch):
    lay_loose(source, target)
    put, removed, counted = FolderStore.put_if_absent, [], []

    def meddled(store, key, *args, **options):
        if "/releases/" in key and not removed:
            removed.extend(tidy(store))
        return put(store, key, *args, **options)

    monkeypatch.setattr(FolderStore, "put_if_absent", meddled)
    done = copy(source, target, None, progress=lambda what, *numbers: counted.append((what, *numbers)))
    assert len(removed) == 5 and done.blobs == 5  # four weights and the teacher they share
    checked = fsck(target, deep=True)
    assert checked.findings == () and checked.releases == 4
    assert [told for told in counted if told[0] == "Copying"][-1] == ("Copying", done.size * 4, done.size * 4)


def test_copies_and_gc_without_any_grace_at_once(source, tmp_path):
    removed = 0
    for turn in range(4):
        target, stop = FolderStore(tmp_path / f"target{turn}"), threading.Event()
        lay_loose(source, target)
        counts: list[int] = []

        def tidy_on(store=target, until=stop, into=counts):
            while not until.is_set():
                into.append(len(tidy(store)))

        cleaner = threading.Thread(target=tidy_on)
        cleaner.start()
        try:
            copy(source, target, None)
        finally:
            stop.set()
            cleaner.join()
        removed += sum(counts)
        tidy(target)
        checked = fsck(target, deep=True)
        assert checked.findings == () and checked.releases == 4
    assert removed > 0, "nothing was taken away while something was copied"


def test_a_store_that_does_not_keep_a_blob_is_told_of(source, target, tmp_path):
    (ref, *_) = refs(source)
    (tmp_path / "blob").write_bytes(source.get(blob_key(ref.sha256)))

    class Forgetful(FolderStore):
        def put_if_absent(self, key, *args, **options):
            return True

    sender = BlobSender(Forgetful(tmp_path / "forgetful"), warn=lambda text: None)
    with pytest.raises(BlobCorruptError, match="does not have it"):
        sender.keep({ref: tmp_path / "blob"})
    sender = BlobSender(target, warn=lambda text: None)
    sender.keep({ref: tmp_path / "blob"})
    assert sender.missing([ref]) == [] and target.digest(blob_key(ref.sha256)) == (ref.sha256, ref.size)
