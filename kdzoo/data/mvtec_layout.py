"""The layout of MVTec AD, and of a person's own folders: ``train/good``, ``test/<defect>``, ``ground_truth/<defect>``.

Source: Bergmann et al., "MVTec AD", CVPR 2019, and its archive. A mask is ``<stem>_mask.png`` or ``<stem>.png``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from kdzoo.data.files import folders, image_files, printable
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError


def is_category(root: Path) -> bool:
    """Whether a folder is a category: it holds ``train/good``."""
    return (root / "train" / GOOD).is_dir()


def categories(root: Path) -> list[str]:
    """The names of the folders in ``root`` that hold ``train/good``, ordered.

    Raises:
        DatasetNotFoundError: there is no folder ``root``.
        DatasetError: it cannot be listed, or a name in it is not UTF-8.
    """
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    return [folder.name for folder in folders(root) if is_category(folder)]


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the images of one category; opens none of them.

    Args:
        dataset: the data set's name.
        category: the category's name.
        root: the category's own folder.

    Returns:
        The samples ordered by id. Defective images have no mask when the category has no ``ground_truth`` folder.

    Raises:
        DatasetNotFoundError: ``root`` holds no ``train/good``.
        DatasetError: ``train/good`` is empty, ``train`` holds anything else, or a defective image's mask is missing.
    """
    if not is_category(root):
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there is no {printable(root / 'train' / GOOD)}",
            hint="normal training images belong in <category>/train/good",
        )
    samples = sorted([*_train(root), *_test(root)], key=lambda sample: sample.id)
    for sample, following in pairwise(samples):
        if sample.id == following.id:
            raise DatasetError(f"{printable(root)} holds two images called {printable(sample.id)}", hint="rename one")
    return CategoryIndex(dataset=dataset, category=category, root=root, samples=tuple(samples))


def can_hold_out(root: Path) -> bool:
    """Whether a category has test images enough for the ``holdout`` protocol: two normal ones and two defective ones.

    Raises:
        DatasetError: the test folder cannot be listed.
    """
    counts = {True: 0, False: 0}
    for folder in _test_folders(root):
        counts[folder.name == GOOD] += len(image_files(folder))
    return min(counts.values()) >= 2


def _train(root: Path) -> list[Sample]:
    train = root / "train"
    others = [folder.name for folder in folders(train) if folder.name != GOOD]
    if others:
        raise DatasetError(
            f"{printable(train)} holds the folder '{printable(others[0])}'; only '{GOOD}' may be trained on",
            hint="move defective images to test/<defect>",
        )
    _refuse_strays(train)
    images = image_files(train / GOOD)
    if not images:
        raise DatasetError(
            f"{printable(train / GOOD)} holds no images", hint="put the normal training images directly into it"
        )
    return [_sample(root, path, "train", GOOD) for path in images]


def _test(root: Path) -> Iterator[Sample]:
    has_truth = (root / "ground_truth").is_dir()
    for folder in _test_folders(root):
        images = image_files(folder)
        if folder.name == GOOD or not has_truth:
            yield from (_sample(root, path, "test", folder.name) for path in images)
        elif images:
            masks = _masks(root / "ground_truth" / folder.name, images)
            yield from (_sample(root, path, "test", folder.name, masks[path]) for path in images)


def _test_folders(root: Path) -> list[Path]:
    test = root / "test"
    if not test.is_dir():
        return []
    _refuse_strays(test)
    return folders(test)


def _refuse_strays(folder: Path) -> None:
    """An image beside the folders would be left out without a word, and nobody can know what it shows."""
    strays = image_files(folder)
    if strays:
        raise DatasetError(
            f"{printable(folder)} holds {len(strays)} image(s) in none of its folders, first {printable(strays[0])}",
            hint=f"move them to {folder.name}/{GOOD}" + (" or test/<defect>" if folder.name == "test" else ""),
        )


def _masks(folder: Path, images: list[Path]) -> dict[Path, Path]:
    """The mask of each image of one defect type."""
    files = {_name(path.stem): path for path in image_files(folder)} if folder.is_dir() else {}
    masks: dict[Path, Path] = {}
    missing = []
    for image in images:
        mask = files.get(_name(image.stem) + "_mask") or files.get(_name(image.stem))
        if mask is None:
            missing.append(image)
        else:
            masks[image] = mask
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(images)} defective images have no mask in {printable(folder)}, "
            f"first {printable(missing[0])}",
            hint=f"add {printable(missing[0].stem)}_mask.png, or take ground_truth away to go without pixel metrics",
        )
    owners: dict[Path, Path] = {}
    for image, mask in masks.items():
        other = owners.setdefault(mask, image)
        if other != image:
            raise DatasetError(
                f"{printable(other)} and {printable(image)} would share the mask {printable(mask)}",
                hint="give each image a name and a mask of its own",
            )
    return masks


def _sample(root: Path, path: Path, split: Split, defect_type: str, mask: Path | None = None) -> Sample:
    identity = _name(path.relative_to(root).as_posix())
    return Sample(id=identity, path=path, split=split, defect_type=_name(defect_type), mask_path=mask)


def _name(text: str) -> str:
    """One spelling for letters with accents, which macOS and Linux write with different code points."""
    return unicodedata.normalize("NFC", text)
