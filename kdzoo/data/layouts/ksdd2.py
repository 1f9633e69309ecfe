"""The layout of KolektorSDD2: ``{train,test}/10000.png`` and its mask ``10000_GT.png``, all in one folder.

Every image has a mask; it is all black where the surface is sound, and that alone says which image is defective. The
defective images of ``train`` cannot train a detector of one class: they are read as validation images. ``train`` also
holds a copy of one image, ``10301 (copy).png``, and of its mask, which are left out.

Source: Božič et al., "Mixed supervision for surface-defect detection", Computers in Industry, 2021, and its archive.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kdzoo.data.files import image_files, printable
from kdzoo.data.layouts.pairing import make_index, make_sample
from kdzoo.data.samples import GOOD, CategoryIndex, Sample, Split
from kdzoo.errors import DatasetError, DatasetNotFoundError

CATEGORY = "surface"
"""The only category."""

DEFECT = "defect"
"""The one defect type."""

_MASK, _COPY = "_GT", " (copy)"


def categories(root: Path) -> dict[str, Path]:
    """The one category, which is the folder itself, if it is laid out so; see `kdzoo.data.layouts.registry.Reader`."""
    if not root.is_dir():
        raise DatasetNotFoundError(f"there is no folder {printable(root)}")
    train = root / "train"
    try:
        laid_out = train.is_dir() and any(path.stem.endswith(_MASK) for path in train.iterdir())
    except OSError as error:
        raise DatasetError(f"cannot list {printable(train)}: {error.strerror or error}") from error
    return {CATEGORY: root} if laid_out else {}


def read_category(dataset: str, category: str, root: Path) -> CategoryIndex:
    """Lists the images; reads every mask, for nothing else says which image is defective.

    Args:
        dataset: the data set's name.
        category: the category's name.
        root: the folder that holds ``train`` and ``test``.

    Returns:
        The samples ordered by id; every defective one has a mask.

    Raises:
        DatasetNotFoundError: ``root`` holds no ``train`` with masks.
        DatasetError: an image has no mask or a mask no image, or no normal image is left to train on.
        ImageError: a mask cannot be read.
    """
    if not categories(root):
        raise DatasetNotFoundError(
            f"{dataset}/{category}: there are no masks (such as 10000_GT.png) in {printable(root / 'train')}",
            hint="unpack the archive again",
        )
    samples = [*_part(root, "train"), *_part(root, "test")]
    if not any(sample.split == "train" for sample in samples):
        raise DatasetError(f"{printable(root / 'train')} holds no normal images", hint="unpack the archive again")
    return make_index(dataset, category, root, samples)


def _part(root: Path, split: Split) -> Iterator[Sample]:
    pairs = _pairs(root / split) if (root / split).is_dir() else []
    defective = _show_defects([mask for _, mask in pairs])
    for (image, mask), defect in zip(pairs, defective, strict=True):
        if defect:
            yield make_sample(root, image, "validation" if split == "train" else split, DEFECT, mask)
        else:
            yield make_sample(root, image, split, GOOD)


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """Each image and its mask."""
    files = {path.stem: path for path in image_files(folder) if not path.stem.endswith(_COPY)}
    images = {stem: path for stem, path in files.items() if not stem.endswith(_MASK)}
    masks = {stem.removesuffix(_MASK): path for stem, path in files.items() if stem.endswith(_MASK)}
    for kind, some, others in (("mask", images, masks), ("image", masks, images)):
        lonely = sorted(some.keys() - others.keys())
        if lonely:
            raise DatasetError(
                f"{len(lonely)} files in {printable(folder)} have no {kind}, first {printable(some[lonely[0]])}",
                hint="unpack the archive again; every image NAME.png has a mask NAME_GT.png",
            )
    return [(images[stem], masks[stem]) for stem in sorted(images)]


def _show_defects(masks: list[Path]) -> list[bool]:
    """Whether each mask shows a defect.

    Nine in ten are black, of a few sizes, and the same bytes again and again: each content is decoded once.
    """
    contents = [_content(mask) for mask in masks]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        alike = dict(zip(contents, masks, strict=True))
        shown = dict(zip(alike, pool.map(_shows_defect, alike.values()), strict=True))
    return [shown[content] for content in contents]


def _content(mask: Path) -> bytes:
    try:
        return hashlib.sha256(mask.read_bytes()).digest()
    except OSError as error:
        raise DatasetError(f"cannot read {printable(mask)}: {error.strerror or error}") from error


def _shows_defect(mask: Path) -> bool:
    # In full size: the smallest defect has 23 pixels, and would be lost in a smaller one.
    from kdzoo.data.images import read_image

    return read_image(mask).getbbox() is not None
