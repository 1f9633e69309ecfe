"""COCO's JSON: an image without annotations is normal, one with any is defective; their segmentations make its mask.

The defect type is the annotations' category, several joined by ``+``. A category with a word for normal (``good``,
``ok``) marks nothing. An annotation that has a box alone leaves its image without a mask: a box is no pixel truth.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdzoo.data.files import printable
from kdzoo.data.samples import GOOD
from kdzoo.data.tables.json_file import numbers, objects, text, whole
from kdzoo.data.tables.rows import NORMAL_LABELS, Drawing, Row, Table, defect_type_of, wrong
from kdzoo.data.tables.shapes import coco_runs_mask, empty_mask, polygon_mask

_Placed = tuple[str, Mapping[str, Any]]


def is_coco(content: Any) -> bool:
    """Whether JSON looks like COCO's."""
    return isinstance(content, dict) and "images" in content and "annotations" in content


def coco_table(content: Mapping[str, Any], file: Path) -> Table:
    """The images of COCO's JSON.

    Raises:
        DatasetError: naming the file, the entry and its key.
    """
    name = printable(file)
    kinds = {}
    for number, kind in enumerate(objects(content.get("categories"), name, "categories")):
        kinds[whole(kind, f"{name}, categories[{number}]", "id")] = text(kind, f"{name}, categories[{number}]", "name")
    images: dict[int, _Placed] = {}
    for number, image in enumerate(objects(content.get("images"), name, "images")):
        place = f"{name}, images[{number}]"
        identity = whole(image, place, "id")
        if identity in images:
            raise wrong(place, "id", f"{identity} was given before, in {images[identity][0].rpartition(', ')[2]}")
        images[identity] = place, image
    marks: dict[int, list[_Placed]] = defaultdict(list)
    for number, mark in enumerate(objects(content.get("annotations"), name, "annotations")):
        place = f"{name}, annotations[{number}]"
        image_id, kind_id = whole(mark, place, "image_id"), whole(mark, place, "category_id")
        if image_id not in images:
            raise wrong(place, "image_id", f"there is no image {image_id}")
        if kind_id not in kinds:
            raise wrong(place, "category_id", f"there is no category {kind_id}")
        if kinds[kind_id].lower() not in NORMAL_LABELS:
            marks[image_id].append((place, mark))
    rows = tuple(_row(place, image, marks[identity], kinds) for identity, (place, image) in images.items())
    return Table(rows=rows)


def _row(place: str, image: Mapping[str, Any], marks: Sequence[_Placed], kinds: Mapping[int, str]) -> Row:
    types = {defect_type_of(kinds[mark["category_id"]], where, "category_id") for where, mark in marks}
    drawing: Drawing | None = None
    if marks and all(mark.get("segmentation") for _, mark in marks):
        size = whole(image, place, "height"), whole(image, place, "width")
        drawing = partial(_draw, tuple(marks), size)
    return Row(
        image=text(image, place, "file_name"),
        place=place,
        image_cell="file_name",
        defect_type="+".join(sorted(types)) or GOOD,
        drawing=drawing,
    )


def _draw(marks: Sequence[_Placed], size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    place, key = marks[0][0], "segmentation"
    try:
        mask = empty_mask(*size)
        for place, mark in marks:
            shape = mark["segmentation"]
            if isinstance(shape, dict):
                mask |= _runs(shape, size, place)
                continue
            if not isinstance(shape, list):
                raise wrong(place, key, "polygons or runs belong here")
            for corners in shape:
                flat = numbers(corners, place, key)
                if len(flat) % 2:
                    raise wrong(place, key, f"a polygon has pairs of numbers, not {len(flat)} numbers")
                mask |= polygon_mask(list(zip(flat[::2], flat[1::2], strict=True)), *size)
    except ValueError as error:
        raise wrong(place, key, str(error)) from error
    return mask


def _runs(shape: Mapping[str, Any], size: tuple[int, int], place: str) -> npt.NDArray[np.bool_]:
    if shape.get("size") != list(size):
        raise wrong(place, "segmentation", f"its size is {str(shape.get('size'))[:60]}, its image's {list(size)}")
    counts = shape.get("counts")
    if isinstance(counts, str):
        return coco_runs_mask(counts, *size)
    if not isinstance(counts, list) or not all(isinstance(each, int) for each in counts):
        raise wrong(place, "segmentation", "'counts' is a text or a list of whole numbers")
    return coco_runs_mask(counts, *size)
