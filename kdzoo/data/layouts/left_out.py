"""What lies in a category's folder and is not used: each file is used, known to be no image, or left out and named."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kdzoo.data.files import IMAGE_SUFFIXES, few, is_hidden, printable

_NO_IMAGES: Final = frozenset(
    {
        *(".txt", ".md", ".rst", ".pdf", ".doc", ".docx", ".rtf", ".html", ".htm", ".log", ".license"),
        *(".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".xls", ".xlsx", ".parquet", ".db"),
        *(".ini", ".cfg", ".py", ".ipynb", ".sh", ".bat", ".lnk", ".url", ".sha256", ".md5", ".pt", ".safetensors"),
        *(".zip", ".tar", ".gz", ".xz", ".bz2", ".7z", ".rar"),
    }
)
"""Suffixes of what lies beside images and is none: passed over without a word."""
_TEXTS: Final = frozenset({"license", "licence", "readme", "copying", "notice", "authors", "changelog", "makefile"})
"""Files without a suffix that are none, lower case."""


def is_known_as_none(path: Path) -> bool:
    """Whether a file is known to be no image: by its suffix, or without one by its name."""
    return path.suffix.lower() in _NO_IMAGES or (not path.suffix and path.name.lower() in _TEXTS)


def left_out(root: Path, used: Iterable[Path], *, why: str, passed_over: Iterable[Path] = ()) -> tuple[str, ...]:
    """Notes on the images in a folder, and what may be some, that are not used.

    Args:
        root: the folder; searched to its bottom. A link to a folder is named where nothing behind it is used, and never
            followed: it may lead anywhere.
        used: files that are used, and folders all of whose files are.
        why: what is used instead, for the notes.
        passed_over: folders whose own files are looked at elsewhere; those below them are not.

    Returns:
        A note for each folder and kind of file, in order, of many the first and their number; none where nothing is
        left out.
    """
    known, elsewhere = set(used), set(passed_over)
    within_known = {parent for path in known for parent in path.parents}
    images: dict[str, list[str]] = defaultdict(list)
    others: dict[tuple[str, str], list[str]] = defaultdict(list)
    closed: list[str] = []
    for name, folders, files in os.walk(root, onerror=lambda error: closed.append(str(error.filename))):
        place = Path(name)
        if place in known:
            folders.clear()
            continue
        folders[:] = sorted(folder for folder in folders if not is_hidden(folder))
        within = "" if place == root else place.relative_to(root).as_posix()
        links = [
            folder
            for folder in folders
            if (place / folder).is_symlink() and place / folder not in known and place / folder not in within_known
        ]
        others[within, _LINK] += links
        if place in elsewhere:
            continue
        for file in sorted(files):
            if is_hidden(file) or place / file in known or is_known_as_none(Path(file)):
                continue
            suffix = Path(file).suffix.lower()
            (images[within] if suffix in IMAGE_SUFFIXES else others[within, suffix]).append(file)
    unread = [
        f"the folder {printable(Path(name).relative_to(root))} cannot be listed, and is left out" for name in closed
    ]
    return (
        *few(_of_images(images, why), "folders with images that are left out"),
        *few(_of_others(others), "kinds of files that are left out"),
        *few(unread, "folders that cannot be listed"),
    )


_LINK: Final = "/"
"""Stands for links to folders among the suffixes of files."""


def _of_images(found: dict[str, list[str]], why: str) -> list[str]:
    return [
        f"{_counted('image', files)} in {_shown(folder)} {_are(files)} left out, first {printable(files[0])}: {why}"
        for folder, files in found.items()
    ]


def _of_others(found: dict[tuple[str, str], list[str]]) -> list[str]:
    read = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
    notes = []
    for (folder, suffix), files in found.items():
        if not files:
            continue
        if suffix == _LINK:
            what, why = _counted("link", files), "links to folders are not followed"
        else:
            called = f" with the suffix '{printable(suffix)}'" if suffix else " without a suffix"
            what, why = _counted("file", files) + called, f"what is read are {read}"
        notes.append(f"{what} in {_shown(folder)} {_are(files)} left out, first {printable(files[0])}: {why}")
    return notes


def _shown(folder: str) -> str:
    return printable(folder) if folder else "the folder itself"


def _counted(word: str, files: list[str]) -> str:
    return f"{len(files)} {word}" + ("" if len(files) == 1 else "s")


def _are(files: list[str]) -> str:
    return "is" if len(files) == 1 else "are"
