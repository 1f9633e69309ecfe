"""Tables on stdout that fit a narrow terminal and are never cut in a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

_FILE_WIDTH = 240


def results() -> Console:
    """The console for results: as wide as the terminal, and wide enough for anything where no terminal is."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH, highlight=False)


def make_table(title: str | None, columns: Iterable[str], *, numbers: Iterable[str] = ()) -> Table:
    """An empty table in the house's look.

    Args:
        title: above it.
        columns: headings; a space is where one may break.
        numbers: the headings whose cells are aligned to the right.
    """
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    right = set(numbers)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return table


def number(value: float | None, digits: int = 3) -> str:
    """A metric as text; a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"
