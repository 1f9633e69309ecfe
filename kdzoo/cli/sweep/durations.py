"""How long a sweep may take, as people write it: ``8h``."""

from __future__ import annotations

import re

from kdzoo.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(text: str) -> float:
    """Seconds of a duration such as ``90s``, ``45m``, ``8h``, ``1d``; a plain number is seconds.

    Raises:
        UsageError: not of that form, or not above 0.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if match is None or float(match[1]) <= 0:
        raise UsageError(f"'{text}' is no duration", hint="for example 90m, 8h or 1d")
    return float(match[1]) * _UNITS[match[2] or "s"]
