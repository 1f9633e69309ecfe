"""How whoever watches a training is told what is done within an epoch."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[str, int, int], None]
"""Told what is done within an epoch (``features`` or ``steps``), and ``(done, in all)``."""


def nobody(what: str, done: int, total: int) -> None:
    """A `Told` that nobody listens to."""
