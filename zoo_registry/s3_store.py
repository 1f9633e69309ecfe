"""A store in an S3 bucket, at AWS or any server with conditional writes."""

from __future__ import annotations

import hashlib
import re
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)

from zoo_registry import files, s3_errors
from zoo_registry.errors import (
    NameInvalidError,
    ObjectTooLargeError,
    PublishStateUnknownError,
    RegistryError,
    StoreRefusedError,
    StoreUnavailableError,
)
from zoo_registry.files import Progress
from zoo_registry.s3_client import make_client
from zoo_registry.s3_multipart import MultipartUpload
from zoo_registry.store import SMALL, ObjectInfo, changed, check_key, check_prefix, not_found

WRITE_ID = "kdzoo-write-id"
MULTIPART_BYTES = 64 * 1024 * 1024
"""Blobs over this many bytes are sent in parts."""

_T = TypeVar("_T")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_TRIES = 6
_STREAM_TRIES = 3
# Nothing was sent, so there is nothing to be unsure about.
_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError, PartialCredentialsError)


class S3Store:
    """Objects in a bucket, under a prefix.

    Every object carries a write id in its metadata. When the server says that an object is already there, or the
    connection is lost, the id tells whether that is our own write, whose answer never came.

    Args:
        bucket: the bucket's name.
        prefix: what all keys start with, without ``/`` at its ends; may be empty.
        client: a boto3 S3 client; default one made on first use.
        multipart_bytes: blobs over this many bytes are sent in parts.

    Raises:
        NameInvalidError: bucket or prefix is not valid.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, client: Any = None, multipart_bytes: int = MULTIPART_BYTES
    ) -> None:
        if not _BUCKET.fullmatch(bucket):
            raise NameInvalidError(f"'{bucket}' is not the name of a bucket", hint="give s3://bucket/prefix")
        self._bucket = bucket
        self._prefix = f"{check_key(prefix)}/" if prefix else ""
        self._client = client
        self._lock = threading.Lock()
        self._multipart_bytes = multipart_bytes

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def is_remote(self) -> bool:
        """Always."""
        return True

    def get(self, key: str, *, max_bytes: int = SMALL) -> bytes:
        """The bytes of an object; see `Store.get`."""
        return self.read(key, max_bytes=max_bytes)[0]

    def read(self, key: str, *, max_bytes: int = SMALL) -> tuple[bytes, str]:
        """The bytes of an object and their etag; see `Store.read`."""

        def take(body: Any) -> bytes:
            data = bytearray()
            while chunk := body.read(files.CHUNK):  # to the very end: only there are length and checksum compared
                data += chunk
                if len(data) > max_bytes:
                    raise ObjectTooLargeError(f"{self._where(key)} holds more than {max_bytes} bytes")
            return bytes(data)

        return self._stream(key, take)

    def get_to_file(
        self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None
    ) -> None:
        """Writes an object to a new file; see `Store.get_to_file`. A broken stream is begun anew twice."""
        report = _Furthest(progress)

        def take(body: Any) -> None:
            report.restart()
            with files.storage_errors("write", path):
                path.unlink(missing_ok=True)  # what an earlier stream left
                files.copy(body, path, max_bytes=max_bytes, progress=report)

        self._stream(key, take)

    def put_if_absent(
        self,
        key: str,
        source: bytes | Path,
        *,
        write_id: str | None = None,
        sha256: str | None = None,
        progress: Progress | None = None,
    ) -> bool:
        """Creates an object unless there is one; see `Store.put_if_absent`."""
        check_key(key)
        mine = write_id or uuid.uuid4().hex
        if isinstance(source, bytes):
            data = source
        else:
            if self._head(key) is not None:  # spares sending a blob that is there
                return False
            with files.storage_errors("read", source):
                if source.stat().st_size > self._multipart_bytes:
                    return self._put_in_parts(key, source, mine, sha256, progress)
                with files.open_regular(source) as opened:
                    data = opened.read()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise changed(source, key, sha256)
        created = self._put(key, data, mine, {"IfNoneMatch": "*"})
        if progress is not None:
            progress(len(data))
        return created

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        """Replaces an object if it is still the one that was read; see `Store.compare_and_swap`."""
        condition = {"IfNoneMatch": "*"} if expected_etag is None else {"IfMatch": expected_etag}
        return self._put(check_key(key), data, uuid.uuid4().hex, condition)

    def list(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted; see `Store.list`."""
        check_prefix(prefix)
        found: list[str] = []
        try:
            pages = (
                self._s3().get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            )
            for page in pages:
                found.extend(item["Key"].removeprefix(self._prefix) for item in page.get("Contents", []))
        except (BotoCoreError, ClientError) as error:
            raise s3_errors.translate(error, "list", self._where(prefix)) from error
        return sorted(found)

    def delete(self, key: str) -> None:
        """Removes an object; see `Store.delete`."""
        try:
            self._s3().delete_object(Bucket=self._bucket, Key=self._prefix + check_key(key))
        except (BotoCoreError, ClientError) as error:
            raise s3_errors.translate(error, "delete", self._where(key)) from error

    def stat(self, key: str) -> ObjectInfo:
        """Size, etag and metadata of an object; see `Store.stat`."""
        info = self._head(key)
        if info is None:
            raise not_found(self.uri, key)
        return info

    def _s3(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = make_client(self.uri)
            return self._client

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def _open(self, key: str) -> Any:
        try:
            return self._s3().get_object(Bucket=self._bucket, Key=self._prefix + check_key(key))
        except ClientError as error:
            if s3_errors.code(error) in s3_errors.ABSENT:
                raise not_found(self.uri, key) from None
            raise s3_errors.translate(error, "read", self._where(key)) from error
        except BotoCoreError as error:
            raise s3_errors.translate(error, "read", self._where(key)) from error

    def _stream(self, key: str, take: Callable[[Any], _T]) -> tuple[_T, str]:
        """What ``take`` makes of an object's body, and the etag. A stream that breaks off is begun anew twice."""
        attempt = 0
        while True:
            answer = self._open(key)
            try:
                return take(answer["Body"]), str(answer["ETag"])
            except BotoCoreError as error:
                attempt += 1
                if attempt == _STREAM_TRIES:
                    raise s3_errors.translate(error, "read", self._where(key)) from error
            finally:
                answer["Body"].close()
            time.sleep(0.1 * 2**attempt)

    def _head(self, key: str) -> ObjectInfo | None:
        try:
            answer = self._s3().head_object(Bucket=self._bucket, Key=self._prefix + check_key(key))
        except ClientError as error:
            if s3_errors.code(error) in s3_errors.ABSENT:
                return None
            raise s3_errors.translate(error, "read", self._where(key)) from error
        except BotoCoreError as error:
            raise s3_errors.translate(error, "read", self._where(key)) from error
        return ObjectInfo(size=answer["ContentLength"], etag=answer["ETag"], metadata=answer.get("Metadata", {}))

    def _put(self, key: str, data: bytes, mine: str, condition: dict[str, str]) -> bool:
        """One conditional write; True when the object is ours, False when the condition was not met."""
        for attempt in range(_TRIES):
            try:
                self._s3().put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, Metadata={WRITE_ID: mine}, **condition
                )
                return True
            except (BotoCoreError, ClientError) as error:
                outcome = self._after(error, key, mine)
                if outcome is not None:
                    return outcome
            # 409: another write of the same key was under way. boto3 does not try that again.
            time.sleep(0.05 * 2**attempt)
        raise StoreUnavailableError(
            f"{self._where(key)} was being written by others {_TRIES} times in a row", hint="try again"
        )

    def _after(self, error: BotoCoreError | ClientError, key: str, mine: str) -> bool | None:
        """What became of a conditional write that raised: ours, not ours, or None when it is to be tried again.

        Raises:
            StoreUnavailableError: it was not written, and the store is at fault.
            StoreRefusedError: it was not written, and the store will not.
            PublishStateUnknownError: it cannot be known.
        """
        refused = isinstance(error, ClientError)
        number = s3_errors.status(error) if refused else 0
        named = s3_errors.code(error) if refused else ""
        if number == 404 and named != "NoSuchBucket":
            found = self._head(key)  # If-Match on nothing, or a finished multipart upload that was finished twice
            return found is not None and found.metadata.get(WRITE_ID) == mine
        if number in (409, 412):
            found = self._head(key)
            if found is not None and found.metadata.get(WRITE_ID) == mine:
                return True
            return None if number == 409 else False
        reason = s3_errors.translate(error, "write", self._where(key))
        if not isinstance(reason, StoreUnavailableError):
            raise reason from error
        try:
            found = self._head(key)
        except RegistryError as second:
            if isinstance(error, _NEVER_SENT):
                raise reason from error
            raise self._unknown(key, mine) from second
        if found is not None and found.metadata.get(WRITE_ID) == mine:
            return True
        if refused or isinstance(error, _NEVER_SENT):
            raise reason from error
        raise self._unknown(key, mine) from error

    def _unknown(self, key: str, mine: str) -> PublishStateUnknownError:
        return PublishStateUnknownError(
            f"{self._where(key)} may or may not have been written: the store did not answer (write id {mine})",
            hint="look at the entry's releases when the store is back, before publishing again",
        )

    def _put_in_parts(self, key: str, source: Path, mine: str, sha256: str | None, progress: Progress | None) -> bool:
        report = _Furthest(progress)
        for attempt in range(_TRIES):
            report.restart()
            upload = MultipartUpload(self._s3(), self._bucket, self._prefix + key, {WRITE_ID: mine})
            try:
                found = upload.send(source, report)
                if sha256 is not None and found != sha256:
                    raise changed(source, key, sha256)
            except (BotoCoreError, ClientError) as error:
                upload.abort()
                raise s3_errors.translate(error, "write", self._where(key)) from error
            except BaseException:
                upload.abort()
                raise
            try:
                upload.complete()
                return True
            except (BotoCoreError, ClientError) as error:
                try:
                    outcome = self._after(error, key, mine)
                except StoreRefusedError:
                    upload.abort()
                    raise  # any other error leaves it open whether the object is there: nothing is cleaned up
                if outcome is not True:
                    upload.abort()
                if outcome is not None:
                    return outcome
            time.sleep(0.05 * 2**attempt)
        raise StoreUnavailableError(
            f"{self._where(key)} was being written by others {_TRIES} times in a row", hint="try again"
        )


class _Furthest:
    """Reports each byte once, though a transfer may begin anew."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._told = 0
        self._now = 0

    def restart(self) -> None:
        self._now = 0

    def __call__(self, size: int) -> None:
        self._now += size
        if self._now > self._told and self._progress is not None:
            self._progress(self._now - self._told)
        self._told = max(self._told, self._now)
