"""Files of a category that its index does not name: spare masks, and all there is where the layout is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kdzoo.data.files import folders, image_files
from kdzoo.data.layouts.pairing import mask_files, one_spelling
from kdzoo.data.layouts.registry import Layout
from kdzoo.data.samples import GOOD, CategoryIndex, is_normal


@dataclass(frozen=True, kw_only=True, slots=True)
class SpareMask:
    """A mask that belongs to no sample.

    Attributes:
        path: where it lies.
        of_normal: whether it lies where masks of normal images would; those are fine as long as they are empty.
    """

    path: Path
    of_normal: bool


def spare_masks(layout: Layout, index: CategoryIndex) -> Iterator[SpareMask]:
    """The masks of a category that no sample names.

    In VisA's table and KolektorSDD2's pairs every mask is named, or the reader refuses them.
    """
    used = {sample.mask_path for sample in index.samples}
    if layout == "mvtec":
        truth = index.root / "ground_truth"
        for folder in folders(truth) if truth.is_dir() else ():
            yield from _spare(folder, used, of_normal=is_normal(folder.name))
    elif layout == "mvtec3d":
        for part in ("test", "validation", "train"):
            folder = index.root / part / GOOD / "gt"
            if folder.is_dir():
                yield from _spare(folder, used, of_normal=True)


def _spare(folder: Path, used: set[Path | None], *, of_normal: bool) -> Iterator[SpareMask]:
    for path in mask_files(folder).values():
        if path not in used:
            yield SpareMask(path=path, of_normal=of_normal)


def unpaired(layout: Layout, root: Path) -> Iterator[Path]:
    """The defective images of a category in the mvtec layout that have no mask, though others may have one."""
    truth, test = root / "ground_truth", root / "test"
    if layout != "mvtec" or not truth.is_dir() or not test.is_dir():
        return
    for folder in folders(test):
        if is_normal(folder.name):
            continue
        masks = truth / folder.name
        stems = mask_files(masks).keys() if masks.is_dir() else set()
        for image in image_files(folder):
            stem = one_spelling(image.stem)
            if not stems & {stem, f"{stem}_mask"}:
                yield image


def folders_below(root: Path) -> Iterator[Path]:
    """A category's folder and those in it, three levels deep: as deep as any layout goes, and no link goes round."""
    level = [root]
    for _ in range(4):
        yield from level
        level = [inner for folder in level for inner in folders(folder)]
