"""What all readers do alike: samples from paths, masks beside images, an index that holds no name twice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from kdzoo.data.files import folders, image_files, printable
from kdzoo.data.samples import CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError


def one_spelling(text: str) -> str:
    """One spelling for letters with accents, which macOS and Linux write with different code points (to NFC)."""
    return unicodedata.normalize("NFC", text)


def make_sample(root: Path, path: Path, split: Split, defect_type: str, mask: Path | None = None) -> Sample:
    """A sample whose id is its path below the category's folder."""
    identity = one_spelling(path.relative_to(root).as_posix())
    return Sample(id=identity, path=path, split=split, defect_type=one_spelling(defect_type), mask_path=mask)


def make_index(
    dataset: str, category: str, root: Path, samples: Iterable[Sample], notes: Iterable[str] = ()
) -> CategoryIndex:
    """An index ordered by id.

    Raises:
        DatasetError: two samples have one id.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    for sample, following in pairwise(ordered):
        if sample.id == following.id:
            raise DatasetError(f"{printable(root)} holds two images called {printable(sample.id)}", hint="rename one")
    return CategoryIndex(dataset=dataset, category=category, root=root, samples=tuple(ordered), notes=tuple(notes))


def mask_files(folder: Path) -> dict[str, Path]:
    """The masks in a folder by their names without a suffix; folders that hold the masks of one image, too (LOCO).

    Raises:
        DatasetError: the folder cannot be listed.
    """
    several = {one_spelling(path.name): path for path in folders(folder) if image_files(path)}
    return several | {one_spelling(path.stem): path for path in image_files(folder)}


def pair_masks(folder: Path, images: Sequence[Path]) -> dict[Path, Path]:
    """The mask of each defective image: ``<stem>_mask`` or ``<stem>`` with an image's suffix, or a folder ``<stem>``.

    Args:
        folder: where the masks lie; may be missing, and then none is found.
        images: defective images, whose names differ.

    Raises:
        DatasetError: an image has no mask, or two would share one; says how many and names the first.
    """
    files = mask_files(folder) if folder.is_dir() else {}
    masks: dict[Path, Path] = {}
    missing = []
    for image in images:
        stem = one_spelling(image.stem)
        mask = files.get(f"{stem}_mask") or files.get(stem)
        if mask is None:
            missing.append(image)
        else:
            masks[image] = mask
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(images)} defective images have no mask in {printable(folder)}, "
            f"first {printable(missing[0])}",
            hint=f"add {printable(missing[0].stem)}_mask.png, or take {folder.parent.name} away to go without pixel "
            "metrics",
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
