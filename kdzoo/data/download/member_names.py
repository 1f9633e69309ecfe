"""Names inside an archive: which are safe to write under a folder, and which would meet each other there."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from kdzoo.data.files import printable
from kdzoo.errors import ArchiveError

Kind = Literal["file", "folder"]

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST_PART, _LONGEST_NAME = 255, 1024


def safe_parts(name: str) -> tuple[str, ...]:
    """The folders and the file that a member's name stands for, below the folder that is unpacked into.

    Args:
        name: as in the archive; ``/`` separates.

    Returns:
        The parts, without empty ones and ``.``; none for the folder itself.

    Raises:
        ArchiveError: absolute, with a drive letter, ``..`` or a backslash, not UTF-8, with control characters, or
            longer than a file system takes.
    """
    why = _unsafe(name)
    if why:
        raise ArchiveError(f"the archive holds '{printable(name)[:200]}': {why}")
    return tuple(part for part in name.split("/") if part not in ("", "."))


def _unsafe(name: str) -> str:
    """Why a name is refused; empty for a safe one."""
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    parts = name.split("/")
    if name.startswith("/"):
        return "an absolute path"
    if _DRIVE.match(name):
        return "a path with a drive letter"
    if ".." in parts:
        return "a path that leads out of the folder"
    if "\\" in name:
        return "a name with a backslash"
    if any(unicodedata.category(char) == "Cc" for char in name):
        return "a name with control characters"
    if length > _LONGEST_NAME or any(len(part.encode("utf-8")) > _LONGEST_PART for part in parts):
        return "a name that is too long"
    return ""


class TakenNames:
    """The names that were given out, compared as a file system without case would compare them.

    The same archive then gives the same files on every machine, and no member replaces an earlier one.
    """

    def __init__(self) -> None:
        self._taken: dict[str, tuple[str, Kind]] = {}

    def take(self, parts: tuple[str, ...], kind: Kind) -> None:
        """Takes a name and, as folders, all that lies above it.

        Raises:
            ArchiveError: a file of that name is taken, or a name that differs only in case or in how its letters are
                composed, or a file stands where a folder is needed.
        """
        for depth in range(1, len(parts)):
            self._take("/".join(parts[:depth]), "folder")
        if parts:
            self._take("/".join(parts), kind)

    def is_file(self, parts: tuple[str, ...]) -> bool:
        """Whether just this name was taken for a file."""
        name = "/".join(parts)
        return self._taken.get(_folded(name)) == (name, "file")

    def _take(self, name: str, kind: Kind) -> None:
        key = _folded(name)
        if key not in self._taken:
            self._taken[key] = name, kind
            return
        earlier, its_kind = self._taken[key]
        if earlier != name:
            raise ArchiveError(
                f"the archive holds '{printable(earlier)}' and '{printable(name)}', which are one name on some disks"
            )
        if its_kind != kind:
            raise ArchiveError(f"the archive holds '{printable(name)}' as a file and as a folder")
        if kind == "file":
            raise ArchiveError(f"the archive holds '{printable(name)}' twice")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
