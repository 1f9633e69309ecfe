"""SQLite files that MLflow and Optuna write, read without them: neither import takes long to read a line or two."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from kdzoo.addresses import file_address


@contextmanager
def reading(path: Path, *, seconds: float) -> Iterator[sqlite3.Connection]:
    """A connection to read from.

    Nothing is written, but where a process was killed while it wrote: SQLite must first take back what that one began,
    and a file that is opened for reading alone cannot be read until somebody has.

    Args:
        path: the file.
        seconds: to wait for one that writes.

    Yields:
        The connection, closed in the end.

    Raises:
        sqlite3.Error: the file is not there, or cannot be read.
    """
    with closing(_opened(path, "ro", seconds)) as database:
        try:
            database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise
            with closing(_opened(path, "rw", seconds)) as whole:
                whole.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        yield database


def _opened(path: Path, mode: str, seconds: float) -> sqlite3.Connection:
    return sqlite3.connect(f"{file_address(path)}?mode={mode}", uri=True, timeout=seconds)
