"""One upload of a large file in parts, which becomes visible whole or not at all."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry import files
from zoo_registry.files import Progress

PART_BYTES = 16 * 1024 * 1024
MAX_PARTS = 10_000

_CHECKSUMS = frozenset({"ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256"})

_log = logging.getLogger(__name__)


class MultipartUpload:
    """The steps of an upload: `send`, then `complete` or `abort`. boto3's errors are the caller's to judge.

    Args:
        client: a boto3 S3 client.
        bucket: where to.
        key: the object's whole key.
        metadata: stored with the object.
    """

    def __init__(self, client: Any, bucket: str, key: str, metadata: dict[str, str]) -> None:
        self._client = client
        self._place = {"Bucket": bucket, "Key": key}
        self._metadata = metadata
        self._upload: dict[str, str] = {}
        self._parts: list[dict[str, Any]] = []

    def send(self, source: Path, progress: Progress) -> str:
        """Begins the upload and sends all parts, one after the other.

        Args:
            source: a file of at least one byte.
            progress: called with the number of bytes of each part.

        Returns:
            The sha256 of what was sent.
        """
        begun = self._client.create_multipart_upload(**self._place, Metadata=self._metadata)
        self._upload = {**self._place, "UploadId": begun["UploadId"]}
        part_bytes = max(PART_BYTES, -(-source.stat().st_size // MAX_PARTS))
        made = hashlib.sha256()
        with files.open_regular(source) as opened:
            while part := opened.read(part_bytes):
                number = len(self._parts) + 1
                answer = self._client.upload_part(**self._upload, PartNumber=number, Body=part)
                # What S3 answers of a part, it wants to hear again at the end: also its checksum, if it made one.
                checksums = {name: answer[name] for name in _CHECKSUMS & answer.keys()}
                self._parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})
                made.update(part)
                progress(len(part))
        return made.hexdigest()

    def complete(self) -> None:
        """Makes the object visible, unless there is one of its key already (HTTP 412)."""
        self._client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*")

    def abort(self) -> None:
        """Gives the parts up; a store that does not answer now is left to its own rule for unfinished uploads."""
        if not self._upload:
            return
        try:
            self._client.abort_multipart_upload(**self._upload)
        except (BotoCoreError, ClientError) as error:
            _log.warning("the unfinished upload of %s could not be given up: %s", self._place["Key"], error)
