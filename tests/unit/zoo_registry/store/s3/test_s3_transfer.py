"""Large and small objects between S3 and here: in ranges, in parts, and with what goes wrong on the way."""

import hashlib

import boto3
import pytest
from botocore.config import Config
from helpers.s3_server import CREDENTIALS

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import (
    BlobCorruptError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreRefusedError,
    StoreUnavailableError,
)
from zoo_registry.store.open import open_store
from zoo_registry.store.proof import Proof
from zoo_registry.store.s3 import multipart as s3_multipart
from zoo_registry.store.s3 import reading as s3_reading
from zoo_registry.store.s3.store import S3Store
from zoo_registry.zoo.registry import Registry

KIB = 1024


@pytest.fixture(scope="module")
def client(s3):
    return s3.client(attempts=2)


@pytest.fixture
def store(s3, client, monkeypatch):
    monkeypatch.setattr(s3_reading, "RANGE_BYTES", 10 * KIB)
    return S3Store(s3.new_bucket(client), "zoo", client=client, proof=Proof.given())


@pytest.fixture
def large(tmp_path):
    """A file of nine and a half ranges, no two of which are the same."""
    path = tmp_path / "large"
    path.write_bytes(b"".join(b"%07d\n" % n for n in range(95 * KIB // 8)))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def gets(s3, began):
    return [path for method, path in s3.requests[began:] if method == "GET"]


def test_a_large_object_comes_in_ranges(s3, store, large, tmp_path):
    store.put_if_absent("big", large)
    began, told = len(s3.requests), []
    made = store.get_to_file("big", tmp_path / "out", progress=told.append)
    assert made == sha256(large) == sha256(tmp_path / "out")
    assert told == [10 * KIB] * 9 + [5 * KIB]
    assert len(gets(s3, began)) == 11  # one byte first, to see whether the server knows of ranges


def test_a_small_or_announced_small_object_comes_at_once(s3, store, large, tmp_path):
    store.put_if_absent("small", b"x" * 20 * KIB)
    store.put_if_absent("big", large)
    began = len(s3.requests)
    store.get_to_file("small", tmp_path / "out", max_bytes=20 * KIB)
    assert s3.requests[began:] == [("GET", s3.requests[-1][1])]
    with pytest.raises(ObjectTooLargeError):
        store.get_to_file("big", tmp_path / "big", max_bytes=20 * KIB)
    with pytest.raises(ObjectTooLargeError):
        store.get_to_file("big", tmp_path / "big2", max_bytes=90 * KIB)
    assert not (tmp_path / "big2").exists()
    with pytest.raises(ObjectNotFoundError):
        store.get_to_file("none", tmp_path / "none")


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b"", lambda b: b + b"x"], ids=["cut", "none", "more"])
def test_a_range_of_the_wrong_length_is_asked_for_again(s3, store, large, tmp_path, change):
    store.put_if_absent("big", large)
    with s3.fault(method="GET", contains="/big", times=3, change=lambda b: change(b) if len(b) > 1 else b):
        assert store.get_to_file("big", tmp_path / "out") == sha256(large)


def test_a_range_that_stays_wrong_is_an_error(s3, store, large, tmp_path):
    store.put_if_absent("big", large)
    with (
        s3.fault(method="GET", contains="/big", times=99, change=lambda b: b[:-1] if len(b) > 1 else b),
        pytest.raises(BlobCorruptError, match="were sent"),
    ):
        store.get_to_file("big", tmp_path / "out")


def test_a_flipped_byte_in_a_range_is_seen_by_the_digest(s3, store, large, tmp_path):
    registry = Registry(store, BlobCache(tmp_path / "cache"), on_warning=lambda text: None)
    manifest = registry.publish("rd/demo/weave", {}, {"w": large}).manifest
    with s3.fault(method="GET", contains="/blobs/", times=5, change=lambda b: b"\0" + b[1:]):
        assert sha256(registry.fetch(manifest, "w")) == sha256(large)


def test_an_object_replaced_between_two_ranges_is_not_mixed(client, store, large, tmp_path):
    """The rest is asked for under the etag of the first look."""
    store.put_if_absent("big", large)
    bucket = store.uri.split("/")[2]

    class Replacing:
        asked = 0

        def __getattr__(self, name):
            return getattr(client, name)

        def get_object(self, **request):
            Replacing.asked += 1
            if Replacing.asked == 2:
                client.put_object(Bucket=bucket, Key="zoo/big", Body=large.read_bytes()[::-1])
            return client.get_object(**request)

    with pytest.raises(StoreUnavailableError, match="replaced while it was read"):
        S3Store(bucket, "zoo", client=Replacing(), proof=Proof.given()).get_to_file("big", tmp_path / "out")


def test_a_server_without_ranges_is_read_as_one_stream(client, store, large, tmp_path):
    store.put_if_absent("big", large)

    class NoRanges:
        def __getattr__(self, name):
            return getattr(client, name)

        def get_object(self, **request):
            request.pop("Range", None)
            return client.get_object(**request)

    bucket = store.uri.split("/")[2]
    assert S3Store(bucket, "zoo", client=NoRanges(), proof=Proof.given()).get_to_file(
        "big", tmp_path / "out"
    ) == sha256(large)


def test_parts_are_sent_side_by_side_and_joined_in_order(client, store, tmp_path, monkeypatch):
    monkeypatch.setattr(s3_multipart, "PART_BYTES", 5 * KIB * KIB)
    path = tmp_path / "large"
    path.write_bytes(b"".join(bytes([n]) * KIB * KIB for n in range(17)))
    told = []
    parts = S3Store(store.uri.split("/")[2], "zoo", client=client, multipart_bytes=KIB, proof=Proof.given())
    assert parts.put_if_absent("big", path, sha256=sha256(path), progress=told.append)
    assert told == [5 * KIB * KIB] * 3 + [2 * KIB * KIB]
    assert parts.digest("big") == (sha256(path), 17 * KIB * KIB)


def test_an_upload_of_a_killed_writer_is_a_leftover(client, store):
    bucket = store.uri.split("/")[2]
    client.create_multipart_upload(Bucket=bucket, Key="zoo/blobs/x")
    client.create_multipart_upload(Bucket=bucket, Key="other/y")
    (left,) = store.leftovers()
    assert left.what == "unfinished upload of blobs/x"
    store.remove_leftover(left)
    store.remove_leftover(left)
    assert store.leftovers() == []
    assert [one["Key"] for one in client.list_multipart_uploads(Bucket=bucket)["Uploads"]] == ["other/y"]


def test_a_flipped_byte_in_a_small_file_is_found_without_the_servers_checksums(s3, store):
    store.put_if_absent("a.json", b'{"release": 3}')
    flip = {"method": "GET", "contains": "a.json", "change": lambda b: b.replace(b"3", b"7")}
    with s3.fault(**flip, times=2):
        assert store.get("a.json") == b'{"release": 3}'
    with s3.fault(**flip, times=9), pytest.raises(BlobCorruptError, match=r"a\.json"):
        store.get("a.json")


def test_412_for_an_object_that_is_not_there_is_tried_again(s3, store):
    with s3.fault(method="PUT", contains="/a", status="412 Precondition Failed", code="PreconditionFailed"):
        assert store.put_if_absent("a", b"1") is True
    assert store.get("a") == b"1"


def test_a_write_that_never_arrived_is_sent_again(store, client):
    from botocore.exceptions import ConnectionClosedError

    class Lossy:
        lost = 0

        def __getattr__(self, name):
            return getattr(client, name)

        def put_object(self, **request):
            Lossy.lost += 1
            if Lossy.lost == 1:
                raise ConnectionClosedError(endpoint_url="http://store")
            return client.put_object(**request)

    assert S3Store(store.uri.split("/")[2], "zoo", client=Lossy(), proof=Proof.given()).put_if_absent("a", b"1") is True
    assert Lossy.lost == 2


def test_at_an_endpoint_of_ones_own_the_bucket_stands_in_the_path(s3, client, monkeypatch):
    """A name that is no address: only there would boto3 put the bucket into the host's name."""
    bucket = s3.new_bucket(client)
    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.url.replace("127.0.0.1", "localhost"))
    began = len(s3.requests)
    assert open_store(f"s3://{bucket}/zoo").list("") == []
    assert s3.requests[began][1].startswith(f"/{bucket}?")


def test_a_profile_in_a_file_is_used(s3, client, monkeypatch, tmp_path):
    bucket = s3.new_bucket(client)
    (tmp_path / "credentials").write_text("[line3]\naws_access_key_id = k\naws_secret_access_key = s\n")
    (tmp_path / "config").write_text(f"[profile line3]\nregion = us-east-1\nendpoint_url = {s3.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "line3")
    assert open_store(f"s3://{bucket}").put_if_absent("a", b"1") is True


def test_without_credentials_publishing_says_so_once(s3, tmp_path, caplog):
    keyless = boto3.session.Session(region_name="us-east-1").client(
        "s3", endpoint_url=s3.url, config=Config(retries={"total_max_attempts": 1})
    )
    registry = Registry(S3Store("some-bucket", client=keyless), BlobCache(tmp_path / "cache"))
    with pytest.raises(StoreRefusedError, match="credentials"):
        registry.publish("rd/demo/weave", {}, {})
    assert caplog.records == []


def test_no_secret_stands_in_a_message(s3, client):
    store = S3Store("no-such-bucket-here", client=client, proof=Proof.given())
    with pytest.raises(StoreRefusedError) as error:
        store.put_if_absent("a", b"1")
    assert CREDENTIALS["aws_secret_access_key"] not in f"{error.value} {error.value.hint} {error.value.__cause__}"


def test_a_damaged_listing_is_no_foreign_error(s3, store):
    store.put_if_absent("a", b"1")
    damage = {"method": "GET", "contains": "list-type"}
    with (
        s3.fault(**damage, change=lambda b: b.replace(b"<LastModified>2", b"<LastModified>$")),
        pytest.raises(StoreUnavailableError, match="damaged"),
    ):
        store.list("")


def test_a_listing_that_names_another_release_leaves_no_number_out(s3, store, tmp_path):
    registry = Registry(store, BlobCache(tmp_path / "cache"))
    registry.publish("rd/demo/weave", {}, {})
    with (
        s3.fault(method="GET", contains="list-type", change=lambda b: b.replace(b"000001", b"000009")),
        pytest.raises(StoreUnavailableError, match="lists release 9"),
    ):
        registry.publish("rd/demo/weave", {}, {})
    assert registry.publish("rd/demo/weave", {}, {}).release == 2


@pytest.mark.parametrize(("wanted", "word"), [("when_supported", b"CRC32"), ("when_required", None)])
def test_an_upload_in_parts_is_begun_with_the_word_that_its_parts_are_sent_with(s3, store, large, wanted, word):
    """S3 refuses parts with a checksum that the upload was not begun with."""
    config = Config(request_checksum_calculation=wanted, s3={"addressing_style": "path"})
    client = boto3.session.Session(**CREDENTIALS).client("s3", endpoint_url=s3.url, config=config)
    asked = []

    def note(request, **_):
        said = {
            name.lower(): value.encode() if isinstance(value, str) else value for name, value in request.headers.items()
        }
        asked.append((request.method, said))

    client.meta.events.register("before-send.s3", note)
    parts = S3Store(store.uri.split("/")[2], "zoo", client=client, multipart_bytes=KIB, proof=Proof.given())
    assert parts.put_if_absent("big", large, sha256=sha256(large))
    begun = next(said for method, said in asked if method == "POST")
    (sent,) = (said for method, said in asked if method == "PUT")
    assert begun.get("x-amz-checksum-algorithm") == sent.get("x-amz-sdk-checksum-algorithm") == word
    assert ("x-amz-checksum-crc32" in sent) == (word is not None)
