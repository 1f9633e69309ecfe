"""Conditional writes to S3, and what became of one whose answer was a refusal, a conflict or nothing at all."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry.errors import (
    PublishStateUnknownError,
    RegistryError,
    StoreRefusedError,
    StoreUnavailableError,
)
from zoo_registry.store.files import Progress
from zoo_registry.store.proof import Dialect
from zoo_registry.store.protocol import changed
from zoo_registry.store.s3 import errors as s3_errors
from zoo_registry.store.s3.answers import NotS3Error
from zoo_registry.store.s3.attempts import Attempts
from zoo_registry.store.s3.bucket import Bucket
from zoo_registry.store.s3.multipart import MultipartUpload
from zoo_registry.store.s3.progress import Furthest

WRITE_ID = "kdzoo-write-id"
SHA256 = "kdzoo-sha256"

_TRIES = 6
_LOST_TRIES = 2


class S3Writer:
    """Writes objects to a bucket under a condition.

    Every object carries a write id in its metadata. When the server says that the condition was not met, or the
    connection is lost, the id tells whether that is our own write, whose answer never came. A write that is not there
    may be sent again with the same id: should the first one arrive after all, the second is told so by the same means.

    Servers differ in how they want an ETag to be spelled in ``If-Match``: Ceph compares it, byte for byte, with one
    without quotes, and answers 412 to any other. Where an object is refused as another one although it still has the
    very ETag, the other spelling is tried; the first that succeeds is the server's from then on. It is not tried once
    one has succeeded: a server that does not understand it might not compare at all.

    Args:
        bucket: where to.
        dialect: what is known of the server.
    """

    def __init__(self, bucket: Bucket, dialect: Dialect) -> None:
        self._bucket = bucket
        self._attempts = Attempts(bucket.client)
        self._blindly = dialect.joins_blindly
        self._bare = dialect.bare_etags
        self._settled = False

    @property
    def bare_etags(self) -> bool:
        """Whether the server takes ETags without quotes, as far as it is known."""
        return self._bare

    def put(self, key: str, data: bytes, mine: str, expected: str | None) -> bool:
        """One conditional write; True when the object is ours, False when the condition was not met.

        Args:
            key: the object.
            data: its bytes.
            mine: the write id.
            expected: the etag of the object that it may replace; None for none.

        Raises:
            StoreUnavailableError: it was not written, and the store is at fault.
            StoreRefusedError: it was not written, and the store will not.
            PublishStateUnknownError: it cannot be known.
        """
        place = self._bucket.at(key)
        metadata = {WRITE_ID: mine, SHA256: hashlib.sha256(data).hexdigest()}
        lost, bare, turned = 0, self._bare, False
        for attempt in range(_TRIES):
            self._attempts.begin()
            condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": _spelled(expected, bare=bare)}
            try:
                self._bucket.write("put_object", **place, Body=data, Metadata=metadata, **condition)
                if expected is not None:
                    self._bare, self._settled = bare, True
                return True
            except (BotoCoreError, ClientError) as error:
                outcome = self._after(error, key, mine, expected)
                if outcome is False and not turned and self._is_misread(error, key, expected, bare=bare):
                    bare, turned = not bare, True
                    continue
                if outcome is not None:
                    return outcome
                lost += isinstance(error, BotoCoreError)
                if lost > _LOST_TRIES:
                    raise self._unknown(key, mine) from error
            # 409: another write of the same key was under way. boto3 does not try that again.
            time.sleep(0.05 * 2**attempt)
        raise self._contended(key)

    def put_in_parts(self, key: str, source: Path, mine: str, sha256: str | None, progress: Progress | None) -> bool:
        """Sends a file in parts, and makes it visible if there is no object yet; as `put` otherwise.

        Raises:
            BlobCorruptError: the file does not have ``sha256``; nothing was written.
        """
        report = Furthest(progress)
        metadata = {WRITE_ID: mine} | ({SHA256: sha256} if sha256 is not None else {})
        for attempt in range(_TRIES):
            report.restart()
            upload = MultipartUpload(self._bucket, self._bucket.at(key), metadata)
            try:
                with self._bucket.errors("write", key):
                    found = upload.send(source, report)
                if sha256 is not None and found != sha256:
                    raise changed(source, key, sha256)
                taken = self._blindly and self._bucket.head(key) is not None  # it would be replaced
            except BaseException:
                upload.abort()
                raise
            if taken:
                upload.abort()
                return False
            try:
                self._attempts.begin()
                upload.complete()
                return True
            except (BotoCoreError, ClientError) as error:
                try:
                    outcome = self._after(error, key, mine, None)
                except StoreRefusedError:
                    upload.abort()
                    raise  # any other error leaves it open whether the object is there: nothing is cleaned up
                if outcome is None and isinstance(error, BotoCoreError):
                    # Unlike a small object, this one is not sent again on a chance: its parts may yet be joined.
                    raise self._unknown(key, mine) from error
                if outcome is not True:
                    upload.abort()
                if outcome is not None:
                    return outcome
            time.sleep(0.05 * 2**attempt)
        raise self._contended(key)

    def _is_misread(self, error: Exception, key: str, expected: str | None, *, bare: bool) -> bool:
        """Whether an object was refused as another one, and is the one that was expected."""
        if expected is None or (self._settled and bare is self._bare):
            return False
        if not isinstance(error, ClientError) or s3_errors.status(error) != 412:
            return False
        found = self._bucket.head(key)
        return found is not None and not _differs(found.etag, expected)

    def _after(self, error: BotoCoreError | ClientError, key: str, mine: str, expected: str | None) -> bool | None:
        """What became of a conditional write that raised: ours, not ours, or None when it is to be tried again.

        Args:
            error: what it raised.
            key: the object.
            mine: the write id.
            expected: the etag it was to replace; None when there was to be no object.

        Raises:
            StoreUnavailableError: it was not written, and the store is at fault.
            StoreRefusedError: it was not written, and the store will not.
            PublishStateUnknownError: it cannot be known.
        """
        refused, creates = isinstance(error, ClientError), expected is None
        number = s3_errors.status(error) if refused else 0
        named = s3_errors.code(error) if refused else ""
        if number == 404 and named != "NoSuchBucket":
            found = self._bucket.head(key)  # If-Match on nothing, or a multipart upload that was finished twice
            return found is not None and found.metadata.get(WRITE_ID) == mine
        if number in (409, 412):
            found = self._bucket.head(key)
            if found is not None and found.metadata.get(WRITE_ID) == mine:
                return True
            # Refused because of an object that is no longer there: whoever believes that would leave a number out.
            gone = creates and found is None
            return None if number == 409 or gone else False
        never_sent = self._attempts.was_never_sent(error)  # there is nothing to be unsure about
        reason = s3_errors.translate(error, "write", self._bucket.where(key))
        if not isinstance(reason, StoreUnavailableError) or isinstance(error, NotS3Error):
            raise reason from error
        try:
            found = self._bucket.head(key)
        except RegistryError as second:
            if never_sent:
                raise reason from error
            raise self._unknown(key, mine) from second
        if found is not None and found.metadata.get(WRITE_ID) == mine:
            return True
        if s3_errors.is_failure(error) and found is not None and (expected is None or _differs(found.etag, expected)):
            return False  # what Ceph answers the losers of a race is a failure of its own (500 UnknownError)
        if refused or never_sent:
            raise reason from error
        # The connection broke. With another's object in its place a creation can no longer succeed; anything else is
        # settled by sending the same write again.
        return False if creates and found is not None else None

    def _unknown(self, key: str, mine: str) -> PublishStateUnknownError:
        return PublishStateUnknownError(
            f"{self._bucket.where(key)} may or may not have been written: the store did not answer (write id {mine})",
            hint=f"when the store is back, run `kdzoo zoo fsck --zoo {self._bucket.uri}` and look at the entry's "
            "releases before publishing again",
        )

    def _contended(self, key: str) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self._bucket.where(key)} was being written by others {_TRIES} times in a row", hint="try again"
        )


def _spelled(etag: str, *, bare: bool) -> str:
    """An ETag without quotes, or in them; a weak one stays as it is."""
    if etag.startswith("W/"):
        return etag
    text = etag.strip('"')
    return text if bare else f'"{text}"'


def _differs(etag: str, other: str) -> bool:
    return _spelled(etag, bare=True) != _spelled(other, bare=True)
