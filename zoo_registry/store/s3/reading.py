"""Reads from S3: small objects whole, large ones in ranges at a time, broken streams begun anew."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry.errors import BlobCorruptError, ObjectTooLargeError, StoreUnavailableError
from zoo_registry.parallel import in_order
from zoo_registry.store import files
from zoo_registry.store.files import Progress
from zoo_registry.store.protocol import not_found
from zoo_registry.store.s3 import errors as s3_errors
from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.progress import Furthest
from zoo_registry.store.s3.writing import SHA256

RANGE_BYTES = 8 * 1024 * 1024
"""Bytes of one range; an object of up to two of them is read as one stream."""
WORKERS = 8

_T = TypeVar("_T")
_STREAM_TRIES = 3


class S3Reader:
    """Reads the objects of a bucket.

    Args:
        bucket: where they are.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def read(self, key: str, *, max_bytes: int) -> tuple[bytes, str]:
        """The bytes of a small object and their etag; see `Store.read`.

        The writer left the sha256 of small objects beside them: a byte that flipped on the way is found out also
        where the server knows no checksums.
        """

        def take(answer: dict[str, Any]) -> bytes:
            data = bytearray()
            while chunk := answer["Body"].read(files.CHUNK):  # to the end: only there are length and checksum compared
                data += chunk
                if len(data) > max_bytes:
                    raise ObjectTooLargeError(f"{self._bucket.where(key)} holds more than {max_bytes} bytes")
            expected = answer.get("Metadata", {}).get(SHA256)
            if expected is not None and hashlib.sha256(data).hexdigest() != expected:
                raise BlobCorruptError(
                    f"{self._bucket.where(key)} does not have the sha256 that it was written with",
                    hint="try again; if it stays so, run: kdzoo zoo fsck",
                )
            return bytes(data)

        return self._stream(key, take)

    def to_file(self, key: str, path: Path, *, max_bytes: int | None, progress: Progress | None) -> str:
        """Writes an object to a new file and gives its sha256; see `Store.get_to_file`."""
        report = Furthest(progress)
        if max_bytes is None or max_bytes > 2 * RANGE_BYTES:
            info = self._bucket.head(key)
            if info is None:
                raise not_found(self._bucket.uri, key)
            if max_bytes is not None and info.size > max_bytes:
                raise ObjectTooLargeError(f"{self._bucket.where(key)} holds more than {max_bytes} bytes")
            if info.size > 2 * RANGE_BYTES and self._has_ranges(key, info.etag):
                return _write(path, self._ranges(key, info.size, info.etag), report)

        def take(answer: dict[str, Any]) -> str:
            report.restart()
            with files.storage_errors("write", path):
                path.unlink(missing_ok=True)  # what an earlier stream left
                return files.copy(answer["Body"], path, max_bytes=max_bytes, progress=report)

        return self._stream(key, take)[0]

    def digest(self, key: str, progress: Progress | None) -> tuple[str, int]:
        """sha256 and size of an object, which is read once and kept nowhere; see `Store.digest`."""
        report = Furthest(progress)

        def take(answer: dict[str, Any]) -> tuple[str, int]:
            report.restart()
            made, size = hashlib.sha256(), 0
            while chunk := answer["Body"].read(files.CHUNK):
                made.update(chunk)
                size += len(chunk)
                report(len(chunk))
            return made.hexdigest(), size

        return self._stream(key, take)[0]

    def _open(self, key: str, **options: str) -> dict[str, Any]:
        place = self._bucket.at(key)
        with self._bucket.errors("read", key):
            try:
                answer: dict[str, Any] = self._bucket.client.get_object(**place, **options)
            except ClientError as error:
                if s3_errors.code(error) in s3_errors.ABSENT:
                    raise not_found(self._bucket.uri, key) from None
                if s3_errors.status(error) == 412:
                    raise StoreUnavailableError(
                        f"{self._bucket.where(key)} was replaced while it was read", hint="try again"
                    ) from error
                raise
        return answer

    def _stream(self, key: str, take: Callable[[dict[str, Any]], _T], **options: str) -> tuple[_T, str]:
        """What ``take`` makes of an answer, and the etag. A stream that breaks off or is damaged is begun anew."""
        attempt = 0
        while True:
            answer = self._open(key, **options)
            try:
                return take(answer), str(answer["ETag"])
            except (BotoCoreError, BlobCorruptError) as error:
                attempt += 1
                if attempt == _STREAM_TRIES:
                    if isinstance(error, BlobCorruptError):
                        raise
                    raise s3_errors.translate(error, "read", self._bucket.where(key)) from error
            finally:
                answer["Body"].close()
            time.sleep(0.1 * 2**attempt)

    def _has_ranges(self, key: str, etag: str) -> bool:
        """Whether the server gives a part of an object when asked for it; a few do not know of ranges."""
        answer = self._open(key, Range="bytes=0-0", IfMatch=etag)
        answer["Body"].close()
        return int(answer["ContentLength"]) == 1

    def _ranges(self, key: str, size: int, etag: str) -> Iterator[bytes]:
        """The bytes of one state of an object, in order, several ranges under way."""

        def fetch(start: int) -> bytes:
            wanted = min(RANGE_BYTES, size - start)

            def take(answer: dict[str, Any]) -> bytes:
                data: bytes = answer["Body"].read()
                if len(data) != wanted:
                    raise BlobCorruptError(
                        f"{self._bucket.where(key)}: {len(data)} bytes were sent of {wanted} asked for",
                        hint="try again",
                    )
                return data

            return self._stream(key, take, Range=f"bytes={start}-{start + wanted - 1}", IfMatch=etag)[0]

        return in_order(fetch, range(0, size, RANGE_BYTES), workers=WORKERS)


def _write(path: Path, pieces: Iterator[bytes], progress: Progress) -> str:
    """Writes pieces to a new file that is on the disk when this returns; gives the sha256 of what was written."""
    made = hashlib.sha256()
    with files.storage_errors("write", path), path.open("xb") as file:
        for piece in pieces:
            made.update(piece)
            file.write(piece)
            progress(len(piece))
        file.flush()
        os.fsync(file.fileno())
    return made.hexdigest()
