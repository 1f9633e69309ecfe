"""A digest of a manifest as people write it down: ``sha256:`` and 64 digits, which pins a release to its very bytes."""

from __future__ import annotations

import hashlib
import re

from zoo_registry.errors import ManifestInvalidError, NameInvalidError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def digest_of(data: bytes) -> str:
    """The digest of bytes: ``sha256:`` and 64 lower-case hexadecimal digits."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def check_digest(text: object) -> str:
    """Gives a digest back when it is one.

    Raises:
        NameInvalidError: it is not ``sha256:`` and 64 lower-case hexadecimal digits.
    """
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise NameInvalidError(
            f"digest {ascii(text)[:100]} is not of the form sha256: and 64 digits", hint="kdzoo zoo show gives it"
        )
    return text


def check_bytes(data: bytes, digest: str, what: str) -> None:
    """Refuses bytes that are not those of a digest, before anything is made of them.

    Raises:
        ManifestInvalidError: they are others.
    """
    found = digest_of(data)
    if found != digest:
        raise ManifestInvalidError(
            f"{what} is not the one asked for: its digest is {found}, and not {digest}",
            hint="somebody replaced it, or this is another zoo than the digest is from",
        )
