"""Addresses as they may be shown: without the user names, passwords and signatures in them."""

from __future__ import annotations

import re
from typing import Final

_CREDENTIALS: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/]*@")
# A secret key of AWS may have slashes; what stands between a colon and a slash may be a port, too, but of a bucket.
_WITH_SLASHES: Final = re.compile(
    r"(?:([sS]3://)[^\s/:@]*:|([A-Za-z][A-Za-z0-9+.\-]*://)[^\s/:@]*:(?!\d{1,5}/))[^\s/@]*/[^\s@]*@"
)
_SECRET_QUERY: Final = re.compile(
    r"([?&#](?:[a-z0-9]+_)*(?:password|passwd|pwd|token|api_?key|secret|signature|sig|awsaccesskeyid"
    r"|x-(?:amz|goog)-[a-z-]+)=)[^&\s#]+",
    re.IGNORECASE,
)


def without_credentials(text: str) -> str:
    """The text with user names, passwords and signatures taken out of the addresses in it."""
    if "://" not in text:
        return _SECRET_QUERY.sub(r"\1***", text)
    return _SECRET_QUERY.sub(r"\1***", _CREDENTIALS.sub(r"\1", _WITH_SLASHES.sub(r"\1\2", text)))
