"""Label Studio's JSON export: an image whose annotation marks nothing is normal; polygons and brushes make its mask.

A choice or a label with a word for normal (``good``, ``ok``) marks nothing. Labels are the defect types, several joined
by ``+``. A rectangle or an ellipse leaves its image without a mask. A task without an annotation is left out: nobody
has said what it shows. An upload's name has eight letters and a hyphen before its own; with or without them it is
looked for below the folder of the images.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
import numpy.typing as npt

from kdzoo.data.files import printable
from kdzoo.data.inside import Inside
from kdzoo.data.samples import GOOD
from kdzoo.data.tables.json_file import numbers, objects, text, whole
from kdzoo.data.tables.rows import DEFECT, DEFECTIVE_LABELS, NORMAL_LABELS, Drawing, Row, Table, defect_type_of, wrong
from kdzoo.data.tables.shapes import brush_mask, empty_mask, polygon_mask

_DRAWN = ("polygon", "polygonlabels", "brush", "brushlabels")
_BOXES = ("rectangle", "rectanglelabels", "ellipse", "ellipselabels")
_LONGEST_PATH = 4096
"""Letters of an address that is looked for; an image written out in the task itself has millions."""
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_Placed = tuple[str, Mapping[str, Any]]


def is_label_studio(content: Any) -> bool:
    """Whether JSON looks like Label Studio's: a list of tasks."""
    return isinstance(content, list) and all(isinstance(task, dict) and "data" in task for task in content)


def label_studio_table(content: Sequence[Any], file: Path, inside: Inside) -> Table:
    """The images of Label Studio's JSON.

    Args:
        content: what the file holds.
        file: for messages.
        inside: the folder of the images, in which uploads are looked for.

    Raises:
        DatasetError: naming the file, the task and its key.
    """
    rows, left_out = [], 0
    for number, task in enumerate(content):
        place = f"{printable(file)}, [{number}]"
        annotation = _annotation(task, place)
        if annotation is None:
            left_out += 1
        else:
            rows.append(_row(task, place, annotation, inside))
    notes = (f"{left_out} tasks without an annotation are left out",) if left_out else ()
    return Table(rows=tuple(rows), notes=notes)


def _annotation(task: Mapping[str, Any], place: str) -> Mapping[str, Any] | None:
    """The one annotation that counts; None where there is none."""
    made = [each for each in objects(task.get("annotations"), place, "annotations") if not each.get("was_cancelled")]
    true = [each for each in made if each.get("ground_truth")]
    chosen = true if len(true) == 1 else made
    if len(chosen) > 1:
        raise wrong(place, "annotations", f"{len(chosen)} annotations", "mark one of them as ground truth")
    return chosen[0] if chosen else None


def _row(task: Mapping[str, Any], place: str, annotation: Mapping[str, Any], inside: Inside) -> Row:
    types: set[str] = set()
    drawn: list[_Placed] = []
    normal = boxes = False
    for number, region in enumerate(objects(annotation.get("result"), place, "result")):
        where, kind = f"{place}, result[{number}]", region.get("type")
        if kind != "choices" and kind not in _DRAWN and kind not in _BOXES:
            continue
        found = _defects(region, where, kind)
        normal = normal or not found
        types |= found
        if found and kind in _DRAWN:
            drawn.append((where, region))
        boxes = boxes or bool(found and kind in _BOXES)
    if normal and types:
        raise wrong(place, "result", f"it says that the image is normal, and that it shows {', '.join(sorted(types))}")
    image, cell = _image(task, place, inside)
    drawing: Drawing | None = partial(_draw, tuple(drawn)) if drawn and not boxes else None
    return Row(image=image, place=place, image_cell=cell, defect_type="+".join(sorted(types)) or GOOD, drawing=drawing)


def _defects(region: Mapping[str, Any], place: str, kind: str) -> set[str]:
    """The defect types that a region or a choice names; none where it says that all is well."""
    names = _value(region, place).get(kind, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong(place, kind, "a list of texts belongs here")
    if kind != "choices" and not names:
        return {DEFECT}
    found = {name for name in names if name.strip().lower() not in NORMAL_LABELS}
    return {DEFECT if name.lower() in DEFECTIVE_LABELS else defect_type_of(name, place, kind) for name in found}


def _value(region: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    value = region.get("value")
    if not isinstance(value, dict):
        raise wrong(place, "value", "an object belongs here")
    return value


def _draw(regions: Sequence[_Placed]) -> npt.NDArray[np.bool_]:
    place, region = regions[0]
    size = whole(region, place, "original_height"), whole(region, place, "original_width")
    try:
        mask = empty_mask(*size)
        for place, region in regions:
            own = whole(region, place, "original_height"), whole(region, place, "original_width")
            if own != size:
                raise wrong(
                    place, "original_height", f"{own[1]}x{own[0]} pixels, where {size[1]}x{size[0]} came before"
                )
            value = _value(region, place)
            if "rle" in value:
                mask |= brush_mask([int(each) for each in numbers(value["rle"], place, "rle")], *size)
            else:
                mask |= polygon_mask(list(_corners(value, size, place)), *size)
    except ValueError as error:
        raise wrong(place, "value", str(error)) from error
    return mask


def _corners(value: Mapping[str, Any], size: tuple[int, int], place: str) -> Iterator[tuple[float, float]]:
    """In pixels; the tool writes them in hundredths of the image's sides."""
    points = value.get("points")
    if not isinstance(points, list):
        raise wrong(place, "points", "a list of corners belongs here")
    for point in points:
        pair = numbers(point, place, "points")
        if len(pair) != 2:
            raise wrong(place, "points", f"a corner has two numbers, not {len(pair)}")
        yield pair[0] * size[1] / 100, pair[1] * size[0] / 100


def _image(task: Mapping[str, Any], place: str, inside: Inside) -> tuple[str, str]:
    """The path of a task's image below the folder of the images, and the key that has it."""
    data = task.get("data")
    if not isinstance(data, dict):
        raise wrong(place, "data", "an object belongs here")
    key = "image" if "image" in data else next((name for name in data if _is_image(data[name])), "image")
    said = text(data, f"{place}, data", key)
    for candidate in _candidates(said) if len(said) <= _LONGEST_PATH else ():
        if not inside.why_not(candidate):
            return candidate, key
    raise wrong(
        f"{place}, data", key, f"{said[:200]!r} leads to no image in {printable(inside.root)}",
        "give the folder that holds the images with --root",
    )  # fmt: skip


def _is_image(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > _LONGEST_PATH:
        return False
    return bool(PurePosixPath(_parted(value)[0]).suffix)


def _parted(said: str) -> tuple[str, str]:
    """Path and query of an address; of one that is none, such as ``http://[``, the whole as a path."""
    try:
        parts = urlsplit(said)
    except ValueError:
        return said, ""
    return parts.path, parts.query


def _candidates(said: str) -> Iterator[str]:
    """Paths that an image may have below the folder, the most exact first."""
    path, query = _parted(said)
    local = parse_qs(query).get("d", [])
    for written in (said, *local, unquote(path)):
        steps = PurePosixPath(written.lstrip("/")).parts
        # Nothing is guessed from the middle of a path that leads out; why_not refuses it.
        for first in range(len(steps)):
            yield "/".join(steps[first:])
    name = PurePosixPath(unquote(path)).name
    if _UPLOAD.match(name):
        yield _UPLOAD.sub("", name, count=1)
