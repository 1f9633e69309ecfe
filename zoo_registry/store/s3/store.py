"""A store in an S3 bucket, at AWS or any server with conditional writes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo_registry.store import files
from zoo_registry.store.files import Progress
from zoo_registry.store.proof import Proof
from zoo_registry.store.protocol import SMALL, Leftover, Listed, ObjectInfo, changed, check_key, check_prefix, not_found
from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.errors import ABSENT
from zoo_registry.store.s3.proving import ProvedWriter
from zoo_registry.store.s3.reading import S3Reader
from zoo_registry.store.s3.writing import WRITE_ID

__all__ = ["MULTIPART_BYTES", "WRITE_ID", "S3Store"]

MULTIPART_BYTES = 16 * 1024 * 1024
"""Blobs over this many bytes are sent in parts, several at a time."""


class S3Store:
    """Objects in a bucket, under a prefix.

    Large blobs go and come in parts, eight at a time. Every object carries a write id, by which a writer whose answer
    was lost knows its own write again (`S3Writer`).

    Args:
        bucket: the bucket's name.
        prefix: what all keys start with, without ``/`` at its ends; may be empty.
        client: a boto3 S3 client; default one made on first use. boto3 finds credentials, region, endpoint
            (``AWS_ENDPOINT_URL``) and the style of addresses by itself: at any endpoint but AWS the bucket stands in
            the path, unless its configuration says ``addressing_style = virtual``.
        multipart_bytes: blobs over this many bytes are sent in parts.
        proof: what is known of its conditional writes; default nothing, so that they are tried before the first.

    Raises:
        NameInvalidError: bucket or prefix is not valid.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        client: Any = None,
        multipart_bytes: int = MULTIPART_BYTES,
        proof: Proof | None = None,
    ) -> None:
        self._bucket = Bucket(bucket, prefix, client=client)
        self._reader = S3Reader(self._bucket)
        self._proved = ProvedWriter(self._bucket, self._reader, proof or Proof())
        self._multipart_bytes = multipart_bytes

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return self._bucket.uri

    @property
    def is_remote(self) -> bool:
        """Always."""
        return True

    @property
    def server(self) -> str:
        """The endpoint; nothing is asked of it."""
        return self._bucket.server

    def prove(self, *, afresh: bool = False) -> None:
        """Sees to it that conditional writes work; see `Store.prove`."""
        self._proved.writer(afresh=afresh)

    def get(self, key: str, *, max_bytes: int = SMALL) -> bytes:
        """The bytes of an object; see `Store.get`."""
        return self.read(key, max_bytes=max_bytes)[0]

    def read(self, key: str, *, max_bytes: int = SMALL) -> tuple[bytes, str]:
        """The bytes of an object and their etag; see `Store.read`."""
        return self._reader.read(key, max_bytes=max_bytes)

    def get_to_file(
        self, key: str, path: Path, *, max_bytes: int | None = None, progress: Progress | None = None
    ) -> str:
        """Writes an object to a new file; see `Store.get_to_file`. A broken stream is begun anew twice."""
        return self._reader.to_file(key, path, max_bytes=max_bytes, progress=progress)

    def digest(self, key: str, *, progress: Progress | None = None) -> tuple[str, int]:
        """The sha256 and the size of an object; see `Store.digest`."""
        return self._reader.digest(key, progress)

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
        writer = self._proved.writer()
        if isinstance(source, bytes):
            data = source
        else:
            if self._bucket.head(key) is not None:  # spares sending a blob that is there
                return False
            with files.storage_errors("read", source):
                if source.stat().st_size > self._multipart_bytes:
                    return writer.put_in_parts(key, source, mine, sha256, progress)
                with files.open_regular(source) as opened:
                    data = opened.read()
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
            raise changed(source, key, sha256)
        created = writer.put(key, data, mine, None)
        if progress is not None:
            progress(len(data))
        return created

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        """Replaces an object if it is still the one that was read; see `Store.compare_and_swap`."""
        check_key(key)
        return self._proved.writer().put(key, data, uuid.uuid4().hex, expected_etag)

    def list(self, prefix: str) -> list[str]:
        """All keys that start with ``prefix``, sorted; see `Store.list`."""
        return [found.key for found in self.scan(prefix)]

    def scan(self, prefix: str) -> Sequence[Listed]:
        """All objects whose keys start with ``prefix``, sorted; see `UpkeepStore.scan`. One request a thousand."""
        check_prefix(prefix)
        found = [
            Listed(
                key=item["Key"].removeprefix(self._bucket.prefix),
                size=item["Size"],
                modified=item["LastModified"].timestamp(),
            )
            for page in self._pages("list_objects_v2", prefix)
            for item in page.get("Contents", [])
        ]
        return sorted(found, key=lambda item: item.key)

    def top(self) -> Sequence[str] | None:
        """The first parts of keys, sorted; see `Store.top`. An empty place and none look the same on S3."""
        with self._bucket.errors("list", ""):
            page = self._bucket.client.list_objects_v2(
                Bucket=self._bucket.name, Prefix=self._bucket.prefix, Delimiter="/"
            )
        folders = [item["Prefix"] for item in page.get("CommonPrefixes", [])]
        names = folders + [item["Key"] for item in page.get("Contents", [])]
        return sorted(name.removeprefix(self._bucket.prefix).rstrip("/") for name in names)

    def delete(self, key: str) -> None:
        """Removes an object; see `Store.delete`."""
        place = self._bucket.at(key)
        with self._bucket.errors("delete", key):
            self._bucket.client.delete_object(**place)

    def stat(self, key: str) -> ObjectInfo:
        """Size, etag and metadata of an object; see `Store.stat`."""
        info = self._bucket.head(key)
        if info is None:
            raise not_found(self.uri, key)
        return info

    def move(self, key: str, target: str) -> None:
        """Gives an object another key; see `UpkeepStore.move`. S3 copies it within the store, and then removes it."""
        source, place = self._bucket.at(key), self._bucket.at(target)
        self.prove()  # what is moved is looked for again by publishers, whose writes must be what they seem
        if self._bucket.head(target) is None:
            with self._bucket.errors("move", key):
                try:
                    self._bucket.client.copy(source, place["Bucket"], place["Key"])
                except self._bucket.client.exceptions.ClientError as error:
                    if error.response.get("Error", {}).get("Code") in ABSENT:
                        raise not_found(self.uri, key) from None
                    raise
        self.delete(key)

    def leftovers(self) -> Sequence[Leftover]:
        """Uploads in parts that were neither finished nor given up; see `UpkeepStore.leftovers`."""
        return [
            Leftover(
                what=f"unfinished upload of {item['Key'].removeprefix(self._bucket.prefix)}",
                name=f"{item['Key']}\n{item['UploadId']}",
                since=item["Initiated"].timestamp(),
            )
            for page in self._pages("list_multipart_uploads", "")
            for item in page.get("Uploads", [])
        ]

    def remove_leftover(self, leftover: Leftover) -> None:
        """Gives an unfinished upload up; see `UpkeepStore.remove_leftover`."""
        key, _, upload = leftover.name.partition("\n")
        with self._bucket.errors("give up the upload of", key.removeprefix(self._bucket.prefix)):
            try:
                self._bucket.client.abort_multipart_upload(Bucket=self._bucket.name, Key=key, UploadId=upload)
            except self._bucket.client.exceptions.NoSuchUpload:
                return  # finished or given up meanwhile

    def _pages(self, operation: str, prefix: str) -> Iterator[dict[str, Any]]:
        with self._bucket.errors("list", prefix):
            yield from self._bucket.client.get_paginator(operation).paginate(
                Bucket=self._bucket.name, Prefix=self._bucket.prefix + prefix
            )
