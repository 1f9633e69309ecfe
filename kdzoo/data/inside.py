"""Files below one folder, named by text that comes from outside: no path and no link leads out of the folder."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

from kdzoo.data.files import IMAGE_SUFFIXES, printable


class Inside:
    """The images below a folder, found by the names that a table gives.

    Args:
        root: the folder; absolute, exists.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = root.resolve()
        self._folders: dict[Path, bool] = {}

    def relative(self, text: str) -> str:
        """A table's path as it is written below the folder: one that is absolute and lies in it is cut; ``./`` goes."""
        path = PurePosixPath(text)
        if path.is_absolute() and path.is_relative_to(self.root):
            path = path.relative_to(self.root)
        return path.as_posix()

    def why_not(self, text: str) -> str:
        """Why a path below the folder cannot be used as an image; empty where it can.

        Args:
            text: as `relative` gives it.
        """
        written = _why_not_written(text)
        if written:
            return written
        path = self.root / text
        try:
            if not self._holds(path):
                return f"leads out of {printable(self.root)}"
            if not path.exists():
                return f"is not there in {printable(self.root)}"
            if not path.is_file():
                return "is not a file"
        except (OSError, RuntimeError):  # a link in a circle
            return "is a link that leads nowhere"
        return ""

    def _holds(self, path: Path) -> bool:
        folder = path.parent
        if folder not in self._folders:
            self._folders[folder] = folder.resolve().is_relative_to(self._real)
        # A link is followed as far as it leads; what is none lies where its folder does.
        return self._folders[folder] and (not path.is_symlink() or path.resolve().is_relative_to(self._real))


def _why_not_written(text: str) -> str:
    """Why a path may not be written so, whatever lies on the disk."""
    if text in ("", "."):
        return "names no file"
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in text):
        return "holds control characters"
    if "\\" in text:
        return "has a backslash; write / between folders"
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(text).drive:
        return "leads out of the folder of the images"
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return f"is not an image's name ({', '.join(sorted(IMAGE_SUFFIXES))})"
    return ""
