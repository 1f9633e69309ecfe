"""Servers spell things otherwise: ETags without quotes, failures for losers, conditions that parts ignore."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from helpers.odd_servers import BareEtags, Spellings, joins_blindly
from helpers.s3_server import Fault

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import StoreRefusedError, StoreUnavailableError
from zoo_registry.store.proof import Dialect, Proof
from zoo_registry.store.s3 import multipart as s3_multipart
from zoo_registry.store.s3.store import S3Store
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"


@pytest.fixture
def client(s3):
    return s3.client(attempts=2)


@pytest.fixture
def bucket(s3, client):
    return s3.new_bucket(client)


@pytest.fixture
def speak(s3, monkeypatch):
    """Has the server behave oddly until the end of the test."""

    def start(oddity):
        monkeypatch.setattr(s3, "chaos", oddity)
        return oddity

    return start


def quoted(spelled):
    return [text.startswith('"') for text in spelled]


def test_the_other_spelling_is_tried_once_and_kept(client, bucket, speak):
    server = speak(BareEtags())
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    assert store.compare_and_swap("a", b"0", None)
    for n in range(3):
        assert store.compare_and_swap("a", b"%d" % (n + 1), store.read("a")[1])
    assert store.get("a") == b"3"
    assert quoted(server.spelled) == [True, False, False, False]


def test_a_swap_that_lost_stays_lost_in_both_spellings(client, bucket, speak):
    server = speak(BareEtags())
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")
    assert store.compare_and_swap("a", b"2", etag)
    assert store.compare_and_swap("a", b"3", etag) is False
    assert store.get("a") == b"2"
    assert quoted(server.spelled) == [True, False, False]


def test_a_server_with_quotes_never_hears_the_other(client, bucket, speak):
    server = speak(Spellings())
    store = S3Store(bucket, "zoo", client=client)
    store.prove()
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")
    assert store.compare_and_swap("a", b"2", etag)
    assert store.compare_and_swap("a", b"3", etag) is False
    assert len(server.spelled) > 16 and all(quoted(server.spelled))


def test_the_dialect_is_in_the_note(client, bucket, speak, tmp_path):
    server = speak(BareEtags())
    S3Store(bucket, "zoo", client=client, proof=Proof(tmp_path)).prove()
    store = S3Store(bucket, "zoo", client=client, proof=Proof(tmp_path))
    store.put_if_absent("a", b"1")
    server.spelled.clear()
    assert store.compare_and_swap("a", b"2", store.read("a")[1])
    assert quoted(server.spelled) == [False]


@pytest.mark.parametrize("wrong", [True, False])
def test_a_dialect_that_is_remembered_wrongly_is_found_out(client, bucket, speak, wrong):
    """Another server stands behind the address: what the note says is then as good as a first guess."""
    speak(Spellings() if wrong else BareEtags())
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given(Dialect(bare_etags=wrong)))
    store.put_if_absent("a", b"1")
    assert store.compare_and_swap("a", b"2", store.read("a")[1])
    assert store.get("a") == b"2"


def test_a_failure_for_those_who_lose_is_a_loss(client, bucket, speak):
    """Ceph answers them 500 UnknownError, where another's object is there to see."""
    speak(BareEtags(loser=("500 Internal Server Error", "UnknownError")))
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    store.put_if_absent("a", b"start")
    _, etag = store.read("a")
    gate = threading.Barrier(8)

    def swap(n):
        gate.wait(10)
        return store.compare_and_swap("a", b"writer %d" % n, etag)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(swap, range(8)))
    assert won.count(True) == 1 and store.get("a") == b"writer %d" % won.index(True)


def test_a_failure_of_the_server_alone_is_no_loss(s3, client, bucket):
    store = S3Store(bucket, "zoo", client=client, proof=Proof.given())
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")
    with s3.fault(method="PUT", status="500 Internal Server Error", code="UnknownError", times=9):
        with pytest.raises(StoreUnavailableError):
            store.compare_and_swap("a", b"2", etag)
        with pytest.raises(StoreUnavailableError):
            store.put_if_absent("b", b"1")
    assert store.get("a") == b"1"


def test_a_zoo_on_such_a_server(client, bucket, speak, tmp_path):
    speak(BareEtags())
    registry = Registry(S3Store(bucket, "zoo", client=client), BlobCache(tmp_path / "cache"))
    assert [registry.publish(ENTRY, {"n": n}, {}).release for n in range(2)] == [1, 2]
    registry.set_alias(ENTRY, "champion", 1)
    assert registry.read_alias(ENTRY, "champion").release == 1
    assert [move.release for move in registry.alias_log.moves(ENTRY, "champion")] == [1, 2, 1]


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * 400_000)
    return path


def test_an_upload_in_parts_does_not_replace_where_the_server_would(client, bucket, speak, large, monkeypatch):
    speak(joins_blindly)
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * 1024 * 1024)
    real = s3_multipart.MultipartUpload.send

    def send(self, source, progress):
        found = real(self, source, progress)
        if self._place["Key"].endswith("big"):  # somebody else is faster
            client.put_object(**self._place, Body=b"theirs")
        return found

    monkeypatch.setattr(s3_multipart.MultipartUpload, "send", send)
    store = S3Store(bucket, "zoo", client=client, multipart_bytes=1000)
    assert store.put_if_absent("big", large) is False
    assert store.get("big") == b"theirs"
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []


def test_an_upload_in_parts_is_given_up_when_it_cannot_be_looked_for_others(s3, client, bucket, large, monkeypatch):
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * 1024 * 1024)
    proof = Proof.given(Dialect(joins_blindly=True))
    store = S3Store(bucket, "zoo", client=client, multipart_bytes=1000, proof=proof)
    real = s3_multipart.MultipartUpload.send

    def send(self, source, progress):
        found = real(self, source, progress)
        s3.faults.append(Fault(method="HEAD", status="403 Forbidden", code="AccessDenied"))
        return found

    monkeypatch.setattr(s3_multipart.MultipartUpload, "send", send)
    try:
        with pytest.raises(StoreRefusedError):
            store.put_if_absent("big", large)
    finally:
        s3.faults.clear()
    assert client.list_multipart_uploads(Bucket=bucket).get("Uploads", []) == []
    assert store.list("") == []
