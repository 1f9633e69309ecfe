"""A person's own foreground masks: a folder with one mask an image, under the image's name.

The folder holds the masks of one category, or one folder a category; there they lie side by side, or in the same
sub-folders as the images. A mask is called as its image, with or without ``_mask`` and with any image's suffix; what is
not black is product, and its size is its image's.

Letters: N images, S side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from kdzoo.data.cores import usable_cores
from kdzoo.data.files import image_files, printable
from kdzoo.data.images import read_image
from kdzoo.data.layouts.pairing import one_spelling
from kdzoo.data.mask_files import read_mask, read_scaled_mask
from kdzoo.data.placement import Resize
from kdzoo.data.samples import Sample
from kdzoo.data.tiling import Grid
from kdzoo.errors import DatasetError, DatasetNotFoundError, ImageError

_TOLD = 5


def read_foreground_masks(
    folder: Path, samples: Sequence[Sample], *, size: int, names: Iterable[str], resize: Resize = "stretch"
) -> NDArray[np.bool_]:
    """Reads the foreground mask of each image.

    Args:
        folder: of the masks.
        samples: images of one category.
        size: S, pixels.
        names: what the category's own folder within ``folder`` may be called.
        resize: how images are brought to the square; padding is no product.

    Returns:
        ``[N, S, S]`` bool, in the order of the samples.

    Raises:
        DatasetNotFoundError: there is no such folder.
        DatasetError: images lack a mask, or would share one; says how many and names the first.
        ImageError: masks cannot be read, are of another size than their image, or are empty; says how many, and names
            the first few.
    """
    found = np.zeros((len(samples), size, size), bool)

    def read(number: int, sample: Sample, path: Path) -> bool:
        shape = read_image(sample.path).size
        found[number] = read_mask(path, size, shape, image_path=sample.path, resize=resize, shrink="nearest")
        return bool(found[number].any())

    _read_all(_paired(_place(folder, names), samples), samples, read)
    return found


def tiled_foreground_masks(
    folder: Path,
    samples: Sequence[Sample],
    *,
    names: Iterable[str],
    grids: Sequence[Grid],
    into: Sequence[NDArray[np.bool_]],
) -> None:
    """Reads the foreground mask of each image, and cuts it as the image was cut.

    Args:
        folder: of the masks.
        samples: images of one category.
        names: what the category's own folder within ``folder`` may be called.
        grids: the tiles of each image.
        into: ``[K, S, S]`` of each image, which is filled.

    Raises:
        DatasetNotFoundError: there is no such folder.
        DatasetError: images lack a mask, or would share one.
        ImageError: masks cannot be used; as `read_foreground_masks` says it.
    """

    def read(number: int, sample: Sample, path: Path) -> bool:
        shape, grid = read_image(sample.path).size, grids[number]
        into[number][...] = grid.cut(
            read_scaled_mask(path, grid.shape, shape, image_path=sample.path, shrink="nearest")
        )
        return bool(into[number].any())

    _read_all(_paired(_place(folder, names), samples), samples, read)


def _read_all(files: Sequence[Path], samples: Sequence[Sample], read: Callable[[int, Sample, Path], bool]) -> None:
    """Reads each mask, and tells of all that cannot be used; ``read`` says whether something of a mask is product."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        troubles = [trouble for trouble in pool.map(partial(_trouble, read), count(), samples, files) if trouble]
    if troubles:
        listed = "; ".join(troubles[:_TOLD]) + ("; ..." if len(troubles) > _TOLD else "")
        raise ImageError(
            f"{len(troubles)} of {len(samples)} foreground masks cannot be used: {listed}",
            hint="mend them, or leave the foreground to kdzoo: --foreground auto",
        )


def check_mask_folders(folder: Path, categories: Sequence[str]) -> None:
    """Checks that several categories do not share one folder's masks, whose names would fit them all.

    Raises:
        DatasetNotFoundError: there is no such folder, or one of several categories has none in it.
    """
    _require(folder)
    without = [name for name in categories if not (folder / name).is_dir()]
    if len(categories) > 1 and without:
        raise DatasetNotFoundError(
            f"the foreground masks {printable(folder)} are for {len(categories)} categories, but it holds no folder "
            f"'{without[0]}'",
            hint="give each category a folder of its own in it; choose categories with --categories",
        )


def _place(folder: Path, names: Iterable[str]) -> Path:
    """The category's own folder within the folder of masks, where it has one."""
    _require(folder)
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def _require(folder: Path) -> None:
    if not folder.is_dir():
        raise DatasetNotFoundError(
            f"there is no folder of foreground masks {printable(folder)}",
            hint="a relative one is looked for where the command runs; give it with --foreground-masks FOLDER",
        )


def _paired(place: Path, samples: Sequence[Sample]) -> list[Path]:
    """The mask of each sample."""
    listed: dict[Path, dict[str, Path]] = {}
    found: list[Path | None] = []
    for sample in samples:
        within = PurePosixPath(sample.id)
        stem, candidates = one_spelling(within.stem), (place / within.parent, place)
        for each in candidates:
            if each not in listed:
                listed[each] = {one_spelling(path.stem): path for path in image_files(each)} if each.is_dir() else {}
        found.append(next((got for each in candidates if (got := _called(listed[each], stem)) is not None), None))
    missing = [sample for sample, mask in zip(samples, found) if mask is None]
    if missing:
        raise DatasetError(
            f"{len(missing)} of {len(samples)} images have no foreground mask in {printable(place)}, "
            f"first {printable(missing[0].id)}",
            hint=f"add {printable(PurePosixPath(missing[0].id).stem)}.png: white where the product is, else black",
        )
    files = [mask for mask in found if mask is not None]
    shared = next((mask for mask, times in Counter(files).items() if times > 1), None)
    if shared is not None:
        owners = [sample.id for sample, mask in zip(samples, files) if mask == shared]
        raise DatasetError(
            f"{printable(owners[0])} and {printable(owners[1])} would share the foreground mask {printable(shared)}",
            hint=f"put masks in the images' own sub-folders: {printable(place / owners[0])}",
        )
    return files


def _called(files: dict[str, Path], stem: str) -> Path | None:
    return files.get(f"{stem}_mask") or files.get(stem)


def _trouble(read: Callable[[int, Sample, Path], bool], number: int, sample: Sample, path: Path) -> str:
    """What is wrong with a mask; empty where nothing is."""
    try:
        product = read(number, sample, path)
    except ImageError as error:  # told with the others, when all have been looked at
        return str(error)
    return "" if product else f"{printable(path)} is empty: no pixel of it is product"
