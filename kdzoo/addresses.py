"""Addresses of files, as databases and MLflow take them: the one place that builds and reads them.

In an address a ``?`` begins a query and ``%41`` is an ``A``; in a path both are plain characters.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote, urlsplit

_SQLITE: Final = re.compile(r"sqlite(?:\+pysqlite)?:///(?P<database>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL)
_SPECIAL: Final = frozenset("%?{}")
"""What SQLAlchemy (and Optuna: braces) read as more than itself after the third slash."""


def sqlite_address(path: Path) -> str:
    """The address ``sqlite:///...`` by which SQLAlchemy, and so Optuna and MLflow, open a file.

    Args:
        path: the file; taken as absolute.
    """
    text = str(path.absolute())
    # With its slashes where anything is escaped: MLflow makes the folders of an address as they stand in it, so that a
    # second home `50%25` would come to lie beside `50%`. What has no slash has no folder.
    return f"sqlite:///{quote(text, safe='') if _SPECIAL & set(text) else text}"


def sqlite_path(address: str) -> Path | None:
    """The file that a ``sqlite:///`` address names, or None when it is of another kind or in memory."""
    match = _SQLITE.fullmatch(address)
    if match is None:
        return None
    name = unquote(match["database"])
    return None if name in ("", ":memory:") or name.startswith("file:") else Path(name)


def file_address(path: Path) -> str:
    """The address ``file:///...`` of a file or folder, with all that has a meaning in it escaped.

    Args:
        path: taken as absolute.
    """
    return path.absolute().as_uri()


def file_path(address: str) -> Path | None:
    """The path that a ``file:`` address names, or None where it is of another kind or another machine's."""
    parts = urlsplit(address)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path:
        return None
    return Path(unquote(parts.path))
