"""Before its first conditional write a server proves them; one that cannot is written nothing to, whoever asks."""

import hashlib

import pytest
from helpers.counts import repeats
from helpers.odd_servers import ignores_conditions, joins_blindly, knows_no_parts, lists_no_uploads, swaps_nothing
from helpers.racy_server import racy_server
from helpers.s3_server import S3Server

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import StoreLacksError, StoreRefusedError
from zoo_registry.format.layout import blob_key
from zoo_registry.format.signing import SigningKey
from zoo_registry.store import probing
from zoo_registry.store.proof import Dialect, Proof
from zoo_registry.store.s3.store import S3Store
from zoo_registry.upkeep.fsck import fsck
from zoo_registry.upkeep.gc import collect
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"
RACY = repeats("RACY", 4, 100)
"""How often a server that looks first and writes then is proved."""
SHA256 = hashlib.sha256(b"loose").hexdigest()
LOOSE = blob_key(SHA256)


@pytest.fixture
def client(s3):
    return s3.client(attempts=2)


@pytest.fixture
def bucket(s3, client, tmp_path):
    """One with a zoo of two releases and a blob that nothing refers to."""
    name = s3.new_bucket(client)
    store = S3Store(name, "zoo", client=client, proof=Proof.given())
    registry = Registry(store, BlobCache(tmp_path / "first"))
    for n in range(2):
        registry.publish(ENTRY, {"n": n}, {})
    store.put_if_absent(LOOSE, b"loose")
    return name


def state(client, bucket):
    return {item["Key"]: item["ETag"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]}


WRITES = {
    "publish": lambda registry, store: registry.publish(ENTRY, {}, {}),
    "alias": lambda registry, store: registry.set_alias(ENTRY, "staging", 1),
    "move": lambda registry, store: registry.set_alias(ENTRY, "champion", 1),
    "delete": lambda registry, store: registry.alias_log.delete(ENTRY, "champion"),
    "sign": lambda registry, store: registry.signatures.add(registry.resolve(ENTRY, 1), SigningKey.generate()),
    "gc": lambda registry, store: collect(store, grace=0, now=1e11),
    "put": lambda registry, store: store.put_if_absent("a", b"1"),
    "swap": lambda registry, store: store.compare_and_swap("a", b"1", None),
    "bring back": lambda registry, store: store.move(LOOSE, "trash/x"),
}


@pytest.mark.parametrize("name", WRITES)
def test_no_write_is_done_where_conditions_are_ignored(s3, client, bucket, tmp_path, monkeypatch, name):
    store = S3Store(bucket, "zoo", client=client)
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    before = state(client, bucket)
    monkeypatch.setattr(s3, "chaos", ignores_conditions)
    with pytest.raises(StoreRefusedError, match="16 of 16 writers created the same object"):
        WRITES[name](registry, store)
    assert state(client, bucket) == before
    assert registry.resolve(ENTRY).release == 2  # it can still be read


def test_a_second_write_is_refused_as_the_first(s3, client, bucket, monkeypatch, tmp_path):
    monkeypatch.setattr(s3, "chaos", ignores_conditions)
    store = S3Store(bucket, "zoo", client=client, proof=Proof(tmp_path / "notes"))
    for _ in range(2):
        with pytest.raises(StoreRefusedError, match="no working conditional writes"):
            store.put_if_absent("a", b"1")


def test_what_was_proved_is_not_asked_again(s3, client, bucket, tmp_path):
    def writes():
        del s3.requests[:]
        store = S3Store(bucket, "zoo", client=client, proof=Proof(tmp_path / "notes"))
        for n in range(3):
            store.put_if_absent(f"a{len(s3.requests)}{n}", b"1")
        return sum(method == "PUT" for method, _ in s3.requests)

    assert writes() > 100
    assert writes() == 3


def test_readers_prove_nothing(s3, client, bucket, tmp_path):
    del s3.requests[:]
    registry = Registry(S3Store(bucket, "zoo", client=client), BlobCache(tmp_path / "cache"))
    registry.resolve(ENTRY)
    registry.list_entries()
    assert {method for method, _ in s3.requests} <= {"GET", "HEAD"}


def test_a_server_that_knows_no_swap_is_refused(s3, client, bucket, monkeypatch):
    monkeypatch.setattr(s3, "chaos", swaps_nothing)
    before = state(client, bucket)
    with pytest.raises(StoreRefusedError, match="no working conditional writes: it does not know them") as refused:
        S3Store(bucket, "zoo", client=client).prove()
    assert "If-Match" in refused.value.hint
    assert state(client, bucket) == before


def test_a_server_without_uploads_in_parts_is_refused(s3, client, bucket, monkeypatch):
    monkeypatch.setattr(s3, "chaos", knows_no_parts)
    before = state(client, bucket)
    with pytest.raises(StoreRefusedError, match="send in parts"):
        S3Store(bucket, "zoo", client=client).prove()
    assert state(client, bucket) == before


@pytest.mark.parametrize("blindly", [False, True])
def test_whether_parts_ignore_conditions_is_found_out(s3, client, bucket, monkeypatch, tmp_path, blindly):
    monkeypatch.setattr(s3, "chaos", joins_blindly if blindly else None)
    S3Store(bucket, "zoo", client=client, proof=Proof(tmp_path)).prove()
    known = Proof(tmp_path).need(f"s3://{bucket}/zoo {s3.url}", pytest.fail)
    assert known == Dialect(joins_blindly=blindly)


@pytest.mark.parametrize("window_ms", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("racy", [("create",), ("swap",)], ids=str)
def test_a_server_that_looks_and_then_writes_is_caught(racy, window_ms, monkeypatch):
    """By a proof that has its rounds: other tests may keep this machine from them for the time that a person waits."""
    monkeypatch.setattr(probing, "LONG_S", 60.0)
    with racy_server(window_ms, *racy) as url:
        client = S3Server(url=url).client()
        for n in range(RACY):
            store = S3Store(f"bucket{n}", "zoo", client=client)
            with pytest.raises(StoreRefusedError, match=r"of 16 writers"):
                store.prove()
            assert store.list("") == []


def test_the_same_server_without_a_window_is_taken():
    with racy_server(0, "nothing") as url:
        store = S3Store("bucket", "zoo", client=S3Server(url=url).client())
        store.prove()
        assert store.list("") == []


def test_uploads_that_cannot_be_listed_are_a_note(s3, client, bucket, monkeypatch):
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    monkeypatch.setattr(s3, "chaos", lists_no_uploads)
    with pytest.raises(StoreLacksError, match="NotImplemented"):
        store.leftovers()
    checked = fsck(store, deep=True)
    assert checked.is_sound
    (told,) = [found for found in checked.findings if found.kind.value == "leftovers-unknown"]
    assert "cannot be listed" in told.what and "server's own rules" in told.kind.advice
    done = collect(store, grace=0, now=1e11)
    assert done.removed == (SHA256,) and len(done.notes) == 1 and "cannot be listed" in done.notes[0]
