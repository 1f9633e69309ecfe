"""Text that a stranger wrote into a zoo, made fit for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """Text that a stranger wrote, with what steers a terminal as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def cell(text: str) -> str:
    """Text that a stranger wrote, for a table: it may look like markup, or steer a terminal."""
    from rich.markup import escape

    return escape(printable(text))
