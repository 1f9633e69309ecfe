"""The layout of ELPV: solar cells in ``images/cell0001.png``, graded in ``labels.csv``; there are no masks.

A row is ``images/cell0001.png  1.0  mono``: path, probability of a defect (0, 1/3, 2/3 or 1, as an expert was sure of
it) and kind of cell, with white space between. The publisher has no split. Here four in five of the cells with
probability 0 train, chosen by the hash of their names; the others test, beside those with probability 1. Cells with 1/3
and 2/3 are neither normal nor defective for sure: they take part only in the categories ``mono-all`` and ``poly-all``,
as defect types of their own, and no command takes those unless they are named.

Source: Deitsch et al., "Segmentation of Photovoltaic Module Cells in Uncalibrated Electroluminescence Images", Machine
Vision and Applications, 2021; Buerhop-Lutz et al., "A Benchmark for Visual Identification of Defective Solar Cells in
Electroluminescence Imagery", EU PVSEC 2018; and the wheel ``elpv-dataset``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kdzoo.data.files import image_files, printable
from kdzoo.data.layouts.pairing import make_index
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError

KINDS = ("mono", "poly")
"""The kinds of cells, and the categories of what is sure."""

ALL = "-all"
"""Ends the name of a category that has the cells of every probability."""

DEFECTIVE = "defective"
"""The defect type of probability 1."""

TRAIN_SHARE = 0.8
"""Of the cells with probability 0, how many train."""

_TABLE, _IMAGES = "labels.csv", "images"
_GRADES = {"0.0": GOOD, "0.3333333333333333": "unsure-33", "0.6666666666666666": "unsure-67", "1.0": DEFECTIVE}
_SURE = (GOOD, DEFECTIVE)
_MEND = "take images and labels.csv from the wheel again: kdzoo data download elpv"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """A checked row: path below the folder, defect type, kind of cell."""

    image: str
    grade: str
    kind: str


def categories(root: Path) -> dict[str, Path]:
    """The four categories, all of which are the folder itself, if it is laid out so; see `registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    # A folder of somebody's own may well have a labels.csv and images.
    laid_out = (root / _TABLE).is_file() and (root / _IMAGES / "cell0001.png").is_file()
    return {name: root for kind in KINDS for name in (kind, kind + ALL)} if laid_out else {}


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the images of one category that the table names; opens none of them.

    Args:
        dataset: the data set's name.
        category: ``mono``, ``poly``, ``mono-all`` or ``poly-all``.
        root: the folder that holds ``images`` and ``labels.csv``.

    Returns:
        The samples ordered by id; no sample has a mask.

    Raises:
        DatasetNotFoundError: ``root`` is not laid out so.
        DatasetError: the table is damaged or names an image twice or one that is not there, or a kind has no cells of
            probability 0 to train on.
    """
    if category not in categories(root):
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there is no {_TABLE} beside {_IMAGES} in {printable(root)}", hint=_MEND
        )
    rows = [row for row in _rows(root / _TABLE) if row.kind == category.removesuffix(ALL)]
    there = {f"{_IMAGES}/{path.name}": path for path in image_files(root / _IMAGES)}
    missing = [row.image for row in rows if row.image not in there]
    if missing:
        raise DatasetError(
            f"{len(missing)} of the {len(rows)} images that {printable(root / _TABLE)} names for {category} are not "
            f"there, first {printable(missing[0])}",
            hint=_MEND,
        )
    train = _train([row.image for row in rows if row.grade == GOOD])
    if not train:
        raise DatasetError(f"{printable(root / _TABLE)} has no {category} cells of probability 0", hint=_MEND)
    wanted = _GRADES.values() if category.endswith(ALL) else _SURE
    samples = [_sample(row, there[row.image], train) for row in rows if row.grade in wanted]
    return make_index(dataset, category, root, samples)


def _sample(row: _Row, path: Path, train: frozenset[str]) -> Sample:
    split: Split = "train" if row.image in train else "test"
    return Sample(id=row.image, path=path, split=split, defect_type=row.grade)


def _train(normal: Sequence[str]) -> frozenset[str]:
    """The normal images that train: the same on every machine, in every version and order of rows."""
    shuffled = sorted(normal, key=lambda image: (hashlib.sha256(f"elpv\0{image}".encode()).digest(), image))
    return frozenset(shuffled[: round(len(normal) * TRAIN_SHARE)])


def _rows(table: Path) -> list[_Row]:
    try:
        lines = table.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise DatasetError(f"cannot read {printable(table)}: {error.strerror or error}", hint=_MEND) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{printable(table)} is damaged: {error}", hint=_MEND) from error
    rows: dict[str, tuple[int, _Row]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _row(line, f"{printable(table)}, line {number}")
        if row.image in rows:
            earlier = rows[row.image][0]
            raise DatasetError(
                f"{printable(table)}, line {number}: {printable(row.image)} was named before, in line {earlier}",
                hint=_MEND,
            )
        rows[row.image] = number, row
    return [row for _, row in rows.values()]


def _row(line: str, place: str) -> _Row:
    cells = line.split()
    if len(cells) != 3:
        raise DatasetError(f"{place}: {len(cells)} columns where path, probability and kind belong", hint=_MEND)
    image, probability, kind = cells
    folder, _, name = image.partition("/")
    if folder != _IMAGES or not name or "/" in name or "\\" in name or "\0" in name:
        raise DatasetError(f"{place}, path: {printable(image[:200])!r} does not lie in '{_IMAGES}'", hint=_MEND)
    if probability not in _GRADES:
        raise DatasetError(
            f"{place}, probability: {probability[:60]!r} is unknown", hint=f"known: {', '.join(_GRADES)}; {_MEND}"
        )
    if kind not in KINDS:
        raise DatasetError(f"{place}, kind: {kind[:60]!r} is unknown", hint=f"known: {', '.join(KINDS)}; {_MEND}")
    return _Row(image=image, grade=_GRADES[probability], kind=kind)
