"""What a person should know beside the result: said on stderr, while the command goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kdzoo.cli.say import tell

_MOST_TOLD = 10


def tell_note(text: str) -> None:
    """Says one thing that a person should know."""
    tell(f"Note: {text}")


def tell_notes(notes: Iterable[str]) -> None:
    """Says on stderr what a person should know of the data."""
    for note in notes:
        tell_note(note)


def tell_skipped(skipped: Mapping[str, str]) -> None:
    """Says on stderr which unreadable images were left out."""
    for name, reason in list(skipped.items())[:_MOST_TOLD]:
        tell(f"Left out: {name}: {reason}")
    if len(skipped) > _MOST_TOLD:
        tell(f"Left out: {len(skipped) - _MOST_TOLD} more")
