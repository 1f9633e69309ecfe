"""One suite over every store: what checking and tidying a zoo relies on, and that both do no harm."""

import dataclasses
import hashlib
import threading
import time
from pathlib import Path

import pytest

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import ObjectNotFoundError, ZooNotFoundError
from zoo_registry.format.alias import Move
from zoo_registry.format.layout import alias_key, blob_key, manifest_key, move_key, trash_key
from zoo_registry.format.names import EntryName
from zoo_registry.store.folder import FolderStore
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.overview import overview
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"
SOON = 60.0
LATER = 10 * 86400.0


@pytest.fixture
def registry(store, tmp_path):
    return Registry(store, BlobCache(tmp_path / "cache"))


def blob(folder: Path, data: bytes) -> Path:
    path = folder / hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    return path


def put_blob(store, data: bytes) -> str:
    sha256 = hashlib.sha256(data).hexdigest()
    assert store.put_if_absent(blob_key(sha256), data)
    return sha256


def kinds(store, **options):
    return [found.kind.value for found in fsck(store, **options).findings]


def test_scan_tells_size_and_time(store):
    began = time.time()
    store.put_if_absent("x/2", b"12")
    store.put_if_absent("x/1", b"1")
    store.put_if_absent("y", b"")
    found = store.scan("x/")
    assert [(item.key, item.size) for item in found] == [("x/1", 1), ("x/2", 2)]
    assert all(began - 2 <= item.modified <= time.time() + 2 for item in found)
    assert store.top() == ["x", "y"]


def test_digest(store, tmp_path):
    told = []
    store.put_if_absent("a", b"abc")
    assert store.digest("a", progress=told.append) == (hashlib.sha256(b"abc").hexdigest(), 3)
    assert sum(told) == 3
    assert store.get_to_file("a", tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(ObjectNotFoundError):
        store.digest("b")


def test_move(store):
    store.put_if_absent("a", b"abc")
    store.move("a", "b/c")
    assert store.list("") == ["b/c"] and store.get("b/c") == b"abc"
    store.put_if_absent("a", b"abc")
    store.move("a", "b/c")
    assert store.list("") == ["b/c"]
    with pytest.raises(ObjectNotFoundError):
        store.move("a", "other")


def test_a_sound_zoo(registry, store, tmp_path):
    for n in range(3):
        registry.publish(ENTRY, {"n": n}, {"weights": blob(tmp_path, b"w%d" % n), "teacher": blob(tmp_path, b"t")})
    checked = fsck(store, deep=True)
    assert checked.findings == () and checked.is_sound
    assert (checked.entries, checked.releases, checked.aliases, checked.blobs, checked.size) == (1, 3, 1, 4, 7)


def test_every_kind_of_damage_is_found(registry, store, tmp_path):
    name = EntryName.parse(ENTRY)
    for n in range(4):
        registry.publish(ENTRY, {}, {"weights": blob(tmp_path, b"weights %d" % n)})
    registry.set_alias(ENTRY, "line-3", 2)
    keys = [blob_key(hashlib.sha256(b"weights %d" % n).hexdigest()) for n in range(4)]
    store.delete(keys[0])
    for key, data in ((keys[2], b"short"), (keys[3], b"weights !")):
        store.delete(key)
        store.put_if_absent(key, data)
    store.delete(manifest_key(name, 2))
    store.put_if_absent(manifest_key(EntryName.parse("rd/demo/tile"), 1), store.get(manifest_key(name, 1)))
    store.put_if_absent("entries/rd/demo/tile/aliases/champion.json", b"{}")
    store.put_if_absent("entries/rd/demo/tile/releases/000002.json", b"not JSON")
    store.put_if_absent("teachers/wide.json", b'{"weights": {"sha256": "%s", "size": 3}}' % (b"a" * 64))
    store.put_if_absent("notes.txt", b"mine")
    store.put_if_absent("probe/1234", b"")
    loose = blob_key(put_blob(store, b"loose"))
    found = {(one.kind.value, one.key) for one in fsck(store).findings}
    shallow = {
        ("blob-missing", keys[0]),
        ("blob-size", keys[2]),
        ("release-gap", manifest_key(name, 2)),
        ("alias-dangling", f"entries/{ENTRY}/aliases/line-3.json"),
        ("manifest-misplaced", "entries/rd/demo/tile/releases/000001.json"),
        ("manifest-damaged", "entries/rd/demo/tile/releases/000002.json"),
        ("alias-damaged", "entries/rd/demo/tile/aliases/champion.json"),
        ("blob-missing", blob_key("a" * 64)),
        ("foreign-file", "notes.txt"),
        ("leftover", "probe/1234"),
        ("unreferenced-blob", loose),
    }
    # Its manifest is gone, so that nothing refers to it any longer.
    assert found == shallow | {("unreferenced-blob", keys[1])}
    deep = fsck(store, deep=True)
    assert not deep.is_sound
    assert {one.kind.value for one in deep.findings if not one.kind.is_wrong} == {
        "release-gap", "foreign-file", "leftover", "unreferenced-blob"
    }  # fmt: skip
    damaged = {one.key for one in deep.findings if one.kind.value == "blob-damaged"}
    assert damaged == {keys[2], keys[3]}


def put_back(store, key, data):
    store.delete(key)
    assert store.put_if_absent(key, data)


def test_an_alias_that_was_put_back_by_hand_is_found_by_its_log(registry, store):
    for n in range(3):
        registry.publish(ENTRY, {"n": n}, {}, alias=None)
    key, name = alias_key(EntryName.parse(ENTRY), "line-3"), EntryName.parse(ENTRY)
    states = []
    for release in (1, 2, 3):
        registry.set_alias(ENTRY, "line-3", release)
        states.append(store.get(key))
    assert fsck(store).findings == ()
    put_back(store, key, states[0])
    (found,) = fsck(store).findings
    assert (found.kind.value, found.key, found.kind.is_wrong) == ("alias-replayed", key, True)
    assert found.what == "it says move 1, to release 1, and by the log's move 3 it points at release 3"
    forged = Move.parse(states[2])
    put_back(store, key, dataclasses.replace(forged, release=2, write_id="f" * 32).to_bytes())
    (found,) = fsck(store).findings
    assert (found.kind.value, found.what) == (
        "alias-replayed",
        "its move 3 is to release 2, and the log's is to release 3",
    )
    put_back(store, key, states[2])
    # A mover that was killed before it came to the log: the alias is one ahead, and nothing is wrong.
    store.delete(move_key(name, "line-3", 3))
    assert fsck(store).findings == ()
    registry.alias_log.delete(ENTRY, "line-3")
    assert fsck(store).findings == ()
    put_back(store, key, states[2])
    (found,) = fsck(store).findings
    assert found.what == "it says move 3, to release 3, and by the log's move 4 it was deleted"


def test_an_alias_that_is_moved_meanwhile_is_not_taken_for_an_old_one(registry, store):
    for n in range(2):
        registry.publish(ENTRY, {"n": n}, {}, alias="line-3")
    key = alias_key(EntryName.parse(ENTRY), "line-3")
    old, new = Move.parse(store.get(move_key(EntryName.parse(ENTRY), "line-3", 1))).to_bytes(), store.get(key)
    put_back(store, key, old)
    assert kinds(store) == ["alias-replayed"]
    asked = []

    def moved_when_read(wanted, **options):
        data = store.get(wanted, **options)
        if wanted == key:
            asked.append(wanted)
            put_back(store, key, new)
        return data

    assert kinds(_Answering(store, get=moved_when_read)) == []
    assert len(asked) == 2


class _Answering:
    """A store some of whose operations answer otherwise."""

    def __init__(self, store, **answers):
        self._store, self._answers = store, answers

    def __getattr__(self, name):
        return self._answers.get(name) or getattr(self._store, name)


def test_a_wrong_address_is_no_zoo(store, registry):
    if isinstance(store, FolderStore):
        with pytest.raises(ZooNotFoundError, match="no zoo at"):
            registry.list_entries()
    store.put_if_absent("photos/1.png", b"")
    for ask in (registry.list_entries, lambda: fsck(store)):
        with pytest.raises(ZooNotFoundError, match="holds photos"):
            ask()
    registry.publish(ENTRY, {}, {})
    assert registry.list_entries() == [EntryName.parse(ENTRY)]


def test_gc_removes_what_nothing_refers_to_and_is_old(registry, store, tmp_path):
    registry.publish(ENTRY, {}, {"weights": blob(tmp_path, b"weights"), "teacher": blob(tmp_path, b"teacher")})
    loose = put_blob(store, b"loose")
    kept = put_blob(store, b"of a teacher")
    store.put_if_absent("teachers/wide.json", b'{"sha256": "%s"}' % kept.encode())
    store.put_if_absent("probe/1234", b"")
    before = store.list("")
    assert collect(store, grace=7 * 86400).removed == ()
    dry = collect(store, grace=7 * 86400, dry_run=True, now=time.time() + LATER)
    assert (dry.removed, dry.freed, dry.referenced, len(dry.leftovers)) == ((loose,), 5, 3, 1)
    assert store.list("") == before
    done = collect(store, grace=7 * 86400, now=time.time() + LATER)
    assert done == dry
    assert set(before) - set(store.list("")) == {blob_key(loose), "probe/1234"}
    assert fsck(store, deep=True).is_sound


def test_a_manifest_that_cannot_be_read_keeps_its_blobs(registry, store, tmp_path):
    registry.publish(ENTRY, {}, {"weights": blob(tmp_path, b"weights")})
    key = manifest_key(EntryName.parse(ENTRY), 1)
    data = store.get(key)
    store.delete(key)
    store.put_if_absent(key, data.replace(b"kdzoo-manifest/1", b"kdzoo-manifest/9")[:-3])
    assert collect(store, grace=0, now=time.time() + LATER).removed == ()


class _Meddling:
    """A store in which something happens just before one operation, once."""

    def __init__(self, store, operation, happens):
        self._store, self._operation, self._happens = store, operation, happens

    def __getattr__(self, name):
        found = getattr(self._store, name)
        if name == self._operation and self._happens is not None:

            def meddled(*args, **options):
                happens, self._happens = self._happens, None
                if happens is not None:
                    happens()
                return found(*args, **options)

            return meddled
        return found


@pytest.mark.parametrize("operation", ["move", "delete"])
def test_a_blob_that_is_published_during_gc_stays(store, tmp_path, operation):
    """Before it is taken away, gc has read the manifests once; before it is deleted, twice."""
    put_blob(store, b"weights")
    other = Registry(store, BlobCache(tmp_path / "cache"))

    def publish():
        other.publish(ENTRY, {}, {"weights": blob(tmp_path, b"weights")})

    collect(_Meddling(store, operation, publish), grace=0, now=time.time() + LATER)
    assert fsck(store, deep=True).is_sound
    assert other.fetch(other.resolve(ENTRY), "weights").read_bytes() == b"weights"


def test_gc_between_blob_and_manifest_does_not_leave_a_dangling_release(store, tmp_path):
    def tidy():
        collect(store, grace=0, now=time.time() + LATER)

    class Slow(_Meddling):
        """gc runs when the blobs are sent and the manifest is not written yet."""

        def __getattr__(self, name):
            found = getattr(self._store, name)
            if name != "put_if_absent":
                return found

            def put(key, *args, **options):
                if "/releases/" in key:
                    tidy()
                return found(key, *args, **options)

            return put

    Registry(Slow(store, "", None), BlobCache(tmp_path / "cache")).publish(
        ENTRY, {}, {"weights": blob(tmp_path, b"weights")}
    )
    assert fsck(store, deep=True).is_sound


def test_a_killed_gc_is_gone_on_with(registry, store, tmp_path):
    made = registry.publish(ENTRY, {}, {"weights": blob(tmp_path, b"weights")})
    needed, loose = made.manifest.blobs["weights"].sha256, put_blob(store, b"loose")
    for sha256 in (needed, loose):
        store.move(blob_key(sha256), trash_key(sha256))
    assert kinds(store) == ["blob-missing", "leftover", "leftover"]
    done = collect(store, grace=7 * 86400)
    assert (done.restored, done.removed) == ((needed,), (loose,))
    assert kinds(store, deep=True) == []


def test_publishers_and_gc_at_once(store, tmp_path):
    """gc without any grace, over and over, while others publish blobs that are there already."""
    for n in range(6):
        put_blob(store, b"weights %d" % n)
    stop, failed = threading.Event(), []

    def tidy():
        while not stop.is_set():
            collect(store, grace=0, now=time.time() + SOON)

    def publish(writer):
        try:
            registry = Registry(store, BlobCache(tmp_path / f"cache{writer}"))
            (tmp_path / f"{writer}").mkdir()
            for n in range(4):
                source = blob(tmp_path / f"{writer}", b"weights %d" % ((n + writer) % 6))
                registry.publish(f"rd/demo/w{writer}", {}, {"weights": source})
        except Exception as error:
            failed.append(error)

    cleaner = threading.Thread(target=tidy)
    writers = [threading.Thread(target=publish, args=(n,)) for n in range(3)]
    for thread in (cleaner, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    cleaner.join()
    assert failed == []
    collect(store, grace=0, now=time.time() + LATER)
    checked = fsck(store, deep=True)
    assert checked.findings == () and checked.releases == 12


def test_overview_reads_one_listing_and_the_champions(registry, store):
    for entry in ("rd/demo/a", "rd/demo/b"):
        for n in range(3):
            registry.publish(entry, {"n": n}, {})
    registry.publish("rd/demo/c", {}, {}, alias=None)
    registry.set_alias("rd/demo/b", "champion", 1)
    store.delete("entries/rd/demo/a/releases/000003.json")
    rows = {row.entry.category: row for row in overview(registry)}
    assert [row.releases for row in rows.values()] == [(1, 2), (1, 2, 3), (1,)]
    assert rows["b"].manifest.document == {"n": 0} and rows["b"].problem is None
    assert rows["c"].manifest is None and rows["c"].problem is None
    assert rows["a"].manifest is None and "release 3" in rows["a"].problem
