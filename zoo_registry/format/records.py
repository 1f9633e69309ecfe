"""Checks of one field of a manifest or alias file; each error names the file and the field."""

from __future__ import annotations

import re
from collections.abc import Set
from datetime import UTC, datetime
from typing import Any

from zoo_registry.errors import ManifestInvalidError

MAX_RELEASE = 999_999
MAX_BLOB_BYTES = 2**53

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
_WRITE_ID = re.compile(r"[0-9a-f]{32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def now() -> str:
    """The time in UTC as it stands in a file: ``2031-05-06T07:08:09.123456Z``."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def utc_text(then: datetime) -> str:
    """A time in UTC, to the second, as it stands in a file."""
    return then.isoformat(timespec="seconds").replace("+00:00", "Z")


def check_keys(fields: dict[str, Any], what: str, *, required: Set[str], optional: Set[str] = frozenset()) -> None:
    """Refuses a missing or an unknown key.

    Raises:
        ManifestInvalidError: naming the keys.
    """
    missing, unknown = sorted(required - fields.keys()), sorted(fields.keys() - required - optional)
    if missing:
        raise ManifestInvalidError(f"{what} has no {', '.join(missing)}")
    if unknown:
        raise ManifestInvalidError(f"{what} has unknown keys: {ascii(unknown)[:200]}")


def check_schema(fields: dict[str, Any], what: str, schema: str) -> None:
    """Refuses any schema but ``schema``, such as ``kdzoo-manifest/1``.

    Raises:
        ManifestInvalidError: another schema; a newer version of the same one says so in its hint.
    """
    found = fields.get("schema")
    if found == schema:
        return
    family = schema.rpartition("/")[0]
    if isinstance(found, str) and re.fullmatch(re.escape(family) + r"/[1-9][0-9]{0,5}", found):
        raise ManifestInvalidError(
            f"{what} is written in {found}; this version reads {schema}", hint="upgrade kdzoo to read it"
        )
    raise ManifestInvalidError(f"{what} does not say that it is {schema}: schema is {ascii(found)[:100]}")


def whole(value: object, what: str, *, low: int, high: int) -> int:
    """An integer within ``low..high``; a bool is none.

    Raises:
        ManifestInvalidError: anything else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ManifestInvalidError(f"{what} is {_shown(value)}, not a whole number from {low} to {high}")
    return value


def text(value: object, what: str, *, longest: int) -> str:
    """A string of at most ``longest`` characters.

    Raises:
        ManifestInvalidError: anything else.
    """
    if not isinstance(value, str) or len(value) > longest:
        raise ManifestInvalidError(f"{what} is {_shown(value)}, not a text of at most {longest} characters")
    return value


def time(value: object, what: str) -> str:
    """A time in UTC as `now` gives it.

    Raises:
        ManifestInvalidError: anything else, also a day that does not exist.
    """
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            datetime.fromisoformat(value)
            return value
    except ValueError as error:
        raise ManifestInvalidError(f"{what} is {_shown(value)}: {error}") from error
    raise ManifestInvalidError(f"{what} is {_shown(value)}, not a time such as 2031-05-06T07:08:09Z")


def write_id(value: object, what: str) -> str:
    """The 32 lower-case hexadecimal digits by which a writer knows its own write again.

    Raises:
        ManifestInvalidError: anything else.
    """
    if not isinstance(value, str) or not _WRITE_ID.fullmatch(value):
        raise ManifestInvalidError(f"{what} is {_shown(value)}, not 32 lower-case hexadecimal digits")
    return value


def sha256(value: object, what: str) -> str:
    """A sha256 as 64 lower-case hexadecimal digits.

    Raises:
        ManifestInvalidError: anything else.
    """
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ManifestInvalidError(f"{what} is {_shown(value)}, not 64 lower-case hexadecimal digits")
    return value


def mapping(value: object, what: str) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ManifestInvalidError: anything else.
    """
    if not isinstance(value, dict):
        raise ManifestInvalidError(f"{what} is {_shown(value)}, not an object")
    return value


def _shown(value: object) -> str:
    # A number of thousands of digits cannot even be turned into text.
    if isinstance(value, int) and abs(value) > 10**40:
        return "a number of more than 40 digits"
    if isinstance(value, dict | list):
        return f"a {type(value).__name__}"
    shown = ascii(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."
