"""The layout of MVTec AD, and of a person's own folders: ``train/good``, ``test/<defect>``, ``ground_truth/<defect>``.

Source: Bergmann et al., "MVTec AD", CVPR 2019, and its archive. A mask is ``<stem>_mask.png`` or ``<stem>.png``. An own
folder may also have ``validation/good``, as the later MVTec data sets do, and a folder of several masks in place of
one, as MVTec LOCO does. Where others write ``Good``, ``OK`` or ``normal``, that is the normal folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from kdzoo.data.files import folders, image_files, printable, slug
from kdzoo.data.layouts.left_out import left_out
from kdzoo.data.layouts.pairing import make_index, make_sample, pair_masks
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split, is_normal
from kdzoo.errors import DatasetError, DatasetNotFoundError


def is_category(root: Path) -> bool:
    """Whether a folder is a category: it holds ``train/good``."""
    if (root / "train" / GOOD).is_dir():
        return True
    try:
        # Not by `folders`, which refuses odd names: whatever lies beside the categories is none of a reader's concern.
        return any(is_normal(entry.name) and entry.is_dir() for entry in os.scandir(root / "train"))
    except OSError:
        return False


def categories(root: Path) -> dict[str, Path]:
    """The folders in ``root`` that hold ``train/good``; see `kdzoo.data.layouts.registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    return {folder.name: folder for folder in folders(root) if is_category(folder)}


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
        DatasetError: ``train/good`` is empty, ``train`` or ``validation`` holds anything else, or a defective image's
            mask is missing.
    """
    if not is_category(root):
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there is no {printable(root / 'train' / GOOD)}",
            hint="normal training images belong in <category>/train/good",
        )
    train = _normal(root, "train")
    if not train:
        raise DatasetError(
            f"{printable(root / 'train' / GOOD)} holds no images",
            hint="put the normal training images directly into it",
        )
    samples = [*train, *_normal(root, "validation"), *_test(root)]
    called = [] if slug(root.name) else [f"{printable(root.name)} is called {category} here"]
    return make_index(dataset, category, root, samples, [*called, *_notes(root, samples)])


def can_hold_out(root: Path) -> bool:
    """Whether a category has test images enough for the ``holdout`` protocol.

    That is two defective ones and two normal ones; one normal image is enough where ``validation/good`` selects.

    Raises:
        DatasetError: a folder cannot be listed.
    """
    counts = {True: 0, False: 0}
    for folder in _test_folders(root):
        counts[is_normal(folder.name)] += len(image_files(folder))
    validated = any(image_files(folder) for folder in _normal_folders(root, "validation"))
    return counts[False] >= 2 and counts[True] >= (1 if validated else 2)


def _normal(root: Path, split: Split) -> list[Sample]:
    """The images of a part that may hold normal ones only."""
    part = root / split
    if not part.is_dir():
        return []
    others = [folder.name for folder in folders(part) if not is_normal(folder.name)]
    if others:
        use = "trained on" if split == "train" else "validated on"
        raise DatasetError(
            f"{printable(part)} holds the folder '{printable(others[0])}'; only '{GOOD}' may be {use}",
            hint="move defective images to test/<defect>",
        )
    _refuse_strays(part)
    return [
        make_sample(root, path, split, GOOD) for folder in _normal_folders(root, split) for path in image_files(folder)
    ]


def _normal_folders(root: Path, split: Split) -> list[Path]:
    """The folders of normal images in a part: one, except where somebody calls a second one otherwise."""
    part = root / split
    if not part.is_dir():
        return []
    # Most categories call it so, and a data set of a thousand is looked at often.
    called = [folder for folder in folders(part) if is_normal(folder.name)]
    return sorted(called, key=lambda folder: (folder.name != GOOD, folder.name))


def _test(root: Path) -> Iterator[Sample]:
    has_truth = (root / "ground_truth").is_dir()
    for folder in _test_folders(root):
        images = image_files(folder)
        if is_normal(folder.name) or not has_truth:
            kind = GOOD if is_normal(folder.name) else folder.name
            yield from (make_sample(root, path, "test", kind) for path in images)
        elif images:
            masks = pair_masks(root / "ground_truth" / folder.name, images)
            yield from (make_sample(root, path, "test", folder.name, masks[path]) for path in images)


def _test_folders(root: Path) -> list[Path]:
    test = root / "test"
    if not test.is_dir():
        return []
    _refuse_strays(test)
    return folders(test)


def _notes(root: Path, samples: Sequence[Sample]) -> list[str]:
    """What is left out, and which folders are taken for the normal one."""
    used = [path for sample in samples for path in (sample.path, sample.mask_path) if path is not None]
    truth = root / "ground_truth"
    # Masks that belong to no image are told of by `kdzoo data verify`.
    masks = [truth, *folders(truth)] if truth.is_dir() else []
    parts = [*(f"{split}/{GOOD}" for split in ("train", "validation")), "test/<defect>", "ground_truth/<defect>"]
    why = f"images are taken from {', '.join(parts[:-1])} and {parts[-1]}, and from no folder within"
    taken = [
        folder.relative_to(root).as_posix()
        for split in ("train", "validation", "test")
        for folder in _normal_folders(root, split)
        if folder.name != GOOD
    ]
    found = [f"{printable(name)} is taken for normal images, as {GOOD} is" for name in taken]
    return [*found, *left_out(root, used, why=why, passed_over=masks)]


def _refuse_strays(folder: Path) -> None:
    """An image beside the folders would be left out without a word, and nobody can know what it shows."""
    strays = image_files(folder)
    if strays:
        raise DatasetError(
            f"{printable(folder)} holds {len(strays)} image(s) in none of its folders, first {printable(strays[0])}",
            hint=f"move them to {folder.name}/{GOOD}" + (" or test/<defect>" if folder.name == "test" else ""),
        )
