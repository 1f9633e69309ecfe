"""The layout of a table that was taken up by `kdzoo data add`: a folder of kdzoo's own beside which the images lie.

::

    table.json              where the images lie, which table it was, who made the split
    categories/lid.json     the samples of a category
    masks/000001.png        masks that were drawn from polygons or runs of pixels; the others lie with the images

The images stay in their own folder and are read there; no path and no link may lead out of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from kdzoo.data.files import printable
from kdzoo.data.inside import Inside
from kdzoo.data.layouts.pairing import make_index, make_sample
from kdzoo.data.samples import CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError

SCHEMA = "kdzoo-table/1"
"""Of its JSON files; another one is refused."""

HEAD, CATEGORIES, MASKS = "table.json", "categories", "masks"
"""Names in the folder."""

_MEND = "take the table up again: kdzoo data add NAME TABLE --root DIR"


def categories(root: Path) -> dict[str, Path]:
    """The categories of a table, all of which are the folder itself; see `kdzoo.data.layouts.registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    if not (root / HEAD).is_file():
        return {}
    return {path.stem: root for path in sorted((root / CATEGORIES).glob("*.json"))}


def image_folder(root: Path) -> Path:
    """Where the images of a table lie.

    Raises:
        DatasetError: the table's folder is damaged.
    """
    return Path(_text(_read(root / HEAD), "images", root / HEAD))


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the images of one category that the table named; opens none of them.

    Args:
        dataset: the data set's name.
        category: the category's name.
        root: the table's own folder.

    Returns:
        The samples ordered by id, which is their path below the folder of the images.

    Raises:
        DatasetNotFoundError: the table has no such category, or an image or mask is not there any more.
        DatasetError: the table's folder is damaged, or a path leads out of the folder of the images by now.
    """
    file = root / CATEGORIES / f"{category}.json"
    if not file.is_file():
        raise DatasetNotFoundError(f"{dataset}/{category}: there is no {printable(file)}", hint=_MEND)
    images = image_folder(root)
    if not images.is_dir():
        raise DatasetNotFoundError(
            f"{dataset}/{category}: the folder of its images, {printable(images)}, is not there", hint=_MEND
        )
    rows = _read(file).get("samples")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _damaged(file, "'samples' must be a list of objects")
    inside, drawn = Inside(images), Inside(root)
    samples, wrong = [], []
    for row in rows:
        image, mask = _text(row, "image", file), _optional(row, "mask", file)
        why = inside.why_not(image) or _why_no_mask(mask, row, inside, drawn, file)
        if why:
            wrong.append(f"{printable(image)}: {why}")
        else:
            samples.append(_sample(row, image, mask, images, root, file))
    if wrong:
        raise DatasetNotFoundError(
            f"{dataset}/{category}: {len(wrong)} of {len(rows)} images cannot be used, first {wrong[0]}", hint=_MEND
        )
    return make_index(dataset, category, images, samples)


def _why_no_mask(mask: str | None, row: Mapping[str, Any], inside: Inside, drawn: Inside, file: Path) -> str:
    own = _optional(row, "drawn", file)
    if own is not None:
        why = drawn.why_not(own)
    else:
        why = inside.why_not(mask) if mask is not None else ""
    return f"its mask {why}" if why else ""


def _sample(row: Mapping[str, Any], image: str, mask: str | None, images: Path, root: Path, file: Path) -> Sample:
    own = _optional(row, "drawn", file)
    truth = root / own if own is not None else (images / mask if mask is not None else None)
    split = _text(row, "split", file)
    for known in get_args(Split):
        if split == known:
            return make_sample(images, images / image, known, _text(row, "defect", file), truth)
    raise _damaged(file, f"unknown split {split[:60]!r}")


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise DatasetError(f"cannot read {printable(file)}: {error.strerror or error}", hint=_MEND) from error
    except (ValueError, RecursionError) as error:
        raise _damaged(file, str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise _damaged(file, f"it is not of the schema '{SCHEMA}'")
    return content


def _text(row: Mapping[str, Any], key: str, file: Path) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not value:
        raise _damaged(file, f"'{key}' must be a text")
    return value


def _optional(row: Mapping[str, Any], key: str, file: Path) -> str | None:
    return None if row.get(key) is None else _text(row, key, file)


def _damaged(file: Path, reason: str) -> DatasetError:
    return DatasetError(f"{printable(file)} is damaged: {reason}", hint=_MEND)
