"""One suite over every store: what the registry relies on, whichever it is."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import (
    BlobCorruptError,
    ConflictError,
    EntryNotFoundError,
    ManifestInvalidError,
    NameInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ReleaseNotFoundError,
)
from zoo_registry.format.layout import alias_key, blob_key, manifest_key
from zoo_registry.format.names import EntryName
from zoo_registry.store.probing import probe
from zoo_registry.store.protocol import Store
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"
THREADS = 8


@pytest.fixture
def registry(store, tmp_path) -> Registry:
    return Registry(store, BlobCache(tmp_path / "cache"))


def blob(folder: Path, data: bytes = b"weights") -> Path:
    path = folder / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return path


def together(work):
    """Runs work(0) .. work(7) at the same moment, each in a thread."""
    barrier = threading.Barrier(THREADS)

    def run(n):
        barrier.wait()
        return work(n)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_put_then_get(store):
    assert store.put_if_absent("a/b.json", b"one") is True
    assert store.get("a/b.json") == b"one"
    assert store.stat("a/b.json").size == 3


def test_second_put_changes_nothing(store, tmp_path):
    store.put_if_absent("a/b", b"one")
    assert store.put_if_absent("a/b", b"two") is False
    assert store.put_if_absent("a/b", blob(tmp_path, b"three")) is False
    assert store.get("a/b") == b"one"


def test_empty_object(store, tmp_path):
    assert store.put_if_absent("empty", b"") is True
    assert store.put_if_absent("empty-file", blob(tmp_path, b"")) is True
    assert store.get("empty") == store.get("empty-file") == b""


def test_absent_is_a_lookup_error(store, tmp_path):
    for ask in (store.get, store.read, store.stat):
        with pytest.raises(ObjectNotFoundError, match="a/missing"):
            ask("a/missing")
    with pytest.raises(LookupError):
        store.get_to_file("a/missing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_get_takes_no_more_than_asked(store, tmp_path):
    store.put_if_absent("a", b"12345")
    assert store.get("a", max_bytes=5) == b"12345"
    with pytest.raises(ObjectTooLargeError):
        store.get("a", max_bytes=4)
    with pytest.raises(ObjectTooLargeError):
        store.get_to_file("a", tmp_path / "out", max_bytes=4)


def test_file_round_trip_reports_every_byte_once(store, tmp_path):
    data = bytes(range(256)) * 12_000
    up, down = [], []
    source = blob(tmp_path, data)
    assert store.put_if_absent("big", source, sha256=source.name, progress=up.append)
    store.get_to_file("big", tmp_path / "out", max_bytes=len(data), progress=down.append)
    assert (tmp_path / "out").read_bytes() == data
    assert sum(up) == sum(down) == len(data)


def test_bytes_that_are_not_as_announced_are_not_written(store, tmp_path):
    with pytest.raises(BlobCorruptError):
        store.put_if_absent("a", blob(tmp_path, b"new"), sha256=hashlib.sha256(b"old").hexdigest())
    with pytest.raises(ObjectNotFoundError):
        store.stat("a")


def test_swap_needs_the_etag_that_was_read(store):
    assert store.compare_and_swap("a", b"1", None) is True
    assert store.compare_and_swap("a", b"other", None) is False
    data, etag = store.read("a")
    assert (data, store.stat("a").etag) == (b"1", etag)
    assert store.compare_and_swap("a", b"2", etag) is True
    assert store.compare_and_swap("a", b"3", etag) is False
    assert store.get("a") == b"2"


def test_swap_of_what_is_not_there(store):
    assert store.compare_and_swap("a", b"1", "0" * 32) is False
    assert store.list("") == []


def test_list_is_by_prefix_and_sorted(store):
    for key in ("x/2", "x/10", "x/1", "y/1", "xy"):
        store.put_if_absent(key, b"")
    assert store.list("x/") == ["x/1", "x/10", "x/2"]
    assert store.list("") == ["x/1", "x/10", "x/2", "xy", "y/1"]
    assert store.list("none/") == []


def test_delete_twice(store):
    store.put_if_absent("a/b", b"1")
    store.delete("a/b")
    store.delete("a/b")
    assert store.list("") == []


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/./b", ".tmp/a", "a\\b", "a\0", "a\n", "ä"]
)
def test_keys_that_could_leave_the_root_are_refused(store, key, tmp_path):
    for ask in (store.get, store.stat, store.delete):
        with pytest.raises(NameInvalidError):
            ask(key)
    with pytest.raises(NameInvalidError):
        store.put_if_absent(key, b"1")
    with pytest.raises(NameInvalidError):
        store.put_if_absent(key, blob(tmp_path))
    with pytest.raises(NameInvalidError):
        store.compare_and_swap(key, b"1", "etag")


def test_of_many_creators_one_wins(store):
    for key in ("race/1", "race/2", "race/3"):
        won = together(lambda n, key=key: store.put_if_absent(key, b"writer %d" % n))
        assert won.count(True) == 1
        assert store.get(key) == b"writer %d" % won.index(True)


def test_of_many_swappers_one_wins(store):
    store.put_if_absent("a", b"start")
    _, etag = store.read("a")
    won = together(lambda n: store.compare_and_swap("a", b"writer %d" % n, etag))
    assert won.count(True) == 1
    assert store.get("a") == b"writer %d" % won.index(True)


def test_of_two_who_send_the_same_large_blob_one_or_both_did_and_it_is_whole(store, tmp_path):
    """Large ones go in parts, and not every server honours a condition there: so they lie under their digest."""
    data = hashlib.sha256(b"large").digest() * (17 * 2**20 // 32)
    source = blob(tmp_path, data)
    key, gate = blob_key(source.name), threading.Barrier(2)

    def send(_):
        gate.wait(30)
        return store.put_if_absent(key, source, sha256=source.name)

    with ThreadPoolExecutor(2) as pool:
        assert any(pool.map(send, range(2)))
    assert store.digest(key) == (source.name, len(data))
    assert store.put_if_absent(key, source, sha256=source.name) is False
    assert [left.what for left in store.leftovers()] == []


def test_probe_is_passed_and_leaves_nothing(store):
    probe(store)
    assert store.list("") == []


def test_publish_resolve_fetch(registry, store, tmp_path):
    told = []
    made = registry.publish(
        ENTRY,
        {"threshold": 0.25, "note": "größer"},
        {"weights": blob(tmp_path), "teacher": blob(tmp_path, b"teacher bytes")},
        message="the first",
        media_types={"weights": "application/vnd.safetensors"},
        progress=told.append,
    )
    assert (made.release, made.alias, made.uploaded) == (1, "champion", ("weights", "teacher"))
    assert sum(told) == len(b"weights") + len(b"teacher bytes")
    found = registry.resolve(ENTRY)
    assert found == made.manifest
    assert found.document == {"threshold": 0.25, "note": "größer"}
    assert found.blobs["weights"].media_type == "application/vnd.safetensors"
    assert registry.fetch(found, "weights").read_bytes() == b"weights"
    assert registry.fetch(found, "teacher").read_bytes() == b"teacher bytes"
    digest = hashlib.sha256(b"weights").hexdigest()
    assert set(store.list("")) == {
        "zoo.json",
        "entries/rd/demo/weave/releases/000001.json",
        "entries/rd/demo/weave/aliases/champion.json",
        "entries/rd/demo/weave/history/champion/000001.json",
        f"blobs/sha256/{digest[:2]}/{digest}",
        blob_key(hashlib.sha256(b"teacher bytes").hexdigest()),
    }


def test_a_blob_is_sent_once(registry, tmp_path):
    teacher = blob(tmp_path, b"teacher")
    registry.publish(ENTRY, {}, {"teacher": teacher})
    told = []
    again = registry.publish("rd/demo/tile", {}, {"teacher": teacher}, progress=told.append)
    assert again.uploaded == ()
    assert sum(told) == 7


def test_releases_count_up_and_stay(registry, tmp_path):
    for n in (1, 2, 3):
        assert registry.publish(ENTRY, {"n": n}, {"weights": blob(tmp_path)}).release == n
    assert registry.releases(ENTRY) == [1, 2, 3]
    assert [registry.resolve(ENTRY, n).document["n"] for n in (1, 2, 3)] == [1, 2, 3]
    assert registry.read_alias(ENTRY, "champion").release == 3


def test_list_entries_and_aliases(registry, tmp_path):
    registry.publish("rd/demo/weave", {}, {}, alias=None)
    registry.publish("aand/demo/weave", {}, {})
    registry.set_alias("aand/demo/weave", "line-3", 1)
    assert registry.list_entries() == [EntryName("aand", "demo", "weave"), EntryName("rd", "demo", "weave")]
    assert {alias: at.release for alias, at in registry.aliases("aand/demo/weave").items()} == {
        "champion": 1,
        "line-3": 1,
    }
    assert registry.aliases("rd/demo/weave") == {}


def test_set_alias_back_and_with_expectation(registry):
    for _ in range(3):
        registry.publish(ENTRY, {}, {})
    seen = registry.read_alias(ENTRY, "champion")
    assert registry.set_alias(ENTRY, "champion", 1, expected=seen).release == 1
    with pytest.raises(ConflictError, match="release 1"):
        registry.set_alias(ENTRY, "champion", 2, expected=seen)
    with pytest.raises(ConflictError):
        registry.set_alias(ENTRY, "champion", 2, expected=None)
    assert registry.resolve(ENTRY).release == 1
    registry.set_alias(ENTRY, "champion", 2)
    assert registry.resolve(ENTRY).release == 2
    with pytest.raises(ConflictError, match="is not there"):
        registry.set_alias(ENTRY, "fresh", 2, expected=seen)
    registry.set_alias(ENTRY, "fresh", 2, expected=None)
    assert registry.resolve(ENTRY, alias="fresh").release == 2


def test_an_alias_never_points_at_nothing(registry):
    registry.publish(ENTRY, {}, {})
    with pytest.raises(ReleaseNotFoundError, match="release 2"):
        registry.set_alias(ENTRY, "champion", 2)
    assert registry.read_alias(ENTRY, "champion").release == 1


def test_what_is_missing_is_named_with_what_there_is(registry):
    with pytest.raises(EntryNotFoundError) as empty:
        registry.resolve(ENTRY)
    assert "empty" in empty.value.hint or "KDZOO_ZOO" in empty.value.hint
    made = registry.publish(ENTRY, {}, {})
    with pytest.raises(EntryNotFoundError, match="rd/demo/waeve") as wrong:
        registry.resolve("rd/demo/waeve")
    assert "rd/demo/weave" in wrong.value.hint
    with pytest.raises(ReleaseNotFoundError, match="release 7") as number:
        registry.resolve(ENTRY, 7)
    assert number.value.hint.endswith("1")
    with pytest.raises(ReleaseNotFoundError, match="release 0"):
        registry.resolve(ENTRY, 0)
    with pytest.raises(ReleaseNotFoundError, match="challenger"):
        registry.resolve(ENTRY, alias="challenger")
    with pytest.raises(ObjectNotFoundError, match="weights"):
        registry.fetch(made.manifest, "weights")


def test_a_document_that_is_not_json_is_refused_before_anything_is_written(registry, store, tmp_path):
    for document in ({"x": float("nan")}, {"path": tmp_path}, {"text": "\ud800"}):
        with pytest.raises(ManifestInvalidError):
            registry.publish(ENTRY, document, {"weights": blob(tmp_path)})
    assert store.list("") == []


def test_many_publishers_at_once(store, tmp_path):
    registries = [Registry(store, BlobCache(tmp_path / f"cache{n}")) for n in range(THREADS)]
    paths = [blob(tmp_path, b"weights %d" % n) for n in range(THREADS)]
    made = together(lambda n: registries[n].publish(ENTRY, {"writer": n}, {"weights": paths[n]}))
    assert sorted(release.release for release in made) == list(range(1, THREADS + 1))
    assert registries[0].releases(ENTRY) == list(range(1, THREADS + 1))
    for writer, release in enumerate(made):
        assert registries[0].resolve(ENTRY, release.release).document == {"writer": writer}
    assert registries[0].resolve(ENTRY).release == THREADS


def corrupt(store: Store, key: str, data: bytes) -> None:
    """Replaces an object behind the registry's back."""
    store.delete(key)
    assert store.put_if_absent(key, data)


@pytest.mark.parametrize(
    "damage", [b"", b"weight", b"weightz", b"weights\0", b"x" * 5000], ids=["empty", "cut", "flip", "longer", "huge"]
)
def test_a_damaged_blob_is_never_served(registry, store, tmp_path, damage):
    manifest = registry.publish(ENTRY, {}, {"weights": blob(tmp_path)}).manifest
    key = blob_key(manifest.blobs["weights"].sha256)
    corrupt(store, key, damage)
    with pytest.raises(BlobCorruptError):
        registry.fetch(manifest, "weights")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and "seen" not in path.parts] == []
    corrupt(store, key, b"weights")
    assert registry.fetch(manifest, "weights").read_bytes() == b"weights"


@pytest.mark.parametrize("damage", [b"", b"weightz", b"x" * 5000], ids=["empty", "flip", "huge"])
def test_publishing_again_mends_a_damaged_blob(store, tmp_path, damage):
    told = []
    first = Registry(store, BlobCache(tmp_path / "one")).publish(ENTRY, {}, {"weights": blob(tmp_path)}).manifest
    corrupt(store, blob_key(first.blobs["weights"].sha256), damage)
    again = Registry(store, BlobCache(tmp_path / "two"), on_warning=told.append)
    second = again.publish(ENTRY, {}, {"weights": blob(tmp_path)})
    assert second.uploaded == ("weights",) and "damaged" in told[0]
    for manifest in (first, second.manifest):
        assert again.fetch(manifest, "weights").read_bytes() == b"weights"


def test_a_missing_blob_is_named(registry, store, tmp_path):
    manifest = registry.publish(ENTRY, {}, {"weights": blob(tmp_path)}).manifest
    store.delete(blob_key(manifest.blobs["weights"].sha256))
    with pytest.raises(ObjectNotFoundError, match=manifest.blobs["weights"].sha256):
        registry.fetch(manifest, "weights")


def test_a_manifest_of_another_release_or_entry_is_refused(registry, store):
    registry.publish(ENTRY, {}, {})
    registry.publish("rd/demo/tile", {}, {})
    name = EntryName.parse(ENTRY)
    store.put_if_absent(manifest_key(name, 2), store.get(manifest_key(name, 1)))
    with pytest.raises(ManifestInvalidError, match="release 1"):
        registry.resolve(ENTRY, 2)
    corrupt(store, manifest_key(name, 1), store.get("entries/rd/demo/tile/releases/000001.json"))
    with pytest.raises(ManifestInvalidError, match="rd/demo/tile"):
        registry.resolve(ENTRY, 1)


def test_a_damaged_or_dangling_alias(registry, store):
    registry.publish(ENTRY, {}, {})
    key = alias_key(EntryName.parse(ENTRY), "champion")
    good = store.get(key)
    corrupt(store, key, good.replace(b'"release": 1', b'"release": 9'))
    with pytest.raises(ReleaseNotFoundError, match="release 9"):
        registry.resolve(ENTRY)
    for bad in (b"", b"{}", good[:-9], good.replace(b"1,", b"-1,"), good + b" " * 20_000):
        corrupt(store, key, bad)
        with pytest.raises(ManifestInvalidError, match="champion"):
            registry.resolve(ENTRY)
    with pytest.raises(ManifestInvalidError, match="release 2 is published, but"):
        registry.publish(ENTRY, {}, {})
    assert registry.releases(ENTRY) == [1, 2]


@pytest.mark.parametrize(
    "entry", ["rd/demo", "rd/demo/weave/x", "rd/../weave", "RD/demo/weave", "rd/demo/con", "rd/demo/weave."]
)
def test_bad_entry_names_write_nothing(registry, store, entry):
    with pytest.raises(NameInvalidError):
        registry.publish(entry, {}, {})
    with pytest.raises(NameInvalidError):
        registry.resolve(entry)
    assert store.list("") == []


def test_bad_alias_and_role_names_write_nothing(registry, store, tmp_path):
    with pytest.raises(NameInvalidError):
        registry.publish(ENTRY, {}, {}, alias="../champion")
    with pytest.raises(ManifestInvalidError):
        registry.publish(ENTRY, {}, {"../weights": blob(tmp_path)})
    with pytest.raises(ManifestInvalidError, match="weigths"):
        registry.publish(ENTRY, {}, {"weights": blob(tmp_path)}, media_types={"weigths": "a/b"})
    assert store.list("") == []
