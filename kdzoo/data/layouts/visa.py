"""The layout of VisA as it is published: ``<category>/Data/{Images,Masks}``, split by ``split_csv/1cls.csv``.

The table has the columns ``object,split,label,image,mask``; its paths begin with the category and use forward slashes.
Images that no row names belong to neither part and are left out.

Source: Zou et al., "SPot-the-Difference Self-Supervised Pre-training for Anomaly Detection and Segmentation", ECCV
2022, and its archive.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from kdzoo.data.files import folders, image_files, printable
from kdzoo.data.layouts.pairing import make_index, one_spelling
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError

COLUMNS = ("object", "split", "label", "image", "mask")
"""The columns of the table, in this order."""

ANOMALY = "anomaly"
"""The one defect type that the table knows."""

_DEFECT_TYPES = {"normal": GOOD, "anomaly": ANOMALY}
_MEND = "take split_csv/1cls.csv from the archive again"
_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}


def categories(root: Path) -> dict[str, Path]:
    """The folders in ``root`` that hold ``Data/Images``; see `kdzoo.data.layouts.registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    return {folder.name: folder for folder in folders(root) if (folder / "Data" / "Images").is_dir()}


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the images of one category that the table names; opens none of them.

    Args:
        dataset: the data set's name.
        category: the category's name.
        root: the category's own folder, beside ``split_csv``.

    Returns:
        The samples ordered by id, which is the table's path without the category; every defective one has a mask.

    Raises:
        DatasetNotFoundError: there is no ``Data/Images``, or no table.
        DatasetError: the table is damaged, a row's path leaves the category, is named twice or is not there, a label is
            unknown, a mask is missing or too many, or nothing is left to train on.
    """
    if not (root / "Data" / "Images").is_dir():
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there is no {printable(root / 'Data' / 'Images')}",
            hint="unpack the archive again, with its folders as they are",
        )
    table = root.parent / "split_csv" / "1cls.csv"
    rows = [row for row in _rows(table) if row.category == root.name]
    files = _Files(root)
    missing = [(row, text) for row in rows for text in (row.image, row.mask) if text and files.find(text) is None]
    if missing:
        row, text = missing[0]
        raise DatasetError(
            f"{len(missing)} of the files that {printable(table)} names for {category} are not there, first "
            f"{printable(root.name)}/{printable(text)} ({row.place})",
            hint="unpack the archive again",
        )
    samples = [_sample(row, files) for row in rows]
    if not any(sample.split == "train" for sample in samples):
        raise DatasetError(
            f"{printable(table)} has no train rows of '{printable(root.name)}'", hint="unpack the archive again"
        )
    return make_index(dataset, category, root, samples)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A checked row.

    Attributes:
        category: the object.
        split: train or test.
        defect_type: good or anomaly.
        image: path below the category's folder.
        mask: the same of the mask, empty for a normal image.
        place: table and line, for messages.
    """

    category: str
    split: Split
    defect_type: str
    image: str
    mask: str
    place: str


class _Files:
    """The images in a category's folders, each folder listed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listed: dict[PurePosixPath, dict[str, Path]] = {}

    def find(self, text: str) -> Path | None:
        """The file of a path below the category, whose suffix may be in another case; None when it is not there."""
        path = PurePosixPath(text)
        names = self._names(path.parent)
        return names.get(one_spelling(path.name)) or names.get(_plain(path.name))

    def _names(self, parent: PurePosixPath) -> dict[str, Path]:
        if parent not in self._listed:
            folder = self._root / parent
            images = image_files(folder) if folder.is_dir() else []
            # An exact name wins over one that differs in its suffix's case.
            names = {_plain(image.name): image for image in images}
            self._listed[parent] = names | {one_spelling(image.name): image for image in images}
        return self._listed[parent]


def _plain(name: str) -> str:
    path = PurePosixPath(one_spelling(name))
    return path.stem + path.suffix.lower()


def _sample(row: _Row, files: _Files) -> Sample:
    path, mask = files.find(row.image), files.find(row.mask) if row.mask else None
    if path is None:
        raise DatasetError(f"{row.place}: {printable(row.image)} went away while it was read", hint="run it again")
    return Sample(id=one_spelling(row.image), path=path, split=row.split, defect_type=row.defect_type, mask_path=mask)


def _rows(table: Path) -> Iterator[_Row]:
    """The rows of the table, checked one by one and against each other."""
    seen: dict[str, str] = {}
    for number, cells in _cells(table):
        row = _row(cells, f"{printable(table)}, line {number}")
        for text in filter(None, (row.image, row.mask)):
            name = f"{row.category}/{text}"
            if name in seen:
                raise DatasetError(f"{row.place}: {printable(name)} was named before, in {seen[name]}", hint=_MEND)
            seen[name] = f"line {number}"
        yield row


def _cells(table: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row below the heading, without empty lines."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            heading = tuple(cell.strip() for cell in next(reader, []))
            if heading != COLUMNS:
                raise DatasetError(
                    f"{printable(table)} begins with {','.join(heading)[:100]!r}, not with {','.join(COLUMNS)!r}",
                    hint=_MEND,
                )
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, [cell.strip() for cell in cells]
    except FileNotFoundError as error:
        raise DatasetNotFoundError(
            f"there is no {printable(table)}, which says what trains and what tests", hint=_MEND
        ) from error
    except OSError as error:
        raise DatasetError(f"cannot read {printable(table)}: {error.strerror or error}", hint=_MEND) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{printable(table)} is damaged: {error}", hint=_MEND) from error


def _row(cells: list[str], place: str) -> _Row:
    if len(cells) != len(COLUMNS):
        raise DatasetError(f"{place}: {len(cells)} cells where {len(COLUMNS)} belong", hint=_MEND)
    category, split, label, image, mask = cells
    for kind, value, known in (("split", split, _SPLITS), ("label", label, _DEFECT_TYPES)):
        if value not in known:
            raise DatasetError(f"{place}: unknown {kind} {value[:60]!r}", hint=f"known: {', '.join(known)}; {_MEND}")
    normal = label == "normal"
    if split == "train" and not normal:
        raise DatasetError(f"{place}: an anomalous image among those to train on", hint=_MEND)
    if bool(mask) == normal:
        wrong = "a normal image has a mask" if mask else "an anomalous image has no mask"
        raise DatasetError(f"{place}: {wrong}", hint=_MEND)
    return _Row(
        category=category,
        split=_SPLITS[split],
        defect_type=_DEFECT_TYPES[label],
        image=_below(category, image, place),
        mask=_below(category, mask, place) if mask else "",
        place=place,
    )


def _below(category: str, text: str, place: str) -> str:
    """A row's path without its category; it must lead downwards on every system."""
    path, windows = PurePosixPath(text), PureWindowsPath(text)
    inside = len(path.parts) > 1 and path.parts[0] == category and not path.is_absolute()
    if not inside or ".." in windows.parts or windows.drive or windows.root or "\\" in text or "\0" in text:
        raise DatasetError(
            f"{place}: the path {printable(text[:200])!r} does not lie in the folder '{printable(category[:60])}'",
            hint=_MEND,
        )
    return PurePosixPath(*path.parts[1:]).as_posix()
