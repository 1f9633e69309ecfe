"""Who watches a sweep."""

from __future__ import annotations

from typing import Protocol

from kdzoo.search.record.board import SweepBoard


class SweepView(Protocol):
    """Who watches a sweep; the command line shows a live table."""

    def update(self, board: SweepBoard) -> None:
        """The board changed."""

    def note(self, text: str) -> None:
        """Something a person should read."""
