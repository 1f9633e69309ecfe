"""A table taken up under a name: checked against the images, split where it has no split, kept in a folder of kdzoo's.

What is kept is what later commands read: a changed table changes nothing until it is taken up again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from kdzoo.data.files import printable, slug
from kdzoo.data.images import read_size
from kdzoo.data.inside import Inside
from kdzoo.data.layouts.table import CATEGORIES, HEAD, MASKS, SCHEMA
from kdzoo.data.samples import GOOD
from kdzoo.data.tables.coco import coco_table, is_coco
from kdzoo.data.tables.json_file import read_json
from kdzoo.data.tables.label_studio import is_label_studio, label_studio_table
from kdzoo.data.tables.manifest import read_csv, read_parquet
from kdzoo.data.tables.rows import Row, Table, wrong
from kdzoo.errors import DatasetError, KdzooError, StorageError, UsageError
from kdzoo.storage import write_new
from zoo_registry.store.files import make_folder, sync_folder

TRAIN_SHARE = 0.8
"""Of a category's normal images, how many train where the table has no split and shows defects."""

MADE_SPLIT = (
    f"the table has no split: {TRAIN_SHARE:.0%} of the normal images of a category train, chosen by the hash of their "
    "paths, and the others test with all defective ones; where none is defective, all train"
)
"""What a person is told of it."""

SUFFIXES = (".csv", ".tsv", ".parquet", ".json")
"""Of files that are tables, lower case."""

_DIGITS = 12
"""Of the digest in a folder's name."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class TakenUp:
    """A table in its place.

    Attributes:
        folder: kdzoo's own folder of it, in the layout `kdzoo.data.layouts.table`.
        split_is_made: whether the table had no split.
        notes: what a person should know.
    """

    folder: Path
    split_is_made: bool
    notes: tuple[str, ...]


def read_table(file: Path, images: Path) -> Table:
    """Reads a table of any kind: by its suffix, and of JSON by what it holds.

    Args:
        file: the table.
        images: the folder of the images.

    Raises:
        UsageError: it is no kind of table that is known.
        DatasetError: naming file, line and column, or the keys that lead to what is wrong.
        MissingDependencyError: a Parquet file, and pyarrow is not installed.
    """
    suffix = file.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_csv(file)
    if suffix == ".parquet":
        return read_parquet(file)
    if suffix != ".json":
        raise UsageError(f"{printable(file)} is no table", hint=f"tables are {', '.join(SUFFIXES)}")
    content = read_json(file)
    if is_coco(content):
        return coco_table(content, file)
    if is_label_studio(content):
        return label_studio_table(content, file, Inside(images))
    raise DatasetError(
        f"{printable(file)} is neither COCO's JSON (an object with 'images' and 'annotations') nor Label Studio's (a "
        "list of tasks with 'data')",
        hint="export as COCO, or as JSON from Label Studio",
    )


def take_up(name: str, file: Path, images: Path, places: Path, progress: Progress | None = None) -> TakenUp:
    """Checks a table and keeps what it says.

    Args:
        name: of the data set; the one category of a table without categories is called so, too.
        file: the table, absolute.
        images: the folder of the images, absolute; nothing in it is changed.
        places: the folder that the new folder is made in.
        progress: called with (masks drawn, masks in all).

    Returns:
        The folder, named after the data set and a digest of what it holds: the same table gives the same one.

    Raises:
        UsageError: it is no table.
        DatasetError: the table is damaged, leads out of the folder, names what is not there, or cannot be split.
        StorageError: the folder cannot be written.
    """
    table = read_table(file, images)
    rows = _checked(table.rows, Inside(images))
    if not rows:
        raise DatasetError(f"{printable(file)} names no images")
    notes = list(table.notes)
    categories = _by_category(rows, name)
    if not table.has_split:
        categories = {category: _split(members) for category, members in categories.items()}
        notes.append(MADE_SPLIT)
    for category, members in categories.items():
        _check_split(category, members, file)
        notes += _mask_notes(category, members)
    with _storage_errors(places):
        folder = _written(name, file, images, places, categories, made=not table.has_split, progress=progress)
    return TakenUp(folder=folder, split_is_made=not table.has_split, notes=tuple(notes))


def _checked(rows: Sequence[Row], inside: Inside) -> list[Row]:
    """The rows with paths below the folder, each of which is there and named once."""
    seen: dict[str, str] = {}

    def found(text: str, row: Row, cell: str) -> str:
        path = inside.relative(text)
        why = inside.why_not(path)
        if why:
            raise wrong(row.place, cell, f"{printable(text)[:200]!r} {why}")
        if path in seen:
            raise wrong(row.place, cell, f"{printable(path)} was named before, in {seen[path]}")
        seen[path] = row.place
        return path

    return [
        replace(
            row,
            image=found(row.image, row, row.image_cell),
            mask=None if row.mask is None else found(row.mask, row, "mask"),
        )
        for row in rows
    ]


def _by_category(rows: Sequence[Row], dataset: str) -> dict[str, list[Row]]:
    """The rows of each category by the name that it has in the zoo, ordered."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        name = dataset if row.category is None else slug(row.category)
        if not name:
            raise wrong(row.place, "category", f"no name can be made of {(row.category or '')[:60]!r}")
        others = found[name]
        if others and others[0].category != row.category:
            raise wrong(
                row.place, "category",
                f"{row.category!r} and {others[0].category!r} would both be '{name}' ({others[0].place})",
            )  # fmt: skip
        others.append(row)
    return dict(sorted(found.items()))


def _split(rows: Sequence[Row]) -> list[Row]:
    """Train and test by the hash of paths: the same on every machine and in every order of rows."""
    normal = [row.image for row in rows if row.defect_type == GOOD]
    ranked = sorted(normal, key=lambda image: (hashlib.sha256(f"table\0{image}".encode()).digest(), image))
    count = max(round(len(normal) * TRAIN_SHARE), 1) if len(normal) < len(rows) else len(normal)
    train = frozenset(ranked[:count])
    return [replace(row, split="train" if row.image in train else "test") for row in rows]


def _check_split(category: str, rows: Sequence[Row], file: Path) -> None:
    for row in rows:
        if row.split == "train" and row.defect_type != GOOD:
            raise wrong(row.place, "split", "a defective image among those to train on", "put it into test")
    if not any(row.split == "train" for row in rows):
        raise DatasetError(f"{printable(file)} has no normal images of '{category}' to train on")


def _mask_notes(category: str, rows: Sequence[Row]) -> list[str]:
    defective = [row for row in rows if row.defect_type != GOOD]
    without = [row for row in defective if row.mask is None and row.drawing is None]
    if not without or len(without) == len(defective):
        return []
    return [
        f"{len(without)} of the {len(defective)} defective images of '{category}' have no mask (first: "
        f"{without[0].place}): pixel metrics are undefined where one of these is measured"
    ]


def _written(
    name: str, file: Path, images: Path, places: Path, categories: Mapping[str, Sequence[Row]], *, made: bool,
    progress: Progress | None,
) -> Path:  # fmt: skip
    """The table's folder, written beside its place and moved there whole."""
    make_folder(places)
    digest = hashlib.sha256()
    scratch = places / f".{name}-{uuid.uuid4().hex}"
    total = sum(row.drawing is not None for rows in categories.values() for row in rows)
    numbers: Iterator[int] = iter(range(1, total + 1))
    try:
        (scratch / CATEGORIES).mkdir(parents=True)
        (scratch / MASKS).mkdir()
        head = {"images": str(images), "source": str(file), "split": "made" if made else "given"}
        _write(scratch / HEAD, head, digest)
        for category, rows in categories.items():
            samples = []
            for row in sorted(rows, key=lambda each: each.image):
                sample = {"image": row.image, "split": row.split, "defect": row.defect_type, "mask": row.mask}
                if row.drawing is not None:
                    number = next(numbers)
                    sample["drawn"] = f"{MASKS}/{number:06}.png"
                    _draw(row, images, scratch / MASKS / f"{number:06}.png", digest)
                    if progress is not None:
                        progress(number, total)
                samples.append(sample)
            _write(scratch / CATEGORIES / f"{category}.json", {"samples": samples}, digest)
        os.sync()
        place = places / f"{name}-{digest.hexdigest()[:_DIGITS]}"
        if not place.is_dir():
            scratch.rename(place)
            sync_folder(places)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return place


def _write(file: Path, content: Mapping[str, Any], digest: Any) -> None:
    data = json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False, indent=1).encode()
    digest.update(file.name.encode() + b"\0" + data)
    write_new(file, data)


def _draw(row: Row, images: Path, file: Path, digest: Any) -> None:
    """Writes a mask that is no file yet; it has its image's size and marks something."""
    if row.drawing is None:
        return
    mask: npt.NDArray[np.bool_] = row.drawing()
    width, height = read_size(images / row.image)
    if mask.shape != (height, width):
        raise DatasetError(
            f"{row.place}: its mask is {mask.shape[1]}x{mask.shape[0]} pixels, but its image {printable(row.image)} is "
            f"{width}x{height}",
            hint="export again from the images that lie there",
        )
    if not mask.any():
        raise DatasetError(f"{row.place}: its marks lie outside its image {printable(row.image)}")
    digest.update(np.packbits(mask).tobytes())
    drawn = BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(drawn, format="PNG")
    write_new(file, drawn.getbuffer())


@contextmanager
def _storage_errors(places: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if isinstance(error, KdzooError):
            raise
        raise StorageError(
            f"cannot write {printable(error.filename or places)}: {error.strerror or error}",
            hint="free some space, or set KDZOO_HOME to a folder that can be written",
        ) from error


def put_away(name: str, places: Path) -> int:
    """Removes the folders of every table that was taken up under a name, with their masks; the images lie elsewhere.

    Until then earlier ones stay: a sweep that began with one goes on with it.

    Args:
        name: of the data set.
        places: the folder that tables are kept in.

    Returns:
        How many there were.
    """
    ours = re.compile(rf"{re.escape(name)}-[0-9a-f]{{{_DIGITS}}}")
    found = [path for path in places.glob(f"{name}-*") if ours.fullmatch(path.name) and (path / HEAD).is_file()]
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
    return len(found)
