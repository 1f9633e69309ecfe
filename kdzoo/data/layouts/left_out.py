"""What lies in a category's folder and is not used: each file is used, known to be no image, or left out and named."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kdzoo.data.files import IMAGE_SUFFIXES, is_hidden, printable

_NO_IMAGES: Final = frozenset(
    {
        *("", ".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".rtf", ".html", ".htm", ".log", ".license"),
        *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".xls", ".xlsx", ".parquet", ".db"),
        *(".ini", ".cfg", ".py", ".ipynb", ".sh", ".bat", ".lnk", ".url", ".sha256", ".md5", ".pt", ".safetensors"),
        *(".zip", ".tar", ".gz", ".xz", ".bz2", ".7z", ".rar"),
    }
)
"""Suffixes of what lies beside images and is none: passed over without a word."""
_NAMED: Final = 5
"""Notes of a kind; of more than these the number is said."""


def is_known_as_none(path: Path) -> bool:
    """Whether a file is known to be no image: by its suffix, which it has."""
    return bool(path.suffix) and path.suffix.lower() in _NO_IMAGES


def left_out(root: Path, used: Iterable[Path], *, where: str, passed_over: Iterable[Path] = ()) -> tuple[str, ...]:
    """Notes on the images in a folder, and what may be some, that are not used.

    Args:
        root: the folder; searched to its bottom, links to folders included.
        used: files that are used, and folders all of whose files are.
        where: which folders images are taken from, for the notes.
        passed_over: folders whose own files are looked at elsewhere; those below them are not.

    Returns:
        A note for each folder and kind of file, in order; none where nothing is left out.
    """
    known, elsewhere = set(used), set(passed_over)
    images: dict[str, list[str]] = defaultdict(list)
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    seen = set()
    for name, folders, files in os.walk(root, followlinks=True):
        place = Path(name)
        real = os.path.realpath(name)
        if place in known or real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(folder for folder in folders if not is_hidden(folder))
        if place in elsewhere:
            continue
        for file in sorted(files):
            suffix = Path(file).suffix.lower()
            if is_hidden(file) or place / file in known or suffix in _NO_IMAGES:
                continue
            within = "" if place == root else place.relative_to(root).as_posix()
            if suffix in IMAGE_SUFFIXES:
                images[within].append(file)
            else:
                others[within, suffix].append(file)
    return (*_of_images(images, where), *_of_others(others))


def _of_images(found: dict[str, list[str]], where: str) -> list[str]:
    notes = [
        f"{len(files)} {_plural('image', files)} in {_shown(folder)} {_are(files)} left out, "
        f"first {printable(files[0])}: images are taken from {where}, and from no folder within"
        for folder, files in found.items()
    ]
    return _few(notes, "folders with images that are left out")


def _of_others(found: dict[tuple[str, str], list[str]]) -> list[str]:
    read = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
    notes = [
        f"{len(files)} {_plural('file', files)} with the suffix '{printable(suffix)}' in {_shown(folder)} "
        f"{_are(files)} left out, first {printable(files[0])}: what is read are {read}"
        for (folder, suffix), files in found.items()
    ]
    return _few(notes, "kinds of files that are left out")


def _few(notes: list[str], what: str) -> list[str]:
    return notes if len(notes) <= _NAMED else [*notes[:_NAMED], f"and {len(notes) - _NAMED} more {what}"]


def _shown(folder: str) -> str:
    return printable(folder) if folder else "the category's own folder"


def _plural(word: str, files: list[str]) -> str:
    return word if len(files) == 1 else f"{word}s"


def _are(files: list[str]) -> str:
    return "is" if len(files) == 1 else "are"
