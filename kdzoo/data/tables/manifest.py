"""Manifests: CSV or Parquet with a row an image.

The columns are ``path, label`` and, where wanted, ``split, mask, category, defect_type``.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from kdzoo.data.files import printable
from kdzoo.data.samples import GOOD, Split
from kdzoo.data.tables.rows import DEFECT, DEFECTIVE_LABELS, NORMAL_LABELS, Row, Table, defect_type_of, wrong
from kdzoo.errors import DatasetError, MissingDependencyError

COLUMNS = ("path", "label", "split", "mask", "category", "defect_type")
"""The columns that are read; the first two must be there."""

PATH_NAMES = ("path", "file", "filename", "file_name", "image")
"""What the column of paths may be called."""

_SPLITS: Mapping[str, Split] = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
_DELIMITERS = ",;\t"
_Cells = tuple[str, dict[str, str]]


def read_csv(file: Path) -> Table:
    """Reads a CSV manifest: UTF-8, with a heading; cells are parted by comma, semicolon or tab, as the heading has it.

    Raises:
        DatasetError: naming file, line and column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            delimiter = max(_DELIMITERS, key=lines.readline().count)
            lines.seek(0)
            reader = csv.reader(lines, delimiter=delimiter, strict=True)
            heading = next(reader, [])
            return _table(_csv_rows(file, reader, heading), heading, f"{printable(file)}, line 1")
    except OSError as error:
        raise DatasetError(f"cannot read {printable(file)}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{printable(file)} is not UTF-8: {error}", hint="save it as UTF-8") from error
    except csv.Error as error:
        raise DatasetError(f"{printable(file)}, line {reader.line_num}: {error}") from error


def read_parquet(file: Path) -> Table:
    """Reads a Parquet manifest; its columns may be texts, numbers or booleans.

    Raises:
        DatasetError: naming file, row and column.
        MissingDependencyError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{printable(file)} needs pyarrow to be read, which is not installed",
            hint="pip install pyarrow, or save the table as CSV",
        ) from error
    try:
        with file.open("rb") as opened:
            table = pyarrow.parquet.read_table(opened)
    except (OSError, pyarrow.ArrowException) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DatasetError(f"cannot read {printable(file)}: {printable(said)[:200]}") from error
    heading = [str(name) for name in table.column_names]
    known = [place for place, name in enumerate(heading) if _plain(name) in (*COLUMNS, *PATH_NAMES)]
    columns = [table.column(place).to_pylist() for place in known]

    def rows() -> Iterator[_Cells]:
        for number, values in enumerate(zip(*columns, strict=True), 1):
            cells = {_plain(heading[place]): _shown(value) for place, value in zip(known, values, strict=True)}
            yield f"{printable(file)}, row {number}", cells

    return _table(rows(), heading, f"{printable(file)}, columns")


def _csv_rows(file: Path, reader: Iterator[list[str]], heading: Sequence[str]) -> Iterator[_Cells]:
    names = [_plain(name) for name in heading]
    for cells in reader:
        place = f"{printable(file)}, line {reader.line_num}"  # type: ignore[attr-defined]  # csv's readers count
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(names):
            raise DatasetError(f"{place}: {len(cells)} cells where the heading has {len(names)}")
        yield place, dict(zip(names, (cell.strip() for cell in cells), strict=True))


def _table(rows: Iterator[_Cells], heading: Sequence[str], place: str) -> Table:
    path, notes = _checked_heading([_plain(name) for name in heading], place)
    read = tuple(_row(cells, where, path) for where, cells in rows)
    return Table(rows=read, has_split="split" in map(_plain, heading), notes=notes)


def _checked_heading(names: Sequence[str], place: str) -> tuple[str, tuple[str, ...]]:
    """The name of the column of paths, and what to say of columns that are not read."""
    paths = [name for name in names if name in PATH_NAMES]
    if len(paths) != 1:
        what = f"columns {', '.join(paths)}" if paths else "no column"
        raise DatasetError(
            f"{place}: {what} for the paths of images, where one belongs (it has {', '.join(names)[:200]!r})",
            hint=f"name it 'path'; the columns are {', '.join(COLUMNS)}",
        )
    if "label" not in names:
        raise DatasetError(f"{place}: there is no column 'label'", hint=f"the columns are {', '.join(COLUMNS)}")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise wrong(place, doubled[0], "there are two columns of that name")
    others = [name for name in names if name not in (*COLUMNS, paths[0])]
    for name in others:
        # Columns of somebody's own are welcome; one that is a slip of the pen must not be passed over.
        near = difflib.get_close_matches(name, COLUMNS, n=1, cutoff=0.8)
        if near and near[0] not in names:
            raise wrong(place, name, f"unknown column; did you mean '{near[0]}'?", f"columns: {', '.join(COLUMNS)}")
    return paths[0], (f"columns that are not read: {', '.join(map(printable, others))}",) if others else ()


def _row(cells: Mapping[str, str], place: str, path: str) -> Row:
    label = cells["label"].lower()
    if label not in (*NORMAL_LABELS, *DEFECTIVE_LABELS):
        known = f"normal: {', '.join(NORMAL_LABELS)}; defective: {', '.join(DEFECTIVE_LABELS)}"
        raise wrong(
            place, "label", f"{cells['label'][:60]!r} is unknown", f"{known}; kinds of defects belong in defect_type"
        )
    normal, defect, mask = label in NORMAL_LABELS, cells.get("defect_type", ""), cells.get("mask", "")
    if normal and mask:
        raise wrong(place, "mask", "a normal image has a mask", "leave the cell empty")
    if normal and defect.lower() not in ("", *NORMAL_LABELS):
        raise wrong(place, "defect_type", f"{defect[:60]!r} on an image whose label is {cells['label']!r}")
    split = cells.get("split")
    if split is not None and split.lower() not in _SPLITS:
        known = "train, validation, test"
        raise wrong(place, "split", f"{split[:60]!r} is unknown", f"known: {known}; or leave the column away")
    if "category" in cells and not cells["category"]:
        raise wrong(place, "category", "is empty", "name one in every row, or leave the column away")
    return Row(
        image=cells[path],
        place=place,
        image_cell=path,
        defect_type=GOOD if normal else (defect_type_of(defect, place, "defect_type") if defect else DEFECT),
        split=None if split is None else _SPLITS[split.lower()],
        mask=mask or None,
        category=cells.get("category"),
    )


def _plain(name: str) -> str:
    return name.strip().lower()


def _shown(value: object) -> str:
    empty = value is None or value != value  # NaN, which is how some programs write an empty cell
    return "" if empty else str(value).strip()
