"""Images decoded once into memory-mapped arrays, shared by every trial on the node.

An entry is a folder named after what it was made from; it never changes, and can be deleted at any time. Many
processes may ask for the same one at once: a lock makes the others wait for the first, but where locks do not work
each builds its own and the first to finish wins. What was used longest ago goes when the cache reaches its limit
(`kdzoo.data.cache.store`).

Shapes: N images, S side in pixels, T tiles of all images where they are tiled.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from errno import EDQUOT, ENOSPC
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kdzoo.data.cache.array_file import open_array
from kdzoo.data.cache.entry import Decoding, Found, Progress, build, install, no_space
from kdzoo.data.cache.store import DECODED, IMAGES, INDEX, MASKS, lock_entry, make_room, mark_used
from kdzoo.data.cores import usable_cores
from kdzoo.data.depth import Intensity, dark_note
from kdzoo.data.files import image_files, printable
from kdzoo.data.placement import Resize
from kdzoo.data.samples import Sample
from kdzoo.data.tiling import Grid, Tiling
from kdzoo.errors import ConfigError, KdzooError, StorageError
from kdzoo.settings import Settings

DECODER_VERSION = 2
"""Part of every entry's key; to be raised when the same files would decode to other pixels."""
MASK_VERSION = 2
"""Part of the key of entries that have masks; to be raised when these would."""

# How long one process waits for another that builds the same entry.
_PATIENCE_S = 900.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class DecodedPart:
    """Decoded images, in the order in which the samples were given.

    Attributes:
        images: ``[N, S, S, 3]`` uint8 RGB, read-only, memory-mapped; where they are tiled ``[T, S, S, 3]``, the tiles
            of each image one after the other, and so the masks.
        masks: ``[N, S, S]`` uint8, 1 where there is a defect, zeros for normal images, read-only, memory-mapped;
            None when not asked for, or when a defective image has no mask (pixel metrics are then undefined).
        labels: ``[N]`` int64, 1 for an anomalous image.
        samples: the N samples.
        skipped: path and reason of each image that was left out because it cannot be used.
        folder: the entry in the cache.
        peak: the largest value, 0..65535, of the 16-bit images among those to train on; None when there are none.
        shapes: ``[N, 2]`` int64, height and width of each image in its file; None where images are stretched, which
            fill the square whatever their shape.
        grids: the tiles of each image; None where images are not tiled.
    """

    images: npt.NDArray[np.uint8]
    masks: npt.NDArray[np.uint8] | None
    labels: npt.NDArray[np.int64]
    samples: tuple[Sample, ...]
    skipped: tuple[tuple[Path, str], ...]
    folder: Path
    peak: int | None
    shapes: npt.NDArray[np.int64] | None = None
    grids: tuple[Grid, ...] | None = None


def decode(
    samples: Sequence[Sample],
    *,
    size: int,
    cache_dir: Path,
    masks: bool,
    skip_unreadable: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    name: str | None = None,
    part: str | None = None,
    limit: int | None = None,
    intensity: Intensity | None = None,
    resize: Resize = "stretch",
    tiling: Tiling | None = None,
) -> DecodedPart:
    """Decodes images, or opens what was decoded before from the same files.

    Args:
        samples: the images.
        size: S, pixels.
        cache_dir: the cache's folder; the entry is ``<cache_dir>/decoded/<key>``.
        masks: whether masks are wanted; False opens no mask file.
        skip_unreadable: leave out images that cannot be used, rather than fail.
        workers: threads that decode; default one for each processor that this process may use.
        progress: called with (images done, images in all) while decoding; not at all when nothing is decoded.
        name: ``dataset/category`` as `kdzoo cache` shall show it; default the names of the images' folders.
        part: what `kdzoo cache` shall call the part; default the data set's own splits.
        limit: the most bytes that all entries, features included, may take; default ``KDZOO_CACHE_LIMIT``, else half
            of what the disk has free or the cache has taken. More is taken when all that is there is in use.
        intensity: which values of more than 8 bits are black and white; None: the full range of a file.
        resize: how images and masks are brought to the square.
        tiling: how they are cut into tiles of S pixels, instead.

    Raises:
        ImageError: images or masks cannot be used (with ``skip_unreadable``: none can); says how many, and names the
            first few.
        StorageError: the disk is full or the cache cannot be written.
        ConfigError: ``size`` or ``workers`` is below 1, or tiles are of another side than ``size``.
    """
    workers = usable_cores() if workers is None else workers
    for option, value in (("size", size), ("workers", workers)):
        if value < 1:
            raise ConfigError(f"{option} = {value!r} is out of range", hint="allowed: >= 1")
    if tiling is not None and tiling.side != size:
        raise ConfigError(f"tiles of {tiling.side} pixels do not fill squares of {size}", hint="give one side")
    complete = all(sample.mask_path is not None for sample in samples if sample.label)
    decoding = Decoding(
        samples=tuple(samples),
        size=size,
        masks=masks and complete,
        skip_unreadable=skip_unreadable,
        name=_folder_name(samples) if name is None else name,
        part=_splits(samples) if part is None else part,
        intensity=intensity,
        resize=resize,
        tiling=tiling,
    )
    decoded = _found_or_built(decoding, cache_dir.absolute() / DECODED, limit, workers, progress)
    if decoded.peak is not None:
        _warn(decoding, decoded.peak)
    return decoded


def _warn(decoding: Decoding, peak: int) -> None:
    """Tells of 16-bit images that come out nearly black, or brighter than white."""
    name, intensity = decoding.name or "this category", decoding.intensity
    note = dark_note(peak) if intensity is None else None
    if note is not None:
        _log.warning("%s: the %s", name, note)
    elif intensity is not None and peak > intensity.high:
        _log.warning(
            "%s: the 16-bit images to train on hold values up to %d; all above %g are white",
            *(name, peak, intensity.high),
        )


def _found_or_built(
    decoding: Decoding, entries: Path, limit: int | None, workers: int, progress: Progress | None
) -> DecodedPart:
    key = _key(decoding)
    folder = entries / key
    with _storage_errors(entries, decoding):
        part = _opened(folder, decoding)
        if part is not None:
            return part
        entries.mkdir(parents=True, exist_ok=True)
        with lock_entry(folder, patience_s=_PATIENCE_S):
            part = _opened(folder, decoding)  # another process may have built it meanwhile
            if part is None:
                make_room(
                    entries, decoding.bytes_needed, Settings.from_environment().cache_limit if limit is None else limit
                )
                temporary = build(folder, decoding, workers=workers, progress=progress)
                # Without working locks another process may take the entry for the damaged one that it saw before, and
                # put its own in its place: what is open by then stays readable.
                own = _opened(temporary, decoding)
                install(temporary, folder, lambda: _opened(folder, decoding) is not None)
                part = _opened(folder, decoding) or (own and replace(own, folder=folder))
    if part is None:
        raise StorageError(
            f"{printable(folder)} was deleted or damaged while it was used", hint="run the command again"
        )
    return part


def _folder_name(samples: Sequence[Sample]) -> str:
    """``dataset/category`` as the folders above the images say; empty when they do not lie as their ids do."""
    if not samples:
        return ""
    identity = samples[0].id
    path = unicodedata.normalize("NFC", samples[0].path.absolute().as_posix())  # as ids are spelled
    return "/".join(path.removesuffix(f"/{identity}").split("/")[-2:]) if path.endswith(f"/{identity}") else ""


def _splits(samples: Sequence[Sample]) -> str:
    return "+".join(sorted({sample.split for sample in samples}))


@contextmanager
def _storage_errors(folder: Path, decoding: Decoding) -> Iterator[None]:
    try:
        yield
    except KdzooError:
        raise
    except OSError as error:
        if error.errno in (ENOSPC, EDQUOT):
            raise no_space(folder, decoding.bytes_needed) from error
        raise StorageError(
            f"cannot use the cache {printable(folder)}: {error}",
            hint="set KDZOO_CACHE to a folder that can be written",
        ) from error


def _key(decoding: Decoding) -> str:
    """sha256 hex over all that the pixels depend on.

    The path is in it because files of two categories can share name, size and time (uncompressed images unpacked from
    one archive), and the change time because a modification time can be set back.
    """
    header: list[object] = [DECODER_VERSION, decoding.size, decoding.masks, decoding.skip_unreadable]
    if decoding.masks:
        header.append({"masks": MASK_VERSION})
    if decoding.intensity is not None:
        header.append(decoding.intensity.label)
    if decoding.resize != "stretch":
        header.append({"resize": decoding.resize})
    if decoding.tiling is not None:
        header.append({"tiling": asdict(decoding.tiling)})
    digest = hashlib.sha256(json.dumps(header).encode())
    for sample in decoding.samples:
        files = [sample.path]
        if decoding.masks and sample.label and sample.mask_path is not None:
            files += image_files(sample.mask_path) if sample.mask_path.is_dir() else [sample.mask_path]
        line = [sample.id, sample.defect_type, *(_file_state(path) for path in files)]
        digest.update(b"\n" + json.dumps(line).encode())
    return digest.hexdigest()


def _file_state(path: Path) -> tuple[str, int, int, int]:
    try:
        status = path.stat()
    except OSError:  # decoding will say what is wrong with it
        return os.path.abspath(path), -1, -1, -1  # noqa: PTH100 - Path.absolute keeps ".."
    return os.path.abspath(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns  # noqa: PTH100


def _opened(folder: Path, decoding: Decoding) -> DecodedPart | None:
    """Opens an entry; None when it is not there or damaged."""
    found = _read_index(folder / INDEX, decoding)
    if found is None:
        return None
    skipped = found.skipped
    kept = tuple(sample for position, sample in enumerate(decoding.samples) if position not in skipped)
    grids = None if decoding.tiling is None else tuple(decoding.tiling.grid(*shape) for shape in found.shapes)
    count = len(kept) if grids is None else sum(map(len, grids))
    shape = (count, decoding.size, decoding.size)
    images = open_array(folder / IMAGES, (*shape, 3))
    masks = open_array(folder / MASKS, shape) if decoding.masks else None
    if images is None or (decoding.masks and masks is None):
        return None
    mark_used(folder)
    return DecodedPart(
        images=images,
        masks=masks,
        labels=np.array([sample.label for sample in kept], dtype=np.int64),
        samples=kept,
        skipped=tuple((decoding.samples[position].path, reason) for position, reason in skipped.items()),
        folder=folder,
        peak=found.peak,
        shapes=np.array(found.shapes, dtype=np.int64).reshape(-1, 2) if decoding.shapes_matter else None,
        grids=grids,
    )


def _read_index(path: Path, decoding: Decoding) -> Found | None:
    """What the index says; None when it is missing, damaged, or of other samples."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None
    expected = {"size": decoding.size, "count": len(decoding.samples), "masks": decoding.masks}
    if not isinstance(content, dict) or {**content, **expected} != content:
        return None
    rows, peak = content.get("skipped"), content.get("peak")
    if not isinstance(rows, list) or not (peak is None or isinstance(peak, int)):
        return None
    skipped: dict[int, str] = {}
    for row in rows:
        match row:
            case [int(position), str(reason)] if 0 <= position < len(decoding.samples):
                skipped[position] = reason
            case _:
                return None
    if not decoding.shapes_matter:
        return Found(skipped=skipped, peak=peak)
    shapes = _shapes(content.get("shapes"), len(decoding.samples) - len(skipped))
    return None if shapes is None else Found(skipped=skipped, peak=peak, shapes=shapes)


def _shapes(rows: object, count: int) -> tuple[tuple[int, int], ...] | None:
    """Height and width of each image as an index has them; None when they are not there or damaged."""
    if not isinstance(rows, list) or len(rows) != count:
        return None
    found: list[tuple[int, int]] = []
    for row in rows:
        match row:
            case [int(height), int(width)] if height > 0 and width > 0:
                found.append((height, width))
            case _:
                return None
    return tuple(found)
