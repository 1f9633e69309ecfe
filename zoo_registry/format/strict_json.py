"""JSON that comes from outside: read without surprises, written in one way only."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

from zoo_registry.errors import ManifestInvalidError

MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 64

# Possessive, and satisfied by an unterminated string: linear in the input whatever it holds.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def dump(value: dict[str, Any], what: str) -> bytes:
    """The canonical bytes of a JSON object: UTF-8, sorted keys, two spaces of indent, a line end.

    Args:
        value: the object.
        what: what it is, for the message.

    Raises:
        ManifestInvalidError: a value is not JSON (NaN, infinity, a path, an array), or `parse` would refuse the bytes.
    """
    try:
        text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
        data = text.encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestInvalidError(
            f"{what} cannot be written as JSON: {error}",
            hint="use str, int, finite float, bool, None, lists and dicts alone",
        ) from error
    parse(data, what)
    return data


def parse(data: bytes, what: str) -> dict[str, Any]:
    """Reads one JSON object, strictly.

    Args:
        data: UTF-8 without a byte order mark, at most 8 MiB, nested at most 64 deep.
        what: what it is, for the message.

    Raises:
        ManifestInvalidError: too large, too deep, not UTF-8, not JSON, a key twice, NaN or infinity (also as a number
            too large for a float), half a surrogate pair, or not an object.
    """
    if len(data) > MAX_BYTES:
        raise ManifestInvalidError(f"{what} holds {len(data)} bytes; at most {MAX_BYTES} are read")
    # Before the parser sees it: the parser recurses, and how deep it can is not ours to say.
    brackets = _BRACKET.findall(_STRING.sub(b"", data))
    if max(accumulate(1 if b in b"[{" else -1 for b in brackets), default=0) > MAX_DEPTH:
        raise ManifestInvalidError(f"{what} is nested more than {MAX_DEPTH} deep")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_float=_finite, parse_constant=_refuse_constant
        )
        if _SURROGATE_ESCAPE.search(data):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise ManifestInvalidError(f"{what} is not valid: {error}") from error
    if not isinstance(value, dict):
        raise ManifestInvalidError(f"{what} is a JSON {type(value).__name__}, not an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"key {ascii(twice)[:100]} appears twice")
    return made


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"number {text[:40]} is too large")
    return number


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is not JSON")
