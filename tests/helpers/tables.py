"""A flat folder of photographs and the tables that people keep of them."""

import csv
import json
from pathlib import Path

from helpers.layouts import HEIGHT, WIDTH, write_image, write_mask

HEADING = ("path", "label", "split", "mask", "category", "defect_type")


def make_photos(root: Path, *, normal: int = 10, defective: int = 4, masks: bool = True) -> list[dict[str, str]]:
    """``n00.png`` and so on, ``d00.png`` and so on with masks in ``masks``; returns a row for each, without split."""
    rows = []
    for number in range(normal):
        write_image(root / f"n{number:02}.png")
        rows.append({"path": f"n{number:02}.png", "label": "good"})
    for number in range(defective):
        write_image(root / f"d{number:02}.png")
        rows.append({"path": f"d{number:02}.png", "label": "defect", "defect_type": "scratch"})
        if masks:
            write_mask(root / "masks" / f"d{number:02}.png")
            rows[-1]["mask"] = f"masks/d{number:02}.png"
    return rows


def write_table(file: Path, rows: list[dict[str, str]], *, delimiter: str = ",") -> Path:
    """The rows as CSV, with the columns that any of them has; returns the file."""
    columns = [name for name in HEADING if any(name in row for row in rows)]
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns, restval="", delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return file


def coco_of(root: Path, file: Path, *, normal: int = 10, defective: int = 4) -> Path:
    """COCO's JSON of `make_photos`: the left half of every defective image is a polygon of the kind ``dent``."""
    make_photos(root, normal=normal, defective=defective, masks=False)
    names = [f"n{number:02}.png" for number in range(normal)] + [f"d{number:02}.png" for number in range(defective)]
    half = [0, 0, WIDTH / 2, 0, WIDTH / 2, HEIGHT, 0, HEIGHT]
    content = {
        "images": [
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT} for number, name in enumerate(names)
        ],
        "categories": [{"id": 7, "name": "dent"}],
        "annotations": [
            {"id": number, "image_id": normal + number, "category_id": 7, "segmentation": [half], "bbox": [0, 0, 6, 8]}
            for number in range(defective)
        ],
    }
    file.write_text(json.dumps(content))
    return file


def studio_task(image: str, *regions: dict, **changes) -> dict:
    """A task of Label Studio with one annotation."""
    return {"data": {"image": image}, "annotations": [{"result": list(regions), "was_cancelled": False}], **changes}


def studio_polygon(points: list[list[float]], label: str = "dent", size: tuple[int, int] = (WIDTH, HEIGHT)) -> dict:
    """A region; its points in hundredths of the sides."""
    return {
        "type": "polygonlabels",
        "original_width": size[0],
        "original_height": size[1],
        "value": {"points": points, "polygonlabels": [label]},
    }
