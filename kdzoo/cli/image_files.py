"""The image files that a command line names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final

from kdzoo.cli.notes import tell_notes

HEATMAPS: Final = "heatmaps"
"""Folder of the pictures that `kdzoo predict` draws, in that of its results."""
TABLE: Final = "predictions"
"""Name of its table, without the suffix."""
KINDS: Final = ("csv", "jsonl")
"""Suffixes of its table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedImage:
    """An image that a command line names.

    Attributes:
        path: where it lies.
        name: below the folder that was named; of a file that was named itself, the file's own.
    """

    path: Path
    name: PurePath


def image_files(words: Sequence[str]) -> list[Path]:
    """The paths of `named_images`."""
    return [image.path for image in named_images(words)]


def named_images(words: Sequence[str]) -> list[NamedImage]:
    """The image files that are named, folders walked through by the rule of data sets; what is left out is told.

    Hidden files, and pictures that `kdzoo predict` drew in an earlier run, are none of a folder's images.

    Raises:
        UsageError: nothing named, a name that is not there, or no image in a folder.
    """
    from kdzoo.data.files import few, printable
    from kdzoo.data.layouts.left_out import is_known_as_none
    from kdzoo.errors import UsageError

    if not words:
        raise UsageError("no images named", hint="kdzoo predict METHOD DATASET/CATEGORY FILES... --out DIR")
    images: list[NamedImage] = []
    none: list[str] = []
    for word in words:
        path = Path(word)
        try:
            there = path.exists()
        except OSError as error:
            raise UsageError(f"there is no file '{printable(path)}': {error.strerror}") from error
        if not there:
            raise UsageError(f"there is no file '{printable(path)}'")
        if path.is_dir():
            found = _of_folder(path)
            images += found
            none += [] if found else [f"the folder '{printable(path)}' holds no images"]
        elif is_known_as_none(path):  # as Thumbs.db is among photos/*
            none.append(f"'{printable(path)}' is no image")
        else:
            images.append(NamedImage(path=path, name=PurePath(path.name)))
    if not images:
        raise UsageError(none[0])
    tell_notes(few([f"{each}, and left out" for each in none], "that are left out"))
    return images


def _of_folder(folder: Path) -> list[NamedImage]:
    """The images below a folder, without those that an earlier run drew."""
    from kdzoo.data.files import images_below
    from kdzoo.data.layouts.left_out import left_out

    found = images_below(folder)
    drawn = {path: place for path in found if (place := _drawn_in(path.parent, folder)) is not None}
    own = [path for path in found if path not in drawn]
    tell_notes(_drawn_notes(Counter(drawn.values())))
    tell_notes(left_out(folder, [*own, *drawn.values()], why="links that lead nowhere are not followed"))
    return [NamedImage(path=path, name=path.relative_to(folder)) for path in own]


def _drawn_in(place: Path, named: Path) -> Path | None:
    """The folder of pictures of an earlier `kdzoo predict`, beside its table, that a folder is or lies in; else None.

    Args:
        place: the folder.
        named: the one that the command line names, above which nothing is looked at.
    """
    for each in (place, *place.parents):
        if each.name == HEATMAPS and any((each.parent / f"{TABLE}.{kind}").is_file() for kind in KINDS):
            return each
        if each == named:
            return None
    return None


def _drawn_notes(counts: Mapping[Path, int]) -> Iterable[str]:
    from kdzoo.data.files import few, printable

    notes = [
        f"{count} picture{'' if count == 1 else 's'} of an earlier run left out: {printable(folder)}"
        for folder, count in sorted(counts.items())
    ]
    return few(notes, "folders of earlier runs")
