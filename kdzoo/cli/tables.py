"""Tables that fit a narrow terminal and are never cut in a file, and lines beside them. Every cell is plain text.

Nothing here reads rich's markup or emoji codes, so that a name in brackets or colons is shown as it is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kdzoo.visible import visible

_FILE_WIDTH = 240


class PlainTable:
    """A table of texts in the house's look.

    Args:
        title: above it.
        columns: headings; a space is where one may break.
        numbers: the headings whose cells are aligned to the right.
    """

    def __init__(self, title: str | None, columns: Iterable[str], *, numbers: Iterable[str] = ()) -> None:
        shown = None if title is None else plain(title)
        self.rich = Table(title=shown, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        right = set(numbers)
        for name in columns:
            self.rich.add_column(plain(name), justify="right" if name in right else "left", overflow="fold")

    def add_row(self, *cells: str, style: str = "", styles: Iterable[str] = ()) -> None:
        """Adds a row.

        Args:
            cells: texts, from anywhere.
            style: of the row, such as ``"bold"``.
            styles: of the first cells; an empty one is the row's.
        """
        own = (*styles, *([""] * len(cells)))
        self.rich.add_row(*(plain(cell, own[place]) for place, cell in enumerate(cells)), style=style or None)

    def add_section(self) -> None:
        """A line under what there is."""
        self.rich.add_section()


class Page:
    """Where tables and the lines beside them are printed: stdout, or a console that was made by `plain_console`."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or plain_console()

    def table(self, table: PlainTable) -> None:
        """Prints a table."""
        self._console.print(table.rich)

    def line(self, text: str = "", style: str = "") -> None:
        """Prints a text on one line, whatever its length."""
        self._console.print(plain(text, style), soft_wrap=True)


def plain_console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal, and, for results, wide enough for anything where no terminal is."""
    width = None if stderr or sys.stdout.isatty() else _FILE_WIDTH
    return Console(width=width, stderr=stderr, highlight=False, markup=False, emoji=False)


def plain(text: str, style: str = "") -> Text:
    """A text from anywhere as one that rich prints as it is."""
    return Text(visible(text), style)


def number(value: float | None, digits: int = 3) -> str:
    """A metric as text; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"
