"""A bucket and a prefix in it: one client for all threads, addresses for messages, and what is known of a key."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from zoo_registry.addresses import without_credentials
from zoo_registry.errors import NameInvalidError, RegistryError, StoreUnavailableError
from zoo_registry.store.protocol import ObjectInfo, check_key
from zoo_registry.store.s3 import checksums
from zoo_registry.store.s3 import errors as s3_errors
from zoo_registry.store.s3.answers import check_answers
from zoo_registry.store.s3.client import make_client

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AWS = re.compile(r"https://s3[.-][a-z0-9-]+\.amazonaws\.com")


class Bucket:
    """Where an `S3Store` keeps its objects.

    Args:
        name: the bucket's name.
        prefix: what all keys start with, without ``/`` at its ends; may be empty.
        client: a boto3 S3 client; default one made on first use.

    Raises:
        NameInvalidError: bucket or prefix is not valid.
    """

    def __init__(self, name: str, prefix: str = "", *, client: Any = None) -> None:
        if not _BUCKET.fullmatch(name):
            raise NameInvalidError(f"'{name}' is not the name of a bucket", hint="give s3://bucket/prefix")
        self.name = name
        self.prefix = f"{check_key(prefix)}/" if prefix else ""
        self._client = client
        self._checked = False
        self._lock = threading.Lock()

    @property
    def uri(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @property
    def client(self) -> Any:
        """The boto3 client, which many threads may use at once.

        Raises:
            StoreRefusedError: the AWS settings cannot be used.
        """
        with self._lock:
            if not self._checked:
                if self._client is None:
                    self._client = make_client(self.uri)
                check_answers(self._client)
                self._checked = True
            return self._client

    def write(self, operation: str, **arguments: Any) -> Any:
        """Calls a method of the client that writes. A server that refuses boto3's checksums is asked again without.

        Args:
            operation: such as ``put_object``.
            arguments: as boto3 takes them; bytes, and nothing that can be read but once.

        Raises:
            BotoCoreError, ClientError: as boto3 does; of two tries what the first one said.
        """
        client = self.client
        call, endpoint = getattr(client, operation), str(client.meta.endpoint_url)
        server = checksums.checksums_of(endpoint)
        if server.refused:
            checksums.leave_out(client)
        sent = checksums.are_sent(client)  # by this call; what others find out meanwhile changes it for the next
        try:
            return call(**arguments)
        except ClientError as error:
            if not sent or not checksums.may_be_refused(error) or checksums.is_asked_for():
                raise
            first = error
        arguments.pop("ChecksumAlgorithm", None)
        checksums.leave_out(client)
        try:
            answer = call(**arguments)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and not s3_errors.is_alike(first, error):
                self._without_checksums(server, endpoint)  # such as a condition that is not met: the rest was well
                raise
            checksums.leave_out(client, leave=server.refused)
            raise (first if isinstance(error, ClientError) else error) from None
        self._without_checksums(server, endpoint)
        return answer

    @staticmethod
    def _without_checksums(server: checksums.Checksums, endpoint: str) -> None:
        if not server.refused:
            server.refused = True
            checksums.note(endpoint)

    @property
    def server(self) -> str:
        """The endpoint that requests go to, without credentials; of AWS without the region, as a bucket is in but one.

        Raises:
            StoreRefusedError: the AWS settings cannot be used.
        """
        return _AWS.sub("https://s3.amazonaws.com", without_credentials(str(self.client.meta.endpoint_url)))

    def where(self, key: str) -> str:
        """The address of a key or prefix, for messages."""
        return f"s3://{self.name}/{self.prefix}{key}"

    def at(self, key: str) -> dict[str, str]:
        """``Bucket`` and ``Key`` of a request.

        Raises:
            NameInvalidError: the key is not valid.
        """
        return {"Bucket": self.name, "Key": self.prefix + check_key(key)}

    @contextmanager
    def errors(self, action: str, key: str) -> Iterator[None]:
        """Turns what boto3 raises inside into the registry's errors, as `s3_errors.translate` does."""
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise s3_errors.translate(error, action, self.where(key)) from error
        except RegistryError:
            raise
        except ResponseParserError as error:
            raise StoreUnavailableError(
                f"cannot {action} {self.where(key)}: {self.server} does not answer as S3 does: {str(error)[:200]}",
                hint="check AWS_ENDPOINT_URL",
            ) from error
        except ValueError as error:  # of a damaged answer: botocore takes a time in it for one and does not check
            raise StoreUnavailableError(
                f"cannot {action} {self.where(key)}: the answer is damaged: {error}", hint="try again"
            ) from error

    def head(self, key: str) -> ObjectInfo | None:
        """What is known of an object without its bytes; None when there is none."""
        place = self.at(key)
        with self.errors("read", key):
            try:
                answer = self.client.head_object(**place)
            except ClientError as error:
                if s3_errors.code(error) in s3_errors.ABSENT:
                    return None
                raise
        return ObjectInfo(size=answer["ContentLength"], etag=answer["ETag"], metadata=answer.get("Metadata", {}))
