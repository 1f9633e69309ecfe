"""Signed releases: nothing that was changed, renamed or never signed passes for one."""

import dataclasses
import json
import os
import random
import shutil

import pytest
from helpers.zoos import ENTRY, FarFolder, far_registry, publish, tree

from zoo_registry import BlobCache, Registry
from zoo_registry.errors import (
    KeyInvalidError,
    ManifestInvalidError,
    RegistryError,
    SignatureError,
    StoreRefusedError,
    StoreUnavailableError,
)
from zoo_registry.format.document import release_document
from zoo_registry.format.signing import SigningKey, TrustedKeys
from zoo_registry.store.folder import FolderStore
from zoo_registry.store.identity import read_identity
from zoo_registry.zoo.signatures import parse_signature_key, signature_key, zoo_of_key

MUTATIONS = 1000


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch):
    """What a power cut would leave is not tested here, and many small files take their time to be synced."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture(scope="module")
def trusted(key) -> TrustedKeys:
    return TrustedKeys(keys=(key.public,), source="my keys")


@pytest.fixture
def zoo(tmp_path, key):
    """A zoo with one signed release."""
    release = publish(tmp_path / "zoo", "one")
    assert open_zoo(tmp_path / "zoo").signatures.add(release.manifest, key)
    return tmp_path / "zoo"


def open_zoo(folder, told=None) -> Registry:
    return Registry.open(folder, cache=folder.parent / "cache", on_warning=(told if told is not None else []).append)


def signature_name(zoo, key, release=1):
    return f"entries/{ENTRY}/signatures/{release:06d}/{read_identity(FolderStore(zoo)).id}/{key.public.key_id}.json"


def signature_file(zoo, key, release=1):
    path = zoo / signature_name(zoo, key, release)
    path.chmod(0o644)
    return path


def test_a_signed_release_passes(zoo, key, trusted):
    registry = open_zoo(zoo)
    manifest = registry.resolve(ENTRY)
    assert registry.signatures.require(manifest, trusted) == key.public
    assert [found.key_id for found in registry.signatures.of(manifest)] == [key.public.key_id]
    assert registry.signatures.add(manifest, key) is False


def test_one_of_several_keys_is_enough(zoo, key):
    several = TrustedKeys(keys=(SigningKey.generate().public, key.public), source="keys")
    registry = open_zoo(zoo)
    assert registry.signatures.require(registry.resolve(ENTRY), several) == key.public


def test_an_unsigned_release_and_another_key_are_refused(zoo, trusted):
    publish(zoo, "two")
    registry = open_zoo(zoo)
    with pytest.raises(SignatureError, match="release 2 is not signed by a key of 'my keys'") as error:
        registry.signatures.require(registry.resolve(ENTRY), trusted)
    assert f"kdzoo zoo sign {ENTRY} --release 2" in error.value.hint
    stranger = TrustedKeys(keys=(SigningKey.generate().public,), source="others")
    with pytest.raises(SignatureError, match="others"):
        registry.signatures.require(registry.resolve(ENTRY, 1), stranger)


class Held:
    """The small files of a zoo in memory, where a thousand changes take no time."""

    is_remote, uri = False, "memory"

    def __init__(self, folder) -> None:
        self.files = tree(folder)

    def get(self, key, *, max_bytes):
        return self.files[key][:max_bytes]


def test_a_thousand_changes_of_signed_bytes_and_signatures_never_pass(zoo, tmp_path, key, trusted):
    """Every changed byte ends in a refusal of the registry, whether the change can be parsed or not."""
    store, draw = Held(zoo), random.Random(7)
    registry = Registry(store, BlobCache(tmp_path / "c"))
    names = [f"entries/{ENTRY}/releases/000001.json", signature_name(zoo, key)]
    registry.signatures.require(registry.resolve(ENTRY, 1), trusted)
    got_as_far_as_the_signature = 0
    for number in range(MUTATIONS):
        name = names[number % 4 == 0]
        whole = store.files[name]
        at, kind = draw.randrange(len(whole)), draw.randrange(3)
        new = draw.choice([b" ", b"0", b"a", b"\n", bytes([draw.randrange(256)])])
        changed = whole[:at] + (b"" if kind == 0 else new) + whole[at + (kind != 2) :]
        store.files[name] = changed if changed != whole else whole + b" "
        try:
            manifest = registry.resolve(ENTRY, 1)
        except ManifestInvalidError:
            assert name == names[0]
        else:
            got_as_far_as_the_signature += 1
            with pytest.raises(SignatureError):
                registry.signatures.require(manifest, trusted)
        store.files[name] = whole
    assert got_as_far_as_the_signature > MUTATIONS / 3
    registry.signatures.require(registry.resolve(ENTRY, 1), trusted)


def test_a_signed_release_is_not_served_under_another_name_or_number(zoo, key, trusted):
    other = "rd/demo/milled"
    shutil.copytree(zoo / f"entries/{ENTRY}", zoo / f"entries/{other}")
    registry = open_zoo(zoo)
    with pytest.raises(ManifestInvalidError, match=ENTRY):
        registry.resolve(other, 1)
    # The name is mended in the manifest as an attacker would do: its bytes are others then.
    file = zoo / f"entries/{other}/releases/000001.json"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(ENTRY.encode(), other.encode()))
    with pytest.raises(SignatureError, match="of other bytes"):
        registry.signatures.require(registry.resolve(other, 1), trusted)
    publish(zoo, "worse")
    folder = zoo / f"entries/{ENTRY}/signatures"
    shutil.copytree(folder / "000001", folder / "000002")
    with pytest.raises(SignatureError, match="of other bytes"):
        registry.signatures.require(registry.resolve(ENTRY, 2), trusted)


def test_a_strangers_signature_under_a_trusted_name(zoo, key, trusted):
    registry = open_zoo(zoo)
    manifest = registry.resolve(ENTRY)
    made = SigningKey.generate().sign(manifest.signed_bytes, registry.identity().id)
    for data in (made.to_bytes(), made.to_bytes().replace(made.key_id.encode(), key.public.key_id.encode())):
        signature_file(zoo, key).write_bytes(data)
        with pytest.raises(SignatureError):
            registry.signatures.require(manifest, trusted)


def test_a_damaged_signature_is_left_out_of_the_list_and_replaced_by_signing(zoo, key, trusted):
    told: list[str] = []
    registry = open_zoo(zoo, told)
    manifest = registry.resolve(ENTRY)
    signature_file(zoo, key).write_bytes(b"{}")
    assert registry.signatures.of(manifest) == [] and "left out" in told[-1]
    assert registry.signatures.add(manifest, key) is True
    assert "is replaced" in told[-1]
    registry.signatures.require(manifest, trusted)


def test_from_the_cache_alone(zoo, tmp_path, key, trusted):
    far_registry(zoo, tmp_path / "c").signatures.require(far_registry(zoo, tmp_path / "c").resolve(ENTRY), trusted)
    zoo.rename(tmp_path / "gone")
    offline = far_registry(zoo, tmp_path / "c", offline=True)
    assert offline.signatures.require(offline.resolve(ENTRY), trusted) == key.public


def test_an_offline_release_whose_signature_was_never_read_is_refused(zoo, tmp_path, trusted):
    far_registry(zoo, tmp_path / "c").resolve(ENTRY)
    offline = far_registry(zoo, tmp_path / "c", offline=True)
    with pytest.raises(StoreUnavailableError, match="cannot be told whether"):
        offline.signatures.require(offline.resolve(ENTRY), trusted)


def test_a_manifest_that_was_changed_in_the_cache_is_refused(zoo, tmp_path, trusted):
    registry = far_registry(zoo, tmp_path / "c")
    registry.signatures.require(registry.resolve(ENTRY), trusted)
    kept = next((tmp_path / "c").rglob("000001.json"))
    kept.write_bytes(kept.read_bytes().replace(b'"one"', b'"two"'))
    offline = far_registry(zoo, tmp_path / "c", offline=True)
    with pytest.raises(SignatureError):
        offline.signatures.require(offline.resolve(ENTRY), trusted)


def test_a_signature_that_is_damaged_in_the_cache_is_read_again(zoo, tmp_path, key, trusted):
    told: list[str] = []
    registry = far_registry(zoo, tmp_path / "c", told=told)
    manifest = registry.resolve(ENTRY)
    registry.signatures.require(manifest, trusted)
    kept = next((tmp_path / "c").rglob(f"{key.public.key_id}.json"))
    kept.write_bytes(SigningKey.generate().sign(b"").to_bytes())
    assert registry.signatures.require(manifest, trusted) == key.public
    assert "read again" in told[-1]


def test_what_is_published_is_signed_before_an_alias_points_at_it(tmp_path, key, trusted, monkeypatch):
    writes: list[str] = []
    put, swap = FarFolder.put_if_absent, FarFolder.compare_and_swap
    monkeypatch.setattr(FarFolder, "put_if_absent", lambda self, k, *a, **o: writes.append(k) or put(self, k, *a, **o))
    monkeypatch.setattr(FarFolder, "compare_and_swap", lambda self, k, *a: writes.append(k) or swap(self, k, *a))
    registry = far_registry(tmp_path / "zoo", tmp_path / "cache")
    registry.signatures.sign_by(lambda: key)
    release = registry.publish(ENTRY, {}, {})
    assert release.alias == "champion"
    kinds = [part.split("/")[4] for part in writes if part.startswith("entries/")]
    assert kinds[:3] == ["releases", "signatures", "aliases"]
    assert registry.signatures.require(registry.resolve(ENTRY), trusted) == key.public


def test_without_its_key_nothing_is_published(tmp_path):
    def no_key():
        raise KeyInvalidError("no such key")

    registry = far_registry(tmp_path / "zoo", tmp_path / "cache")
    registry.signatures.sign_by(no_key)
    for act in (registry.probe, lambda: registry.publish(ENTRY, {}, {})):
        with pytest.raises(KeyInvalidError):
            act()
    assert not (tmp_path / "zoo").exists()


def test_a_signature_that_cannot_be_written_leaves_the_alias_where_it_was(tmp_path, key, monkeypatch):
    put = FarFolder.put_if_absent

    def refuse(self, name, *args, **options):
        if "/signatures/" in name:
            raise StoreRefusedError("no right to write signatures")
        return put(self, name, *args, **options)

    monkeypatch.setattr(FarFolder, "put_if_absent", refuse)
    registry = far_registry(tmp_path / "zoo", tmp_path / "cache")
    registry.signatures.sign_by(lambda: key)
    with pytest.raises(StoreRefusedError, match="release 1 is written, but not signed") as error:
        registry.publish(ENTRY, {}, {})
    assert f"kdzoo zoo sign {ENTRY} --release 1" in error.value.hint
    assert registry.releases(ENTRY) == [1] and registry.aliases(ENTRY) == {}


def test_keys_of_signatures_and_back(zoo, key):
    manifest = open_zoo(zoo).resolve(ENTRY)
    prefix = release_document(dataclasses.replace(manifest, release=3)).signatures
    name = signature_key(prefix, key.public.key_id)
    assert parse_signature_key(name) == (manifest.entry, 3, key.public.key_id)
    bound = signature_key(prefix, key.public.key_id, "ab" * 16)
    assert parse_signature_key(bound) == (manifest.entry, 3, key.public.key_id) and bound != name
    assert (zoo_of_key(bound), zoo_of_key(name), zoo_of_key("zoo.json")) == ("ab" * 16, None, None)
    for wrong in (
        name.replace("000003", "000000"),
        name.replace("rd/", "RD/"),
        name + "x",
        name.replace("/sig", "/sik"),
    ):
        assert parse_signature_key(wrong) is None
    with pytest.raises(RegistryError):
        signature_key(prefix, "../../x")


def test_a_replaced_manifest_is_signed_as_what_it_is_now(zoo, key):
    manifest = open_zoo(zoo).resolve(ENTRY)
    assert manifest.signed_bytes == (zoo / f"entries/{ENTRY}/releases/000001.json").read_bytes()
    other = dataclasses.replace(manifest, release=2)
    assert json.loads(other.signed_bytes)["release"] == 2
