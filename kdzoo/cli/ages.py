"""Lengths of time as people write and read them: ``7d``."""

from __future__ import annotations

import re

from kdzoo.errors import UsageError

_AGE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([smhdw])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def age_seconds(text: str, option: str) -> float:
    """Seconds of a text such as ``90s``, ``30m``, ``12h``, ``7d``, ``2w`` or ``0``.

    Args:
        text: as it was given.
        option: whose value it is, such as ``--grace``; for the message.

    Raises:
        UsageError: it is none of these.
    """
    plain = text.strip().lower()
    if plain == "0":
        return 0.0
    match = _AGE.fullmatch(plain)
    if match is None:
        raise UsageError(f"{option} '{text}' is not a length of time", hint="for example 7d, 12h, 30m or 0")
    return float(match[1]) * _SECONDS[match[2]]


def age_text(seconds: float) -> str:
    """A length of time in its largest unit: ``3d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"
