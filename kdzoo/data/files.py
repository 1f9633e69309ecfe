"""File and folder names: which are images, how they are ordered, how they are shown, what they are called."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from kdzoo.errors import DatasetError
from kdzoo.visible import visible

IMAGE_SUFFIXES = frozenset(
    {
        *(".png", ".apng"),
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif"),
        *(".bmp", ".dib"),
        ".gif",
        *(".tif", ".tiff"),
        ".webp",
        *(".pgm", ".ppm", ".pbm", ".pnm", ".pfm"),
    }
)
"""Suffixes of all images that `kdzoo.data.images` can decode, lower case; compared without regard to case."""

_NAMED = 5
"""Notes of a kind that are told; of more than these the number is said."""

# Names that cannot be a file on Windows, where a zoo may be kept too.
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that any terminal, log and JSON file can take.

    Bytes that are not UTF-8 and control characters become escapes, so that two different names still look different.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return visible(text)


def slug(text: str) -> str:
    """A valid data set or category name made from a folder's name: ``[a-z0-9][a-z0-9._-]*``, at most 64 characters.

    Returns:
        The name, or an empty string when no valid name can be made of the text.
    """
    letters = (char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    name = re.sub(r"[^a-z0-9._-]+", "-", "".join(letters).lower()).strip("-._")[:64].rstrip("-._")
    return "" if _RESERVED.fullmatch(name) else name


def unspelt(text: str) -> str:
    """A name for what has no Latin letter or digit in it: always the same for the same text, on every machine."""
    return f"x-{hashlib.sha256(unicodedata.normalize('NFC', text).encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"


def folders(folder: Path) -> list[Path]:
    """The folders directly in a folder, ordered by name, without hidden ones.

    Raises:
        DatasetError: the folder cannot be listed, or holds a name that is not UTF-8.
    """
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def image_files(folder: Path) -> list[Path]:
    """The images directly in a folder, ordered by name, without hidden files; folders below are not searched.

    Raises:
        DatasetError: the folder cannot be listed, holds a name that is not UTF-8, or an image's name stands for
            something that is not a file (a link that leads nowhere or in a circle, a pipe).
    """
    found = []
    for name in _names(folder):
        path = folder / name
        if not is_image(path) or path.is_dir():
            continue
        if not path.is_file():
            kind = "a link that leads nowhere" if path.is_symlink() else "not a regular file"
            raise DatasetError(f"{printable(path)} is {kind}", hint="restore the image, or delete this entry")
        found.append(path)
    return found


def few(notes: Sequence[str], what: str) -> tuple[str, ...]:
    """The first of many notes, and how many more there are of the kind ``what``."""
    more = len(notes) - _NAMED
    return tuple(notes) if more <= 0 else (*notes[:_NAMED], f"and {more} more {what}")


def images_below(folder: Path) -> list[Path]:
    """All images in a folder and in those below it, ordered by path; hidden ones and links to folders are passed by.

    Raises:
        DatasetError: a folder cannot be listed.
    """

    def refuse(error: OSError) -> None:
        name = printable(error.filename or folder)
        raise DatasetError(f"cannot list {name}: {error.strerror or error}") from error

    found: list[Path] = []
    for name, inner, files in os.walk(folder, onerror=refuse):
        inner[:] = sorted(each for each in inner if not is_hidden(each))
        found += [path for path in (Path(name) / file for file in files) if is_image(path) and path.is_file()]
    return sorted(found)


def is_image(path: Path) -> bool:
    """Whether a file is listed as an image: by its suffix, and unless it is hidden, as other systems' copies are."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not is_hidden(path.name)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is none of a person's: hidden, or made by an archive of macOS."""
    return name.startswith(".") or name == "__MACOSX"


def _names(folder: Path) -> list[str]:
    try:
        names = sorted(path.name for path in folder.iterdir() if not is_hidden(path.name))
    except OSError as error:
        raise DatasetError(f"cannot list {printable(folder)}: {error.strerror or error}") from error
    for name in names:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise DatasetError(
                f"the name {printable(name)} in {printable(folder)} is not valid UTF-8",
                hint="rename it; names must be the same on every machine",
            ) from error
    return names
