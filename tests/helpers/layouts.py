"""Small data sets in true layouts, for tests."""

import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 12, 8


def write_image(
    path: Path, colour: tuple[int, int, int] | None = None, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> Path:
    """A plain image; without a colour, one that follows from the last two parts of its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if colour is None:
        colour = tuple(hashlib.sha256(os.fsencode("/".join(path.parts[-2:]))).digest()[:3])
    Image.new("RGB", size, colour).save(path)
    return path


def write_mask(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """A mask whose left half is defect."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[:, : size[0] // 2] = 255
    Image.fromarray(mask).save(path)
    return path


def make_category(
    root: Path, *, train: int = 4, good: int = 3, defects: dict[str, int] | None = None, masks: bool = True
) -> Path:
    """One category in the mvtec layout; returns its folder."""
    for number in range(train):
        write_image(root / "train" / "good" / f"{number:03}.png")
    for number in range(good):
        write_image(root / "test" / "good" / f"{number:03}.png")
    for defect, count in ({"scratch": 3, "stain": 2} if defects is None else defects).items():
        for number in range(count):
            write_image(root / "test" / defect / f"{number:03}.png")
            if masks:
                write_mask(root / "ground_truth" / defect / f"{number:03}_mask.png")
    return root


def make_dataset(root: Path, categories: tuple[str, ...] = ("bottle", "cable")) -> Path:
    """A data set in the mvtec layout, with the default counts of `make_category`; returns its folder."""
    for category in categories:
        make_category(root / category)
    return root
