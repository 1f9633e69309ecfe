"""One upload of a large file in parts, several under way, which becomes visible whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry.parallel import in_order
from zoo_registry.store import files
from zoo_registry.store.files import Progress
from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.checksums import are_sent

PART_BYTES = 8 * 1024 * 1024
MAX_PARTS = 10_000
WORKERS = 8

_CHECKSUMS = frozenset({"ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"})

_log = logging.getLogger(__name__)


class MultipartUpload:
    """The steps of an upload: `send`, then `complete` or `abort`. boto3's errors are the caller's to judge.

    Args:
        bucket: where to.
        place: ``Bucket`` and ``Key``.
        metadata: stored with the object.
    """

    def __init__(self, bucket: Bucket, place: dict[str, str], metadata: dict[str, str]) -> None:
        self._bucket = bucket
        self._place = place
        self._metadata = metadata
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def send(self, source: Path, progress: Progress) -> str:
        """Begins the upload and sends all parts, some at a time; the file is read and hashed once meanwhile.

        Args:
            source: a file of at least one byte.
            progress: called with the number of bytes of each part, in the caller's thread.

        Returns:
            The sha256 of what was sent.
        """
        begun = self._bucket.write(
            "create_multipart_upload", **self._place, Metadata=self._metadata, **self._checksum()
        )
        self._upload = {**self._place, "UploadId": begun["UploadId"]}
        part_bytes = max(PART_BYTES, -(-source.stat().st_size // MAX_PARTS))
        made = hashlib.sha256()

        def pieces(opened: BinaryIO) -> Iterator[tuple[int, bytes]]:
            number = 0
            while piece := opened.read(part_bytes):
                made.update(piece)
                number += 1
                yield number, piece

        with files.open_regular(source) as opened:
            for part, size in in_order(self._send_part, pieces(opened), workers=WORKERS):
                self._parts.append(part)
                progress(size)
        return made.hexdigest()

    def _send_part(self, numbered: tuple[int, bytes]) -> tuple[dict[str, Any], int]:
        """What `complete` needs to know of a part that was sent, and its bytes."""
        number, piece = numbered
        answer = self._bucket.write("upload_part", **self._upload, PartNumber=number, Body=piece, **self._checksum())
        # What S3 answers of a part, it wants to hear again at the end: also its checksum, if it made one.
        checksums = {name: answer[name] for name in _CHECKSUMS & answer.keys()}
        return {"PartNumber": number, "ETag": answer["ETag"], **checksums}, len(piece)

    def _checksum(self) -> dict[str, str]:
        """The word for checksums.

        boto3 sends CRC32 with each part unless it is told not to. The upload has to be begun with the same word: one
        begun without is of another kind for S3, which may refuse the parts, or sum all bytes once more at the end.
        """
        return {"ChecksumAlgorithm": "CRC32"} if are_sent(self._bucket.client) else {}

    def complete(self) -> None:
        """Makes the object visible, unless there is one of its key already (HTTP 412)."""
        client = self._bucket.client
        client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*")

    def abort(self) -> None:
        """Gives the parts up; what a store that does not answer keeps of them is removed by `kdzoo zoo gc`."""
        if not self._upload:
            return
        try:
            self._bucket.client.abort_multipart_upload(**self._upload)
        except (BotoCoreError, ClientError) as error:
            _log.warning("the unfinished upload of %s could not be given up: %s", self._place["Key"], error)
