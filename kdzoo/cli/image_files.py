"""The image files that a command line names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def image_files(words: Sequence[str]) -> list[Path]:
    """The image files that are named, folders walked through.

    Raises:
        UsageError: nothing named, a name that is not there, or no image in a folder.
    """
    from kdzoo.data.files import IMAGE_SUFFIXES, printable
    from kdzoo.errors import UsageError

    if not words:
        raise UsageError("no images named", hint="kdzoo predict METHOD DATASET/CATEGORY FILES... --out DIR")
    images: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file())
            if not found:
                raise UsageError(f"the folder '{printable(path)}' holds no images")
            images += found
        elif path.exists():
            images.append(path)
        else:
            raise UsageError(f"there is no file '{printable(path)}'")
    return images
