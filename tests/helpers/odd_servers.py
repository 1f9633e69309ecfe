"""Ways in which S3 servers differ from S3, to be set as the ``chaos`` of an `S3Server`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from helpers.s3_server import Answer

Oddity = Callable[[dict[str, Any], Callable[[], Answer]], Answer]


def error(status: str, code: str) -> Answer:
    """An S3 error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
    return status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body


class BareEtags:
    """Compares ``If-Match`` byte for byte with the ETag without its quotes, as Ceph does.

    Args:
        loser: how a condition that is not met is answered; Ceph says 500 to who loses a race.
    """

    def __init__(self, *, loser: tuple[str, str] = ("412 Precondition Failed", "PreconditionFailed")) -> None:
        self._loser = loser
        self.spelled: list[str] = []
        """Every ``If-Match`` that was sent."""

    def __call__(self, environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
        """The answer to a request."""
        given = environ.get("HTTP_IF_MATCH")
        if given is None:
            return answer()
        self.spelled.append(given)
        if given.startswith('"'):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return error("412 Precondition Failed", "PreconditionFailed")
        environ["HTTP_IF_MATCH"] = f'"{given}"'
        said = answer()
        return error(*self._loser) if said[0].startswith("412") else said


class Spellings:
    """S3 as it is; writes down how ``If-Match`` is spelled."""

    def __init__(self) -> None:
        self.spelled: list[str] = []

    def __call__(self, environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
        """The answer to a request."""
        if "HTTP_IF_MATCH" in environ:
            self.spelled.append(environ["HTTP_IF_MATCH"])
        return answer()


def ignores_conditions(environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
    """Does as if no condition had been given."""
    environ.pop("HTTP_IF_MATCH", None)
    environ.pop("HTTP_IF_NONE_MATCH", None)
    return answer()


def joins_blindly(environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
    """Ignores the condition on an upload in parts, as Ceph does."""
    if environ["REQUEST_METHOD"] == "POST":
        environ.pop("HTTP_IF_NONE_MATCH", None)
    return answer()


def lists_no_uploads(environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
    """Has no ListMultipartUploads."""
    if environ["REQUEST_METHOD"] == "GET" and "uploads" in environ.get("QUERY_STRING", "").split("&"):
        return error("501 Not Implemented", "NotImplemented")
    return answer()


def knows_no_parts(environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
    """Has no uploads in parts."""
    if environ["REQUEST_METHOD"] == "POST" and "uploads" in environ.get("QUERY_STRING", "").split("&"):
        return error("501 Not Implemented", "NotImplemented")
    return answer()


def swaps_nothing(environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
    """Knows If-None-Match alone, as OpenStack Swift."""
    if environ["REQUEST_METHOD"] == "PUT" and "HTTP_IF_MATCH" in environ:
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return error("501 Not Implemented", "NotImplemented")
    return answer()
