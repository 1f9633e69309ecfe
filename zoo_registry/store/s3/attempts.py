"""Whether anything went out of a call that could not reach its server in the end."""

from __future__ import annotations

import threading
from typing import Any

from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
)

_NEVER_SENT = (EndpointConnectionError, ConnectTimeoutError, NoCredentialsError, PartialCredentialsError)
_WRITES = ("PutObject", "CompleteMultipartUpload")


class Attempts:
    """Watches the writes of a client: boto3 tries again by itself and tells of the last attempt alone.

    A server that is killed breaks the connection of the first attempt, which it may have carried out, and refuses that
    of the second: by the error alone, nothing was sent.

    Args:
        client: a boto3 S3 client.
    """

    def __init__(self, client: Any) -> None:
        self._here = threading.local()
        for operation in _WRITES:
            client.meta.events.register(f"needs-retry.s3.{operation}", self._note)

    def begin(self) -> None:
        """A call of this thread begins."""
        self._here.sent = False

    def was_never_sent(self, error: Exception) -> bool:
        """Whether the call that ended with an error sent nothing, in no attempt.

        Args:
            error: what the call raised.
        """
        return isinstance(error, _NEVER_SENT) and not getattr(self._here, "sent", False)

    def _note(self, caught_exception: Exception | None = None, **_: Any) -> None:
        if not isinstance(caught_exception, _NEVER_SENT):
            self._here.sent = True
