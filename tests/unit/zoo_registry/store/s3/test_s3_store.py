"""What only S3 can do wrong: lost answers, refusals, servers without conditional writes, damage on the way."""

import hashlib
import socket

import pytest
from botocore.exceptions import EndpointConnectionError

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import (
    BlobCorruptError,
    PublishStateUnknownError,
    StoreRefusedError,
    StoreUnavailableError,
)
from zoo_registry.store.probing import probe
from zoo_registry.store.proof import Proof
from zoo_registry.store.s3 import multipart as s3_multipart
from zoo_registry.store.s3.store import WRITE_ID, S3Store
from zoo_registry.zoo.registry import Registry

ENTRY = "rd/demo/weave"


@pytest.fixture(scope="module")
def client(s3):
    return s3.client(attempts=2)


@pytest.fixture
def bucket(s3, client):
    return s3.new_bucket(client)


@pytest.fixture
def store(bucket, client):
    return S3Store(bucket, "zoo", client=client, proof=Proof.given())


@pytest.fixture
def parts_store(bucket, client, monkeypatch):
    """Sends files over 1000 bytes in parts of 5 MiB, the least that S3 takes."""
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * 1024 * 1024)
    return S3Store(bucket, "zoo", client=client, multipart_bytes=1000, proof=Proof.given())


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef" * 400_000)
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def unfinished(client, bucket):
    return client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def test_the_write_id_is_kept(store):
    store.put_if_absent("a", b"1", write_id="f" * 32)
    assert store.stat("a").metadata[WRITE_ID] == "f" * 32


# --- lost answers


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_to_our_own_creation_is_no_conflict(s3, store, times):
    with s3.fault(method="PUT", contains="/a", lose_answer=True, times=times):
        assert store.put_if_absent("a", b"mine") is True
    assert store.get("a") == b"mine"


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_to_our_own_swap_is_no_conflict(s3, store, times):
    store.put_if_absent("a", b"1")
    _, etag = store.read("a")
    with s3.fault(method="PUT", contains="/a", lose_answer=True, times=times):
        assert store.compare_and_swap("a", b"2", etag) is True
    assert store.get("a") == b"2"


def test_a_lost_answer_to_a_refused_creation_is_a_conflict(s3, store):
    store.put_if_absent("a", b"theirs")
    with s3.fault(method="PUT", contains="/a", lose_answer=True, times=2):
        assert store.put_if_absent("a", b"mine") is False
    assert store.put_if_absent("a", b"mine") is False
    assert store.get("a") == b"theirs"


def test_when_the_store_is_gone_after_the_write_the_state_is_unknown(s3, store):
    with (
        s3.fault(method="PUT", contains="/a", lose_answer=True, times=2),
        s3.fault(method="HEAD", contains="/a", status="503 Slow Down", code="SlowDown", times=2),
        pytest.raises(PublishStateUnknownError, match="zoo/a"),
    ):
        store.put_if_absent("a", b"1")
    assert store.get("a") == b"1"


@pytest.fixture
def dies(client):
    """Has the server be gone for all who come after so many attempts to write."""
    handlers = []

    def after(attempts):
        left = [attempts]

        def before_send(request, **_):
            if left[0] <= 0:
                raise EndpointConnectionError(endpoint_url=request.url)
            left[0] -= 1

        handlers.append(before_send)
        client.meta.events.register("before-send.s3", before_send)

    yield after
    for handler in handlers:
        client.meta.events.unregister("before-send.s3", handler)


def test_killed_under_the_first_attempt_and_gone_at_the_second_the_state_is_unknown(s3, store, dies):
    """boto3 tells of the second alone, which was never sent."""
    dies(1)
    with s3.fault(method="PUT", lose_answer=True), pytest.raises(PublishStateUnknownError, match="may or may not"):
        store.put_if_absent("a", b"1")


def test_gone_from_the_first_attempt_on_nothing_is_unknown(store, dies):
    dies(0)
    with pytest.raises(StoreUnavailableError, match="Could not connect"):
        store.put_if_absent("a", b"1")


def test_killed_under_the_last_step_and_gone_then_the_state_is_unknown(s3, parts_store, large, client, bucket, dies):
    real = s3_multipart.MultipartUpload.complete

    def complete(self):
        dies(1)
        real(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(s3_multipart.MultipartUpload, "complete", complete)
        with s3.fault(method="POST", contains="uploadId", lose_answer=True), pytest.raises(PublishStateUnknownError):
            parts_store.put_if_absent("big", large)


def test_a_lost_answer_during_publish_makes_one_release(s3, store, tmp_path):
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    registry.probe()
    for part in ("releases", "aliases"):
        with s3.fault(method="PUT", contains=part, lose_answer=True, times=2):
            registry.publish(ENTRY, {"lost": part}, {})
    assert registry.releases(ENTRY) == [1, 2]
    assert registry.resolve(ENTRY).document == {"lost": "aliases"}


# --- refusals


def test_409_is_tried_again(s3, store):
    with s3.fault(method="PUT", contains="/a", status="409 Conflict", code="ConditionalRequestConflict", times=3):
        assert store.put_if_absent("a", b"1") is True
    store.put_if_absent("b", b"theirs")
    with s3.fault(method="PUT", contains="/b", status="409 Conflict", code="ConditionalRequestConflict"):
        assert store.put_if_absent("b", b"mine") is False


@pytest.mark.parametrize(
    ("status", "code", "kind", "hint"),
    [
        ("403 Forbidden", "AccessDenied", StoreRefusedError, "s3:PutObject"),
        ("403 Forbidden", "InvalidAccessKeyId", StoreRefusedError, "credentials"),
        ("400 Bad Request", "ExpiredToken", StoreRefusedError, "expired"),
        ("403 Forbidden", "RequestTimeTooSkewed", StoreRefusedError, "clock"),
        ("501 Not Implemented", "NotImplemented", StoreRefusedError, "another store"),
        ("503 Slow Down", "SlowDown", StoreUnavailableError, "later"),
        ("500 Internal Server Error", "InternalError", StoreUnavailableError, "later"),
    ],
)
def test_refusals_say_what_to_do(s3, store, status, code, kind, hint):
    asks = [("PUT", lambda: store.put_if_absent("a", b"1")), ("GET", lambda: store.get("a"))]
    for method, ask in asks:
        with s3.fault(method=method, status=status, code=code, times=9), pytest.raises(kind, match=code) as error:
            ask()
        assert hint in error.value.hint
    assert store.list("") == []


def test_no_bucket(client):
    store = S3Store("no-such-bucket-here", client=client, proof=Proof.given())
    for ask in (lambda: store.get("a"), lambda: store.list(""), lambda: store.put_if_absent("a", b"1")):
        with pytest.raises(StoreRefusedError, match="no such bucket"):
            ask()


def test_no_credentials(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url)
    with pytest.raises(StoreRefusedError, match="credentials") as error:
        S3Store("bucket").get("a")
    assert "AWS_ACCESS_KEY_ID" in error.value.hint


def test_a_profile_that_is_not_there(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(StoreRefusedError, match="nobody"):
        S3Store("bucket").get("a")


def test_the_endpoint_of_the_environment_is_used(s3, store, bucket, monkeypatch):
    store.put_if_absent("a", b"1")
    for name, value in (("ENDPOINT_URL", s3.url), ("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s")):
        monkeypatch.setenv(f"AWS_{name}", value)
    assert S3Store(bucket, "zoo").get("a") == b"1"


def test_nobody_there(s3):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    gone = type(s3)(url=f"http://127.0.0.1:{port}").client(attempts=1)
    store = S3Store("bucket", client=gone, proof=Proof.given())
    for ask in (lambda: store.get("a"), lambda: store.list(""), lambda: store.put_if_absent("a", b"1")):
        with pytest.raises(StoreUnavailableError) as error:
            ask()
        assert "AWS_ENDPOINT_URL" in error.value.hint


def test_a_server_that_ignores_conditions_is_refused_before_anything_is_published(s3, bucket, client, tmp_path):
    store = S3Store(bucket, "zoo", client=client)
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    with s3.fault(method="PUT", ignore_conditions=True, times=99), pytest.raises(StoreRefusedError, match="16 of 16"):
        registry.publish(ENTRY, {}, {})
    assert store.list("") == []


def test_a_server_that_ignores_if_match_is_refused(s3, store):
    class OnlyCreation:
        """Honours If-None-Match alone."""

        def __getattr__(self, name):
            return getattr(store, name)

        def compare_and_swap(self, key, data, etag):
            with s3.fault(method="PUT", ignore_conditions=True):
                return store.compare_and_swap(key, data, etag)

    with pytest.raises(StoreRefusedError, match="not there was replaced"):
        probe(OnlyCreation())
    assert store.list("") == []


def test_a_publisher_without_the_right_to_delete_can_publish(s3, bucket, client, tmp_path):
    store = S3Store(bucket, "zoo", client=client)
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    with s3.fault(method="DELETE", status="403 Forbidden", code="AccessDenied", times=9):
        assert registry.publish(ENTRY, {}, {}).release == 1


# --- damage on the way


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b"\1" + b[1:], lambda b: b + b"x"], ids=["cut", "flip", "longer"]
)
def test_a_blob_damaged_on_the_way_is_fetched_again(s3, store, tmp_path, change):
    said = []
    registry = Registry(store, BlobCache(tmp_path / "cache"), on_warning=said.append)
    (tmp_path / "w").write_bytes(b"weights")
    manifest = registry.publish(ENTRY, {}, {"w": tmp_path / "w"}).manifest
    with s3.fault(method="GET", contains="/blobs/", change=change):
        assert registry.fetch(manifest, "w").read_bytes() == b"weights"
    assert len(said) == 1 and "damaged" in said[0]
    (tmp_path / "cache" / "sha256" / sha256(tmp_path / "w")[:2] / sha256(tmp_path / "w")).unlink()
    with s3.fault(method="GET", contains="/blobs/", change=change, times=99), pytest.raises(BlobCorruptError):
        registry.fetch(manifest, "w")


# --- parts


def test_a_large_blob_is_sent_in_parts(s3, parts_store, large, tmp_path):
    told = []
    began = len(s3.requests)
    assert parts_store.put_if_absent("big", large, sha256=sha256(large), progress=told.append) is True
    sent = sorted(path for method, path in s3.requests[began:] if method == "PUT")
    assert len(sent) == 2 and "partNumber=1" in sent[0] and "partNumber=2" in sent[1]
    assert told == [5 * 1024 * 1024, 6_400_000 - 5 * 1024 * 1024]
    parts_store.get_to_file("big", tmp_path / "out")
    assert sha256(tmp_path / "out") == sha256(large)
    assert parts_store.put_if_absent("big", large) is False


def test_a_failed_upload_is_given_up(s3, parts_store, large, client, bucket):
    with (
        s3.fault(method="PUT", contains="partNumber=2", status="503 Slow Down", code="SlowDown", times=9),
        pytest.raises(StoreUnavailableError, match="SlowDown"),
    ):
        parts_store.put_if_absent("big", large)
    assert parts_store.list("") == []
    assert unfinished(client, bucket) == []


def test_a_file_that_changed_is_not_completed(parts_store, large, client, bucket):
    with pytest.raises(BlobCorruptError):
        parts_store.put_if_absent("big", large, sha256="0" * 64)
    assert parts_store.list("") == []
    assert unfinished(client, bucket) == []


@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_to_the_last_step_is_no_conflict(s3, parts_store, large, times):
    with s3.fault(method="POST", contains="uploadId", lose_answer=True, times=times):
        assert parts_store.put_if_absent("big", large, sha256=sha256(large)) is True
    assert parts_store.stat("big").size == large.stat().st_size


def test_somebody_faster_with_the_last_step(s3, parts_store, large, client, bucket):
    class Faster:
        """Lets another writer create the object just before the upload is completed."""

        def __getattr__(self, name):
            return getattr(client, name)

        def complete_multipart_upload(self, **request):
            client.put_object(Bucket=request["Bucket"], Key=request["Key"], Body=b"theirs")
            return client.complete_multipart_upload(**request)

    slow = S3Store(bucket, "zoo", client=Faster(), multipart_bytes=1000, proof=Proof.given())
    assert slow.put_if_absent("big", large) is False
    assert slow.get("big") == b"theirs"
    assert unfinished(client, bucket) == []


def test_409_at_the_last_step_begins_anew(s3, parts_store, large, client, bucket):
    told = []
    with s3.fault(method="POST", contains="uploadId", status="409 Conflict", code="ConditionalRequestConflict"):
        assert parts_store.put_if_absent("big", large, progress=told.append) is True
    assert sum(told) == large.stat().st_size
    assert unfinished(client, bucket) == []


# --- out of reach


def test_what_was_resolved_and_fetched_can_be_had_without_the_store(s3, store, tmp_path):
    said = []
    cache = BlobCache(tmp_path / "cache")
    online = Registry(store, cache, on_warning=said.append)
    (tmp_path / "w").write_bytes(b"weights")
    online.publish(ENTRY, {"n": 1}, {"w": tmp_path / "w"})
    manifest = online.resolve(ENTRY)
    online.fetch(manifest, "w")
    assert said == []

    with s3.fault(method="GET", status="503 Slow Down", code="SlowDown", times=99):
        assert online.resolve(ENTRY) == manifest
    assert len(said) == 2 and all("out of date" in sentence for sentence in said)

    began = len(s3.requests)
    offline = Registry(store, cache, offline=True, on_warning=said.append)
    assert offline.resolve(ENTRY) == offline.resolve(ENTRY, 1) == manifest
    assert offline.fetch(manifest, "w").read_bytes() == b"weights"
    for ask in (
        lambda: offline.resolve(ENTRY, 2),
        lambda: offline.resolve("rd/demo/tile"),
        lambda: offline.list_entries(),
        lambda: offline.publish(ENTRY, {}, {}),
        lambda: offline.set_alias(ENTRY, "champion", 1),
    ):
        with pytest.raises(StoreUnavailableError, match="offline"):
            ask()
    assert len(s3.requests) == began


def test_a_refusal_is_not_papered_over_by_the_cache(s3, store, tmp_path):
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    registry.publish(ENTRY, {}, {})
    registry.resolve(ENTRY)
    with (
        s3.fault(method="GET", status="403 Forbidden", code="AccessDenied", times=9),
        pytest.raises(StoreRefusedError),
    ):
        registry.resolve(ENTRY)


def test_a_cache_that_cannot_be_written_does_not_stop_resolve(store, tmp_path):
    (tmp_path / "file").write_text("in the way")
    said = []
    registry = Registry(store, BlobCache(tmp_path / "file" / "cache"), on_warning=said.append)
    registry.publish(ENTRY, {}, {})
    assert registry.resolve(ENTRY).release == 1
    assert len(said) == 2 and "not kept" in said[0]
