"""What is kept of one zoo is never served as another's, whatever their addresses."""

import shutil

import pytest
from helpers.zoos import ENTRY, FarFolder, publish

from zoo_registry import BlobCache, Registry
from zoo_registry.errors import ManifestInvalidError, StoreRefusedError, StoreUnavailableError


class Server(FarFolder):
    """One of several servers that have the same address."""

    uri = "s3://models/zoo"
    name = "https://a"
    reads_identity = True
    is_up = True

    @property
    def server(self):
        return self.name

    def read(self, key, **options):
        if not self.is_up:
            raise StoreUnavailableError("no network")
        if key == "zoo.json" and not self.reads_identity:
            raise StoreRefusedError("403")
        return super().read(key, **options)


def server(folder, name="https://a", **state) -> Server:
    made = Server(folder)
    made.name = name
    for key, value in state.items():
        setattr(made, key, value)
    return made


def registry(store, tmp_path, told=None, **options) -> Registry:
    warn = (told if told is not None else []).append
    return Registry(store, BlobCache(tmp_path / "cache"), on_warning=warn, **options)


@pytest.fixture
def zoos(tmp_path):
    """Two zoos, with different releases under one number."""
    for name in ("staging", "production"):
        publish(tmp_path / name, name)
    return tmp_path / "staging", tmp_path / "production"


def note(registry, **options) -> str:
    return registry.resolve(ENTRY, 1, trust_cache=True, **options).document["note"]


@pytest.mark.parametrize("with_ids", [True, False])
def test_two_servers_of_one_address_are_not_mixed_up(zoos, tmp_path, with_ids):
    staging, production = zoos
    if not with_ids:
        for folder in zoos:
            (folder / "zoo.json").unlink()
    for _ in range(2):
        assert note(registry(server(staging), tmp_path)) == "staging"
        assert note(registry(server(production, "https://b"), tmp_path)) == "production"
        assert registry(server(production, "https://b"), tmp_path).resolve(ENTRY).document["note"] == "production"
    down = registry(server(production, "https://b", is_up=False), tmp_path)
    assert down.resolve(ENTRY).document["note"] == "production"
    assert note(registry(server(production, "https://b", is_up=False), tmp_path, offline=True)) == "production"
    with pytest.raises(StoreUnavailableError, match="not in the cache"):
        note(registry(server(production, "https://c"), tmp_path, offline=True))


def test_a_zoo_at_another_server_is_the_same_and_is_read_once_more(zoos, tmp_path):
    store = server(zoos[0])
    note(registry(store, tmp_path))
    moved = registry(server(zoos[0], "https://new"), tmp_path)
    assert moved.identity() == registry(store, tmp_path).identity()
    with pytest.raises(StoreUnavailableError):
        note(registry(server(zoos[0], "https://new", is_up=False), tmp_path))
    assert note(moved) == "staging"
    assert note(registry(server(zoos[0], "https://new", is_up=False), tmp_path)) == "staging"


def test_a_copy_made_file_by_file_goes_its_own_way(zoos, tmp_path):
    """It has the same id; by what either publishes afterwards, they are two."""
    synced = tmp_path / "synced"
    shutil.copytree(zoos[0], synced)
    for folder, words in ((zoos[0], "staging's 2"), (synced, "the copy's 2")):
        publish(folder, words)
    for _ in range(2):
        for name, folder, words in (("https://a", zoos[0], "staging's 2"), ("https://b", synced, "the copy's 2")):
            made = registry(server(folder, name), tmp_path)
            assert made.resolve(ENTRY, 2, trust_cache=True).document["note"] == words
            assert made.resolve(ENTRY).document["note"] == words
    down = registry(server(zoos[0], is_up=False), tmp_path)
    assert down.resolve(ENTRY).document["note"] == "staging's 2"


def test_who_may_not_read_the_id_goes_by_address_and_server(zoos, tmp_path):
    staging, production = zoos
    one = registry(server(staging, reads_identity=False), tmp_path)
    other = registry(server(production, "https://b", reads_identity=False), tmp_path)
    assert (note(one), note(other), note(one)) == ("staging", "production", "staging")
    assert one.identity() is None


def test_another_zoo_at_the_same_place_is_told_of_and_what_was_kept_is_not_used(zoos, tmp_path, monkeypatch):
    staging, production = zoos
    told: list[str] = []
    assert note(registry(server(staging), tmp_path)) == "staging"
    monkeypatch.setattr("zoo_registry.cache.place.WHILE_S", 0)
    changed = registry(server(production), tmp_path, told)
    assert changed.identity() != registry(server(staging), tmp_path).identity()
    assert len(told) == 1 and "another zoo lies at s3://models/zoo (https://a) than before" in told[0]
    assert note(changed) == "production"


def test_a_damaged_id_is_an_error_that_says_what_it_is(zoos, tmp_path):
    (zoos[0] / "zoo.json").chmod(0o644)
    (zoos[0] / "zoo.json").write_bytes(b"{}")
    for act in (
        lambda zoo: note(zoo),
        lambda zoo: zoo.publish(ENTRY, {}, {}),
        lambda zoo: zoo.set_alias(ENTRY, "line-3", 1),
    ):
        with pytest.raises(ManifestInvalidError, match="which says what zoo it is, is damaged") as error:
            act(registry(server(zoos[0]), tmp_path))
        assert "put it back from a copy" in error.value.hint
    assert not (zoos[0] / f"entries/{ENTRY}/releases/000002.json").exists()


def test_a_kept_id_that_is_damaged_is_asked_for_again(zoos, tmp_path):
    zoo = registry(server(zoos[0]), tmp_path)
    note(zoo)
    kept = list((tmp_path / "cache").rglob("zoo.json"))
    assert len(kept) == 1
    kept[0].write_bytes(b"{")
    assert registry(server(zoos[0]), tmp_path).identity() == zoo.identity()
    shutil.rmtree(tmp_path / "cache")
    assert note(registry(server(zoos[0]), tmp_path)) == "staging"
