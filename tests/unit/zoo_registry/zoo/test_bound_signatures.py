"""A signature counts in the zoo that it was made for: staging's release 1 never passes for production's."""

import shutil

import pytest
from helpers.zoos import ENTRY, FarFolder, far_registry, publish

from zoo_registry import BlobCache, Registry
from zoo_registry.errors import SignatureError
from zoo_registry.format.identity import Identity
from zoo_registry.format.signing import SigningKey, TrustedKeys
from zoo_registry.store.folder import FolderStore


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def trusted(key) -> TrustedKeys:
    return TrustedKeys(keys=(key.public,), source="my keys")


def open_zoo(folder) -> Registry:
    return Registry.open(folder, cache=folder.parent / "cache", on_warning=lambda text: None)


def signed(folder, text, key, *, bound=True):
    release = publish(folder, text)
    assert open_zoo(folder).signatures.add(release.manifest, key, bound=bound)
    return folder


def swapped(staging, production):
    """Production's entry as somebody left it who copied staging's files over it."""
    shutil.rmtree(production / "entries")
    shutil.copytree(staging / "entries", production / "entries")
    shutil.copytree(staging / "blobs", production / "blobs", dirs_exist_ok=True)
    return open_zoo(production)


def test_stagings_release_and_signature_do_not_pass_for_productions(tmp_path, key, trusted):
    staging, production = (signed(tmp_path / name, name, key) for name in ("staging", "production"))
    registry = open_zoo(production)
    found = registry.signatures.find(registry.resolve(ENTRY), trusted)
    assert (found.key, found.zoo) == (key.public, registry.identity().id)
    registry, other = swapped(staging, production), open_zoo(staging).identity()
    with pytest.raises(SignatureError, match=f"one of key {key.public.key_id}, for zoo {other.id}, which does not"):
        registry.signatures.require(registry.resolve(ENTRY, 1), trusted)


def test_nor_under_the_names_that_productions_would_have(tmp_path, key, trusted):
    staging, production = (signed(tmp_path / name, name, key) for name in ("staging", "production"))
    registry = swapped(staging, production)
    folder = production / f"entries/{ENTRY}/signatures/000001"
    (folder / open_zoo(staging).identity().id).rename(folder / registry.identity().id)
    with pytest.raises(SignatureError, match="does not hold"):
        registry.signatures.require(registry.resolve(ENTRY), trusted)


def older(folder) -> None:
    """The zoo as a version without ids left it."""
    (folder / "zoo.json").unlink()


def test_an_older_zoos_signatures_hold_as_what_they_are(tmp_path, key, trusted):
    zoo = signed(tmp_path / "zoo", "one", key, bound=False)
    older(zoo)
    registry = open_zoo(zoo)
    assert registry.identity() is None
    assert registry.signatures.find(registry.resolve(ENTRY, 1), trusted).zoo is None
    publish(zoo, "two")  # the next write gives it an id
    registry = open_zoo(zoo)
    assert registry.identity() is not None
    assert registry.signatures.find(registry.resolve(ENTRY, 1), trusted).zoo is None


def test_of_a_later_release_a_signature_without_a_zoo_does_not_count(tmp_path, key, trusted):
    zoo = signed(tmp_path / "zoo", "one", key)
    registry = signed(zoo, "two", key, bound=False) and open_zoo(zoo)
    with pytest.raises(SignatureError, match="not bound to a zoo, which does not count here; this is zoo") as error:
        registry.signatures.require(registry.resolve(ENTRY, 2), trusted)
    assert f"kdzoo zoo sign {ENTRY} --release 2" in error.value.hint
    assert registry.signatures.add(registry.resolve(ENTRY, 2), key)
    registry.signatures.require(registry.resolve(ENTRY, 2), trusted)
    assert len(registry.signatures.of(registry.resolve(ENTRY, 2))) == 2


def test_who_names_zoos_counts_no_others(tmp_path, key, trusted):
    zoo = signed(tmp_path / "zoo", "one", key)
    registry = open_zoo(zoo)
    manifest, own = registry.resolve(ENTRY), registry.identity().id
    registry.signatures.require(manifest, trusted, signed_for=["0" * 32, own])
    with pytest.raises(SignatureError):
        registry.signatures.require(manifest, trusted, signed_for=["0" * 32])
    bare = signed(tmp_path / "bare", "one", key, bound=False)
    older(bare)
    registry = open_zoo(bare)
    registry.signatures.require(registry.resolve(ENTRY), trusted)
    with pytest.raises(SignatureError):
        registry.signatures.require(registry.resolve(ENTRY), trusted, signed_for=[own])


@pytest.mark.parametrize("now", ["another", "none"])
def test_a_zoo_that_became_another_is_not_trusted(tmp_path, key, trusted, now, monkeypatch):
    zoo = signed(tmp_path / "zoo", "one", key, bound=False)
    older(zoo)
    FolderStore(zoo).put_if_absent("zoo.json", Identity.new().to_bytes())
    told: list[str] = []
    far_registry(zoo, tmp_path / "c").resolve(ENTRY)
    (zoo / "zoo.json").unlink()
    if now == "another":
        FolderStore(zoo).put_if_absent("zoo.json", Identity.new().to_bytes())
    monkeypatch.setattr("zoo_registry.cache.place.WHILE_S", 0)
    for _ in range(2):
        registry = Registry(FarFolder(zoo), BlobCache(tmp_path / "c"), on_warning=told.append)
        with pytest.raises(SignatureError, match="another zoo lies at"):
            registry.signatures.require(registry.resolve(ENTRY), trusted)
        assert "another zoo lies at" in told[-1]
    note = told[-1].rpartition("remove ")[2]
    FolderStore(tmp_path).delete(note.removeprefix(f"{tmp_path}/"))
    registry = Registry(FarFolder(zoo), BlobCache(tmp_path / "c"), on_warning=told.append)
    registry.signatures.require(registry.resolve(ENTRY), trusted)
