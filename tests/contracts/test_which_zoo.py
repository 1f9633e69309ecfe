"""A zoo has one id on every store: two first writers agree on it, and whoever writes first gives it one."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format.manifest import BlobRef
from zoo_registry.format.signing import SigningKey
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.identity import claim_identity, read_identity
from zoo_registry.upkeep.copying import copy
from zoo_registry.upkeep.findings import Kind
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.registry import Registry
from zoo_registry.zoo.shelf import CardShelf

ENTRY = "rd/demo/weave"
THREADS = 8


@pytest.fixture
def registry(store, tmp_path) -> Registry:
    return Registry(store, BlobCache(tmp_path / "cache"))


def reopened(registry, tmp_path) -> Registry:
    return Registry(registry._store, BlobCache(tmp_path / "other-cache"))


def test_it_is_given_once_and_stays(store):
    assert read_identity(store) is None
    made = claim_identity(store)
    assert claim_identity(store) == read_identity(store) == made
    assert store.list("") == ["zoo.json"]


def test_first_writers_agree(store):
    store.prove()
    barrier = threading.Barrier(THREADS)

    def claim(_):
        barrier.wait()
        return claim_identity(store)

    with ThreadPoolExecutor(THREADS) as pool:
        found = set(pool.map(claim, range(THREADS)))
    assert found == {read_identity(store)}


def test_publishers_at_once_make_one_zoo(store, tmp_path):
    registries = [Registry(store, BlobCache(tmp_path / f"cache-{n}")) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        releases = list(pool.map(lambda one: one.publish(ENTRY, {}, {}).release, registries))
    assert sorted(releases) == [1, 2, 3, 4]
    assert {one.identity() for one in registries} == {read_identity(store)}


def test_reading_gives_none(store, registry, tmp_path):
    registry.publish(ENTRY, {}, {})
    store.delete("zoo.json")
    reader = reopened(registry, tmp_path)
    assert reader.resolve(ENTRY).release == 1 and reader.aliases(ENTRY) and reader.identity() is None
    found = fsck(store)
    assert found.is_sound and [one.kind for one in found.findings] == [Kind.IDENTITY_MISSING] and found.zoo is None
    assert collect(store, grace=0, dry_run=True).removed == ()
    assert "zoo.json" not in store.list("")


def put_teacher(registry, file):
    shelf = CardShelf(registry._store, BlobCache(file.parent / "c"), "teacher", offline=False, warn=print)
    sha256, size = FolderStore(file.parent).digest(file.name)
    card = b'{"sha256": "%s"}' % sha256.encode()
    shelf.put("resnet", card, BlobRef(sha256=sha256, size=size), file, check=lambda: None)


WRITES = {
    "publish": lambda registry, file: registry.publish(ENTRY, {}, {}),
    "set an alias": lambda registry, file: registry.set_alias(ENTRY, "line-3", 1),
    "delete an alias": lambda registry, file: registry.alias_log.delete(ENTRY, "champion"),
    "sign": lambda registry, file: registry.signatures.add(registry.resolve(ENTRY), SigningKey.generate()),
    "put a teacher": put_teacher,
    "copy into it": lambda registry, file: copy(_other(file.parent), registry._store, ["rd/demo/milled"]),
    "collect": lambda registry, file: collect(registry._store, grace=0),
}


def _other(folder) -> FolderStore:
    Registry.open(folder / "other", cache=folder / "c").publish("rd/demo/milled", {}, {})
    return FolderStore(folder / "other")


@pytest.mark.parametrize("kind", WRITES)
def test_any_kind_of_write_gives_an_older_zoo_its_id(store, registry, tmp_path, kind):
    file = tmp_path / "file"
    file.write_bytes(b"weights")
    registry.publish(ENTRY, {}, {"weights": file})
    store.delete("zoo.json")
    if kind == "collect":
        store.delete(f"entries/{ENTRY}/releases/000001.json")
    WRITES[kind](reopened(registry, tmp_path), file)
    found = read_identity(store)
    assert found is not None
    assert fsck(store).zoo == found.id
    assert [one for one in fsck(store).findings if "zoo.json" in one.key] == []


def test_a_damaged_and_a_foreign_one_are_found(store, registry):
    registry.publish(ENTRY, {}, {})
    mine = registry.identity()
    assert fsck(store, before=mine).is_sound
    store.delete("zoo.json")
    assert [one.kind for one in fsck(store, before=mine).findings] == [Kind.IDENTITY_FOREIGN]
    claim_identity(store)
    found = fsck(store, before=mine)
    assert not found.is_sound and [one.kind for one in found.findings] == [Kind.IDENTITY_FOREIGN]
    assert mine.id in found.findings[0].what
    store.delete("zoo.json")
    store.put_if_absent("zoo.json", b"{}")
    found = fsck(store)
    assert [one.kind for one in found.findings] == [Kind.IDENTITY_DAMAGED] and found.zoo is None
    with pytest.raises(ManifestInvalidError, match="is damaged"):
        claim_identity(store)


def test_a_copy_is_another_zoo(store, registry, tmp_path):
    registry.publish(ENTRY, {}, {})
    target = FolderStore(tmp_path / "target")
    assert copy(store, target, None).signed_for == ()
    assert read_identity(target) not in (None, registry.identity())
    registry.signatures.add(registry.resolve(ENTRY), SigningKey.generate())
    assert copy(store, target, None, dry_run=True).signed_for == (registry.identity().id,)
