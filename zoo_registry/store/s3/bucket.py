"""A bucket and a prefix in it: one client for all threads, addresses for messages, and what is known of a key."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from zoo_registry.addresses import without_credentials
from zoo_registry.errors import NameInvalidError, RegistryError, StoreUnavailableError
from zoo_registry.store.protocol import ObjectInfo, check_key
from zoo_registry.store.s3 import errors as s3_errors
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
            if self._client is None:
                self._client = make_client(self.uri)
            return self._client

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
