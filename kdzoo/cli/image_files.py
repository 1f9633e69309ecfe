"""The image files that a command line names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    from kdzoo.data.files import printable
    from kdzoo.data.layouts.left_out import is_known_as_none
    from kdzoo.errors import UsageError

    if not words:
        raise UsageError("no images named", hint="kdzoo predict METHOD DATASET/CATEGORY FILES... --out DIR")
    images: list[NamedImage] = []
    none: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            images += _of_folder(path)
        elif not path.exists():
            raise UsageError(f"there is no file '{printable(path)}'")
        elif is_known_as_none(path):  # as Thumbs.db is among photos/*
            none.append(path)
        else:
            images.append(NamedImage(path=path, name=PurePath(path.name)))
    if none and not images:
        raise UsageError(f"'{printable(none[0])}' is no image")
    tell_notes(f"'{printable(path)}' is left out: it is no image" for path in none)
    return images


def _of_folder(folder: Path) -> list[NamedImage]:
    """The images below a folder."""
    from kdzoo.data.files import images_below, printable
    from kdzoo.data.layouts.left_out import left_out
    from kdzoo.errors import UsageError

    found = list(images_below(folder))
    drawn = {path.parent for path in found if _is_drawn(path.parent)}
    own = [path for path in found if path.parent not in drawn and not drawn.intersection(path.parents)]
    if not own:
        raise UsageError(f"the folder '{printable(folder)}' holds no images")
    tell_notes(_drawn_notes(found, drawn))
    tell_notes(left_out(folder, [*own, *drawn], where=printable(folder)))
    return [NamedImage(path=path, name=path.relative_to(folder)) for path in own]


def _is_drawn(folder: Path) -> bool:
    """Whether a folder, or one that it lies in, holds the pictures of an earlier `kdzoo predict`, beside its table."""
    places = [folder, *folder.parents]
    return any(
        place.name == HEATMAPS and any((place.parent / f"{TABLE}.{kind}").is_file() for kind in KINDS)
        for place in places
    )


def _drawn_notes(found: Iterable[Path], drawn: set[Path]) -> Iterable[str]:
    from kdzoo.data.files import printable

    for folder in sorted(drawn):
        count = sum(path.parent == folder for path in found)
        yield f"{count} pictures of an earlier run are left out: {printable(folder)}"
