"""Building an entry of the decoded cache, and putting it in its place.

An entry is built under a name of its own and renamed into place, so that it is there wholly or not at all.

Shapes: N images, S side in pixels; h x w a tiled image as it is seen.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kdzoo.data.cache.array_file import ArrayWriter
from kdzoo.data.cache.store import IMAGES, INDEX, MASKS, SPARE_BYTES, unique_beside
from kdzoo.data.depth import Intensity
from kdzoo.data.files import printable
from kdzoo.data.images import Pixels, read_size, read_with_peak, resize_rgb, scaled_rgb
from kdzoo.data.mask_files import read_mask, read_scaled_mask
from kdzoo.data.placement import Resize
from kdzoo.data.samples import Sample
from kdzoo.data.tiling import Grid, Tiling
from kdzoo.errors import ImageError, StorageError

Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

# Image [S, S, 3], mask [S, S], the largest value of a 16-bit image, its own height and width; or what is wrong with it.
# Of an image that is to be tiled, image [h, w, 3] and mask [h, w].
_Outcome = tuple[Pixels, Pixels, int | None, tuple[int, int]] | ImageError

_NAMED_IN_ERROR = 5


@dataclass(frozen=True, kw_only=True)
class Found:
    """What decoding found beside the pixels.

    Attributes:
        skipped: position and reason of each image that was left out.
        peak: the largest value, 0..65535, of the 16-bit images to train on; None when there are none.
        shapes: height and width of each image that was not left out; kept where they decide where an image lies.
    """

    skipped: dict[int, str]
    peak: int | None
    shapes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """What is to be decoded.

    Attributes:
        samples: the images.
        size: S, pixels.
        masks: whether the masks are wanted.
        skip_unreadable: leave unreadable images out rather than fail.
        name: ``dataset/category``, for those who list the cache.
        part: which part of the data it is, likewise.
        intensity: which values of more than 8 bits are black and white; None: the full range of a file.
        resize: how images and masks are brought to the square.
        tiling: how images and masks are cut, instead; its side is ``size``.
    """

    samples: tuple[Sample, ...]
    size: int
    masks: bool
    skip_unreadable: bool
    name: str
    part: str
    intensity: Intensity | None = None
    resize: Resize = "stretch"
    tiling: Tiling | None = None

    @property
    def shapes_matter(self) -> bool:
        """Whether the images' own shapes say where they lie."""
        return self.tiling is not None or self.resize != "stretch"

    @cached_property
    def bytes_needed(self) -> int:
        """Size of the arrays on disk; of tiles, by the heads of the images, those that cannot be read left out."""
        return squares(self.samples, self.tiling) * self.size**2 * (4 if self.masks else 3)


def squares(samples: Sequence[Sample], tiling: Tiling | None) -> int:
    """How many squares images take: one each; of tiles, as the heads of the images say, unreadable ones left out."""
    if tiling is None:
        return len(samples)
    count = 0
    for sample in samples:
        with contextlib.suppress(ImageError):
            width, height = read_size(sample.path)
            count += len(tiling.grid(height, width))
    return count


def build(folder: Path, decoding: Decoding, *, workers: int, progress: Progress | None) -> Path:
    """Decodes into a new folder beside the entry's place.

    Args:
        folder: the entry's place.
        decoding: what is to be decoded.
        workers: threads that decode.
        progress: told of each image, in the calling thread.

    Returns:
        The new folder, whole and on the disk; to be handed to `install`.

    Raises:
        ImageError: images cannot be used; names the first few.
        StorageError: there is not enough space.
        OSError: a file cannot be written.
    """
    free = shutil.disk_usage(folder.parent).free
    if free < decoding.bytes_needed + SPARE_BYTES:
        raise no_space(folder.parent, decoding.bytes_needed, free=free)
    temporary = unique_beside(folder)
    temporary.mkdir()
    try:
        found = _write_arrays(temporary, decoding, workers, progress)
        _write_index(temporary / INDEX, decoding, found)
        sync_folder(temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return temporary


def install(temporary: Path, folder: Path, is_whole: Callable[[], bool]) -> None:
    """Renames a built entry into its place; whoever comes second takes the entry that is there, if it is whole.

    Args:
        temporary: what `build` returned; gone afterwards.
        folder: the entry's place.
        is_whole: whether the entry that is there can be used.

    Raises:
        OSError: the folder cannot be renamed.
    """
    try:
        while True:
            try:
                temporary.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                sync_folder(folder.parent)
                return
            if is_whole():
                return
            _discard(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def no_space(folder: Path, needed: int, *, free: int | None = None) -> StorageError:
    """The error of a full disk."""
    known = "" if free is None else f", {free:,} are free"
    return StorageError(
        f"not enough space in {printable(folder)}: {needed:,} bytes needed{known}",
        hint="free some space, or set KDZOO_CACHE to a folder on another disk",
    )


def _discard(folder: Path) -> None:
    """Takes a damaged entry out of its place at once, then deletes it; a reader keeps the files that it has open."""
    trash = unique_beside(folder)
    with contextlib.suppress(FileNotFoundError):  # another process was quicker
        folder.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def _write_arrays(folder: Path, decoding: Decoding, workers: int, progress: Progress | None) -> Found:
    """Writes the arrays."""
    unreadable: dict[int, ImageError] = {}
    peak: int | None = None
    shapes: list[tuple[int, int]] = []
    total, size = len(decoding.samples), decoding.size
    with contextlib.ExitStack() as files:
        images = files.enter_context(ArrayWriter(folder / IMAGES, (size, size, 3)))
        masks = files.enter_context(ArrayWriter(folder / MASKS, (size, size))) if decoding.masks else None
        decoded = files.enter_context(contextlib.closing(_decoded_in_order(decoding, workers)))
        for position, outcome in enumerate(decoded):
            if isinstance(outcome, ImageError):
                unreadable[position] = outcome
            elif decoding.skip_unreadable or not unreadable:  # else all that is left to do is count the bad ones
                grid = None if decoding.tiling is None else decoding.tiling.grid(*outcome[3])
                _append(images, outcome[0], grid, edge=True)
                shapes.append(outcome[3])
                if masks is not None:
                    _append(masks, outcome[1], grid)
                if outcome[2] is not None and decoding.samples[position].split == "train":
                    peak = max(outcome[2], peak or 0)
            if progress is not None:
                progress(position + 1, total)
        if unreadable and (not decoding.skip_unreadable or len(unreadable) == total):
            raise _unreadable_error(list(unreadable.values()), total)
        images.finish()
        if masks is not None:
            masks.finish()
    skipped = {position: error.message for position, error in unreadable.items()}
    return Found(skipped=skipped, peak=peak, shapes=tuple(shapes))


def _append(array: ArrayWriter, pixels: Pixels, grid: Grid | None, *, edge: bool = False) -> None:
    """Writes a square, or the tiles of an image: one after the other, so that they need no memory of their own."""
    if grid is None:
        array.append(pixels)
        return
    canvas = grid.on_canvas(pixels, edge=edge)
    for box in grid.boxes():
        array.append(canvas[box])


def _decoded_in_order(decoding: Decoding, workers: int) -> Generator[_Outcome, None, None]:
    """Decodes in threads (the decoders release the interpreter's lock), a few images ahead of the one asked for."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="kdzoo-decode")
    waiting: deque[Future[_Outcome]] = deque()
    ahead = 4 * workers if decoding.tiling is None else workers  # a large image takes as much memory as hundreds
    try:
        for sample in decoding.samples:
            waiting.append(pool.submit(_decode_one, sample, decoding))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _decode_one(sample: Sample, decoding: Decoding) -> _Outcome:
    """An image, its mask (zeros for a normal image), its peak and its own shape, or what is wrong with them."""
    size, resize = decoding.size, decoding.resize
    try:
        image, peak = read_with_peak(sample.path, decoding.intensity)
        own = image.height, image.width
        shape = (size, size) if decoding.tiling is None else decoding.tiling.grid(*own).shape
        path = sample.mask_path if decoding.masks and sample.label else None
        if path is None:
            mask = np.zeros(shape, np.uint8)
        elif decoding.tiling is None:
            mask = read_mask(path, size, image.size, image_path=sample.path, resize=resize)
        else:
            mask = read_scaled_mask(path, shape, image.size, image_path=sample.path)
        pixels = resize_rgb(image, size, resize) if decoding.tiling is None else scaled_rgb(image, shape)
        return pixels, mask, peak, own
    except ImageError as error:
        return error


def _unreadable_error(unreadable: list[ImageError], total: int) -> ImageError:
    lines = [f"\n  {error.message}" for error in unreadable[:_NAMED_IN_ERROR]]
    if len(unreadable) > _NAMED_IN_ERROR:
        lines.append(f"\n  and {len(unreadable) - _NAMED_IN_ERROR} more")
    hint = "repair or remove them" + ("" if len(unreadable) == total else ", or leave them out with --skip-unreadable")
    return ImageError(f"{len(unreadable)} of {total} images cannot be used:{''.join(lines)}", hint=hint)


def _write_index(path: Path, decoding: Decoding, found: Found) -> None:
    content = {
        "name": decoding.name,
        "part": decoding.part,
        "size": decoding.size,
        "count": len(decoding.samples),
        "masks": decoding.masks,
        "skipped": list(found.skipped.items()),
        "peak": found.peak,
        **({"shapes": found.shapes} if decoding.shapes_matter else {}),
    }
    with path.open("x", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Makes names in a folder last through a power cut, where the file system can do that for folders."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
