"""The layout of MVTec 3D-AD, of which the colour images are read: ``<part>/<defect>/{rgb,gt,xyz}/000.png``.

The parts are ``train`` and ``validation`` (``good`` only) and ``test``. ``xyz`` holds point clouds and is not read; the
masks of normal images are all black and not read either.

Source: Bergmann et al., "The MVTec 3D-AD Dataset for Unsupervised 3D Anomaly Detection and Localization", VISAPP 2022.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kdzoo.data.files import folders, image_files, printable
from kdzoo.data.layouts.pairing import make_index, make_sample, pair_masks
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError

_IMAGES, _MASKS = "rgb", "gt"


def categories(root: Path) -> dict[str, Path]:
    """The folders in ``root`` that hold ``train/good/rgb``; see `kdzoo.data.layouts.registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    return {folder.name: folder for folder in folders(root) if (folder / "train" / GOOD / _IMAGES).is_dir()}


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the colour images of one category; opens none of them.

    Args:
        dataset: the data set's name.
        category: the category's name.
        root: the category's own folder.

    Returns:
        The samples ordered by id; every defective one has a mask.

    Raises:
        DatasetNotFoundError: ``root`` holds no ``train/good/rgb``.
        DatasetError: a part is empty or has no ``rgb`` folder, ``train`` or ``validation`` holds defects, or a
            defective image's mask is missing.
    """
    if not (root / "train" / GOOD / _IMAGES).is_dir():
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there is no {printable(root / 'train' / GOOD / _IMAGES)}",
            hint="unpack the archive again, with its folders as they are",
        )
    samples = [*_part(root, "train"), *_part(root, "validation"), *_part(root, "test")]
    if not any(sample.split == "train" for sample in samples):
        raise DatasetError(
            f"{printable(root / 'train' / GOOD / _IMAGES)} holds no images", hint="unpack the archive again"
        )
    return make_index(dataset, category, root, samples)


def _part(root: Path, split: Split) -> Iterator[Sample]:
    part = root / split
    for folder in folders(part) if part.is_dir() else []:
        normal = folder.name == GOOD
        if not normal and split != "test":
            raise DatasetError(
                f"{printable(part)} holds the folder '{printable(folder.name)}'; only '{GOOD}' belongs there",
                hint="unpack the archive again, with its folders as they are",
            )
        if not (folder / _IMAGES).is_dir():
            raise DatasetError(
                f"there is no {printable(folder / _IMAGES)}", hint="unpack the archive again, with its folders"
            )
        images = image_files(folder / _IMAGES)
        masks = {} if normal or not images else pair_masks(folder / _MASKS, images)
        yield from (make_sample(root, path, split, folder.name, masks.get(path)) for path in images)
