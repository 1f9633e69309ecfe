"""A release that is pinned by its digest: the very bytes, or an error before anything is made of others."""

import pytest
from helpers.zoos import ENTRY, far_registry, publish

from zoo_registry import Manifest
from zoo_registry.errors import (
    EntryNotFoundError,
    ManifestInvalidError,
    NameInvalidError,
    ReleaseNotFoundError,
    StoreUnavailableError,
)


@pytest.fixture
def zoo(tmp_path):
    """Two releases; champion is the second."""
    for text in ("one", "two"):
        publish(tmp_path / "zoo", text)
    return tmp_path / "zoo"


def digests(zoo, tmp_path) -> list[str]:
    return [far_registry(zoo, tmp_path / "first").resolve(ENTRY, number).digest for number in (1, 2)]


def test_with_and_without_a_number(zoo, tmp_path):
    registry = far_registry(zoo, tmp_path / "cache")
    for number, digest in enumerate(digests(zoo, tmp_path), start=1):
        for pin in ({"release": number}, {}, {"alias": "line-3"}):
            assert registry.resolve(ENTRY, digest=digest, **pin).release == number
            assert registry.resolve(ENTRY, digest=digest, trust_cache=True, **pin).release == number


def test_another_release_under_the_number_is_refused_before_it_is_parsed(zoo, tmp_path, monkeypatch):
    one, two = digests(zoo, tmp_path)
    monkeypatch.setattr(Manifest, "parse", lambda *_, **__: pytest.fail("it was parsed"))
    for trust_cache in (False, True):
        registry = far_registry(zoo, tmp_path / "first")
        with pytest.raises(ManifestInvalidError, match="is not the one asked for") as error:
            registry.resolve(ENTRY, 2, digest=one, trust_cache=trust_cache)
        assert two in str(error.value)


def test_a_replaced_manifest_is_refused_also_from_the_cache(zoo, tmp_path):
    one, _ = digests(zoo, tmp_path)
    file = zoo / f"entries/{ENTRY}/releases/000001.json"
    file.chmod(0o644)
    file.write_bytes(file.read_bytes().replace(b'"one"', b'"own"'))
    with pytest.raises(ManifestInvalidError, match="asked for"):
        far_registry(zoo, tmp_path / "cache").resolve(ENTRY, 1, digest=one)
    with pytest.raises(ReleaseNotFoundError, match=one):
        far_registry(zoo, tmp_path / "cache").resolve(ENTRY, digest=one)
    assert far_registry(zoo, tmp_path / "first").resolve(ENTRY, 1, digest=one, trust_cache=True).release == 1


def test_a_cache_that_holds_another_is_read_again(zoo, tmp_path):
    one, _ = digests(zoo, tmp_path)
    kept = next((tmp_path / "first").rglob("000001.json"))
    kept.write_bytes(kept.read_bytes().replace(b'"one"', b'"own"'))
    told: list[str] = []
    registry = far_registry(zoo, tmp_path / "first", told=told)
    assert registry.resolve(ENTRY, 1, digest=one, trust_cache=True).document["note"] == "one"
    assert "read again" in told[-1]


def test_offline(zoo, tmp_path):
    one, two = digests(zoo, tmp_path)
    far_registry(zoo, tmp_path / "first").read_alias(ENTRY, "champion")
    offline = far_registry(zoo, tmp_path / "first", offline=True)
    assert offline.resolve(ENTRY, 1, digest=one).release == 1
    assert offline.resolve(ENTRY, digest=two).release == 2
    with pytest.raises(StoreUnavailableError):
        offline.resolve(ENTRY, digest=one)


def test_what_is_nowhere_and_what_is_none(zoo, tmp_path):
    registry = far_registry(zoo, tmp_path / "cache")
    with pytest.raises(ReleaseNotFoundError) as error:
        registry.resolve(ENTRY, digest=f"sha256:{'0' * 64}")
    assert error.value.hint == "its latest releases: 1, 2"
    with pytest.raises(EntryNotFoundError):
        registry.resolve("rd/demo/weav", digest=f"sha256:{'0' * 64}")
    for release in (None, 1):
        with pytest.raises(NameInvalidError):
            registry.resolve(ENTRY, release, digest="0" * 64)


def test_a_damaged_release_beside_it_does_not_matter(zoo, tmp_path):
    one, _ = digests(zoo, tmp_path)
    file = zoo / f"entries/{ENTRY}/releases/000002.json"
    file.chmod(0o644)
    file.write_bytes(b"{")
    assert far_registry(zoo, tmp_path / "cache").resolve(ENTRY, digest=one).release == 1
