"""Whether an answer is one of S3's at all: a sign-in page of a proxy says 200 to everything, too."""

from __future__ import annotations

from typing import Any, Final

from botocore.exceptions import BotoCoreError

from zoo_registry.addresses import without_credentials

_LISTS: Final = {"ListObjectsV2": b"ListBucketResult", "ListMultipartUploads": b"ListMultipartUploadsResult"}
_TAGGED: Final = frozenset({"HeadObject", "GetObject", "PutObject", "UploadPart"})
_GIVES_OBJECT: Final = frozenset({"HeadObject", "GetObject"})
_PAGES: Final = (b"<!doctype html", b"<html")
_UNIQUE: Final = "kdzoo-answers"


class NotS3Error(BotoCoreError):  # type: ignore[misc]
    """What answered is no S3 server."""

    fmt = "{server} {what}"


def check_answers(client: Any) -> None:
    """Has a client raise `NotS3Error` for each answer that is not S3's, before anything is read from it.

    Args:
        client: a boto3 S3 client; told twice is told once.
    """
    server = without_credentials(str(client.meta.endpoint_url))

    def check(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        what = _wrong(str(operation_model.name), response_dict)
        if what:
            raise NotS3Error(server=server, what=what)

    client.meta.events.register("before-parse.s3", check, unique_id=_UNIQUE)


def _wrong(operation: str, answer: dict[str, Any]) -> str:
    """What is wrong with an answer, in words; empty where it may be S3's."""
    status, headers, body = int(answer["status_code"]), answer["headers"], answer.get("body", b"")
    kind = str(headers.get("content-type", "")).partition(";")[0].strip().lower()
    begins = body.lstrip()[:20].lower() if isinstance(body, bytes) else b""
    html = kind == "text/html"
    gives = status < 300 and operation in _GIVES_OBJECT
    page = begins.startswith(_PAGES) or (html and (gives or 300 <= status < 400))
    if page and status < 500:  # a proxy before a server that is down has a page for that, which passes
        return f"answers with a web page (HTTP {status}), and not as S3 does"
    if status >= 300:
        return ""
    marker = _LISTS.get(operation)
    if (operation in _TAGGED and not headers.get("etag")) or (marker is not None and marker not in body):
        return "answers with a web page, and not as S3 does" if html else f"does not answer as S3 does (HTTP {status})"
    return ""
