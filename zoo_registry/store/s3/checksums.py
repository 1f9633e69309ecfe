"""Servers that refuse the checksums that boto3 sends by itself: they are written to without, once that is found out.

What kdzoo writes has checksums of its own: small objects carry their sha256, blobs lie under theirs.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
from typing import Any, Final

from botocore.exceptions import ClientError

from zoo_registry.addresses import without_credentials
from zoo_registry.store.s3 import errors as s3_errors

VARIABLE: Final = "AWS_REQUEST_CHECKSUM_CALCULATION"
_WORDS: Final = ("checksum", "aws-chunked", "trailer", "x-amz-sdk", "x-amz-content-sha256")
_REFUSALS: Final = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "SignatureDoesNotMatch"})
"""Swift, Backblaze and Google; what else there is speaks of checksums in its message."""

_log = logging.getLogger(__name__)


class Checksums:
    """What a server makes of checksums, as far as it is known.

    Attributes:
        refused: whether writes with them are refused there, and without them are not.
    """

    def __init__(self) -> None:
        self.refused = False


@functools.cache  # a process opens a zoo several times, and learns this once
def checksums_of(endpoint: str) -> Checksums:
    """What this process knows of a server."""
    return Checksums()


def are_sent(client: Any) -> bool:
    """Whether a client sends checksums where it need not."""
    return str(client.meta.config.request_checksum_calculation).lower() == "when_supported"


def leave_out(client: Any, *, leave: bool = True) -> None:
    """Has a client send no checksums where it need not, or send them again."""
    client.meta.config.request_checksum_calculation = "when_required" if leave else "when_supported"


def may_be_refused(error: Exception) -> bool:
    """Whether a write may have been refused for its checksums."""
    if not isinstance(error, ClientError) or s3_errors.status(error) not in (400, 403, 501):
        return False
    said = str(error.response.get("Error", {}).get("Message", "")).lower()
    return s3_errors.code(error) in _REFUSALS or any(word in said for word in _WORDS)


def is_asked_for() -> bool:
    """Whether a person wants checksums by the variable, so that they are not left out."""
    return os.environ.get(VARIABLE, "").lower() == "when_supported"


def note(endpoint: str) -> None:
    """Has it said when the process ends, below what it did, that a server is written to without checksums."""
    atexit.register(
        _log.warning,
        "%s refuses the checksums that boto3 sends: it was written to without. %s=when_required says so beforehand",
        without_credentials(endpoint),
        VARIABLE,
    )
