"""An S3 server proves its conditional writes, and with that tells how it wants to be spoken to."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry.format.layout import PROBE
from zoo_registry.store.probing import probe, remove
from zoo_registry.store.proof import Dialect, Proof
from zoo_registry.store.s3 import errors as s3_errors
from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.multipart import MultipartUpload
from zoo_registry.store.s3.reading import S3Reader
from zoo_registry.store.s3.writing import S3Writer

_EVENT = "before-send.s3.PutObject"


class ProvedWriter:
    """The writer of a bucket, handed out once its server has proved itself.

    Args:
        bucket: where to.
        reader: of the same bucket.
        proof: what is known of it.
    """

    def __init__(self, bucket: Bucket, reader: S3Reader, proof: Proof) -> None:
        self._bucket = bucket
        self._reader = reader
        self._proof = proof
        self._writer: S3Writer | None = None

    def writer(self, *, afresh: bool = False) -> S3Writer:
        """The writer.

        Args:
            afresh: have the server prove itself whatever is known.

        Raises:
            StoreRefusedError: it has no working conditional writes, or denies the right to write.
            StoreUnavailableError: it cannot be reached.
        """
        if self._writer is None or afresh:
            store = f"{self._bucket.uri} {self._bucket.client.meta.endpoint_url}"
            self._writer = S3Writer(self._bucket, self._proof.need(store, self._ask, afresh=afresh))
        return self._writer

    def _ask(self) -> Dialect:
        ground = _Ground(self._bucket, self._reader)
        with ground.late_sending() as hold:
            probe(ground, hold=hold)
        return Dialect(bare_etags=ground.writer.bare_etags, joins_blindly=ground.joins_blindly())


class _Ground:
    """What is probed: a bucket before anything is proved.

    Args:
        bucket: the bucket.
        reader: reads it.
    """

    def __init__(self, bucket: Bucket, reader: S3Reader) -> None:
        self.writer = S3Writer(bucket, Dialect())
        self._bucket = bucket
        self._reader = reader

    @property
    def uri(self) -> str:
        return self._bucket.uri

    def read(self, key: str) -> tuple[bytes, str]:
        return self._reader.read(key, max_bytes=1000)

    def put_if_absent(self, key: str, source: bytes) -> bool:
        return self.writer.put(key, source, uuid.uuid4().hex, None)

    def compare_and_swap(self, key: str, data: bytes, expected_etag: str | None) -> bool:
        return self.writer.put(key, data, uuid.uuid4().hex, expected_etag)

    def delete(self, key: str) -> None:
        place = self._bucket.at(key)
        with self._bucket.errors("delete", key):
            self._bucket.client.delete_object(**place)

    @contextmanager
    def late_sending(self) -> Iterator[Callable[[Callable[[], None]], None]]:
        """Within the block, a thread can have its next write wait when all but sending it is done.

        Signing a request takes as long as a server needs for it: writers that are let go before they sign come one
        after the other, and hardly two fall into a small window.
        """
        waiting = threading.local()

        def before_send(**_: Any) -> None:
            wait, waiting.wait = getattr(waiting, "wait", None), None
            if wait is not None:
                wait()

        def hold(wait: Callable[[], None]) -> None:
            waiting.wait = wait

        events, name = self._bucket.client.meta.events, uuid.uuid4().hex
        events.register(_EVENT, before_send, unique_id=name)
        try:
            yield hold
        finally:
            events.unregister(_EVENT, unique_id=name)

    def joins_blindly(self) -> bool:
        """Whether an upload in parts replaces what is there, though it was told not to.

        That alone is no reason to refuse a server: what is sent in parts lies under its digest.

        Raises:
            StoreRefusedError: it does not know of uploads in parts, so that large blobs cannot be published.
        """
        key = f"{PROBE}{uuid.uuid4().hex}"
        self.put_if_absent(key, b"probe")
        upload = MultipartUpload(self._bucket, self._bucket.at(key), {})
        try:
            with self._bucket.errors("send in parts", key), tempfile.TemporaryDirectory() as folder:
                (Path(folder) / "part").write_bytes(b"probe, in parts")
                upload.send(Path(folder) / "part", lambda size: None)
            return self._is_replaced(upload, key)
        finally:
            remove(self, [key])

    def _is_replaced(self, upload: MultipartUpload, key: str) -> bool:
        try:
            upload.complete()
        except ClientError as error:
            upload.abort()
            if s3_errors.status(error) in (409, 412):
                return False
            raise s3_errors.translate(error, "send in parts", self._bucket.where(key)) from error
        except BotoCoreError as error:
            upload.abort()
            raise s3_errors.translate(error, "send in parts", self._bucket.where(key)) from error
        return True
