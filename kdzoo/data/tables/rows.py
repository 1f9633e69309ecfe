"""What every kind of table is read into: a row an image, with where it stands for messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kdzoo.data.samples import GOOD, Split
from kdzoo.errors import DatasetError

NORMAL_LABELS = ("0", "0.0", "false", "good", "normal", "ok")
"""What a label may be for a normal image, lower case."""

DEFECTIVE_LABELS = ("1", "1.0", "true", "anomalous", "anomaly", "bad", "defect", "defective", "ng", "nok")
"""What a label may be for a defective image, lower case."""

DEFECT = "defect"
"""The defect type where a table names none."""

_LONGEST_TYPE = 128

Drawing = Callable[[], npt.NDArray[np.bool_]]
"""Draws a mask, ``[H, W]``, True where the defect is. Raises DatasetError where that cannot be."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An image of a table.

    Attributes:
        image: its path below the folder of the images; not looked for yet.
        place: file and line, or what else tells where it stands.
        image_cell: the name of the column or key of the path.
        defect_type: ``good`` for a normal image.
        split: None where the table has none.
        mask: path of its mask's file below the folder of the images; None for none.
        drawing: makes its mask where that is no file.
        category: as the table has it; None where it has none.
    """

    image: str
    place: str
    image_cell: str = "path"
    defect_type: str = GOOD
    split: Split | None = None
    mask: str | None = None
    drawing: Drawing | None = None
    category: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table that was read.

    Attributes:
        rows: in the table's order.
        has_split: whether every row says its split; otherwise none does.
        notes: what a person should know of how it was read.
    """

    rows: tuple[Row, ...]
    has_split: bool = False
    notes: tuple[str, ...] = ()


def wrong(place: str, cell: str, reason: str, hint: str | None = None) -> DatasetError:
    """The error of one cell: where it stands, its column or key, what is wrong."""
    return DatasetError(f"{place}, {cell}: {reason}", hint=hint)


def defect_type_of(text: str, place: str, cell: str) -> str:
    """A defect type as a table has it, checked.

    Raises:
        DatasetError: it could not be shown, or is the word for normal images.
    """
    name = text.strip()
    if not name or len(name) > _LONGEST_TYPE or not name.isprintable():
        raise wrong(place, cell, f"{name[:60]!r} is no name of a kind of defect")
    if name.lower() in NORMAL_LABELS:
        raise wrong(place, cell, f"{name!r} is the word for a normal image", "say which kind of defect it is")
    return name
