"""Features kept in memory-mapped files, shared by every trial on the node as the decoded images are.

An entry is a folder named by a key over all that its values depend on; it never changes, and can be deleted at any
time. It is there wholly or not at all, and what is damaged counts as not there. Keeping features saves time alone:
where there is no room, no lock or no disk, nothing is kept, and whoever asked computes them.

Shapes: N images; a level has its own shape, in the order in which it lies in memory.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kdzoo.data.cache.array_file import ArrayWriter, open_array
from kdzoo.data.cache.entry import install, sync_folder
from kdzoo.data.cache.store import (
    FEATURES,
    INDEX,
    find_room,
    forget_lock,
    lock_entry,
    mark_used,
    remove,
    stored_entries,
    unique_beside,
)
from kdzoo.data.files import printable
from kdzoo.errors import StorageError

Block = Sequence[npt.NDArray[np.float32]]
"""Features of some images that follow each other: a level each, ``[n, ...]``."""

# How long one process waits for another that makes the same entry; beyond it, it computes for itself.
_PATIENCE_S = 900.0
_ROOM_PATIENCE_S = 60.0
_MOST_LEVELS, _MOST_AXES = 64, 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class FeatureLabel:
    """What an entry says of itself.

    Attributes:
        name: ``dataset/category``.
        part: which part of the data, and whose features.
        images: N.
        side: S of the images, pixels.
        layout: how the levels lie in memory, in the words of whoever computes them; handed back with the arrays.
        passing: whether they are of use to one trial alone.
    """

    name: str
    part: str
    images: int
    side: int
    layout: str = ""
    passing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeptFeatures:
    """An entry that is open.

    Attributes:
        levels: ``[N, ...]`` float32 each, read-only, memory-mapped.
        layout: as it was handed in.
        folder: the entry.
    """

    levels: tuple[npt.NDArray[np.float32], ...]
    layout: str
    folder: Path


class FeatureCache:
    """The kept features of a cache.

    Args:
        cache: the cache's folder; the entries are ``<cache>/features/<key>``.
        limit: the most bytes that all entries, decoded images included, may take; None for the default of
            `kdzoo.data.cache.store.size_limit`. 0 keeps nothing.
    """

    def __init__(self, cache: Path, limit: int | None) -> None:
        self._folder, self._limit = cache.absolute() / FEATURES, limit

    @property
    def off(self) -> bool:
        """Whether nothing is ever kept."""
        return self._limit == 0

    def open(self, key: str, images: int) -> KeptFeatures | None:
        """Features that are kept; None when they are not there, damaged or cannot be read.

        Args:
            key: names all that they depend on.
            images: N.
        """
        if self.off:
            return None
        try:
            return _opened(self._folder / key, images)
        except (OSError, StorageError) as error:
            _log.warning("kept features cannot be read: %s", error)
            return None

    def keep(self, key: str, label: FeatureLabel, blocks: Iterable[Block]) -> KeptFeatures | None:
        """Keeps features, unless another process does so first: then these are taken.

        Args:
            key: names all that they depend on.
            label: what the entry says of itself.
            blocks: all images in order; computed one after the other, none before there is need, and of the first
                one block more than are kept where there is no room.

        Returns:
            The features, or None when there is no room or the disk does not take them.
        """
        if self.off or not label.images:
            return None
        folder = self._folder / key
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            asked = time.monotonic()
            with lock_entry(folder, patience_s=_PATIENCE_S) as held:
                found = _opened(folder, label.images)  # another process may have made it meanwhile
                if found is not None or (not held and time.monotonic() - asked >= _PATIENCE_S):
                    return found
                temporary = self._written(folder, label, iter(blocks))
                if temporary is None:
                    forget_lock(folder)
                    return None
                install(temporary, folder, lambda: _opened(folder, label.images) is not None)
                return _opened(folder, label.images)
        except (OSError, StorageError) as error:
            _log.warning("features are not kept: %s", error)
            return None

    def discard(self, folder: Path) -> bool:
        """Deletes an entry, unless a process has it open; whoever calls must let go of its arrays first.

        Returns:
            Whether it is gone.
        """
        try:
            return all(remove(entry) for entry in stored_entries(self._folder) if entry.folder == folder)
        except (OSError, StorageError) as error:
            _log.warning("kept features are not deleted: %s", error)
            return False

    def _written(self, folder: Path, label: FeatureLabel, blocks: Iterable[Block]) -> Path | None:
        """A new folder beside the entry's place, whole and on the disk; None when there is no room."""
        first = next(iter(blocks), None)
        if first is None or any(level.dtype != np.float32 for level in first):
            return None
        shapes = [level.shape[1:] for level in first]
        needed = sum(4 * label.images * int(np.prod(shape)) for shape in shapes)
        temporary = unique_beside(folder)
        try:
            with ExitStack() as files:
                # Room is found and taken by one process at a time, so that all together keep to the limit.
                with lock_entry(self._folder / "room", patience_s=_ROOM_PATIENCE_S):
                    if not find_room(self._folder, needed, self._limit):
                        _log.info("no room for features of %s %s: %s bytes", label.name, label.part, f"{needed:,}")
                        return None
                    temporary.mkdir()
                    writers = [
                        files.enter_context(ArrayWriter(path, shape, dtype=np.float32, rows=label.images))
                        for path, shape in zip(_files(temporary, len(shapes)), shapes, strict=True)
                    ]
                _write(writers, chain([first], blocks))
            _write_index(temporary / INDEX, label, shapes)
            sync_folder(temporary)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        return temporary


def _write(writers: Sequence[ArrayWriter], blocks: Iterable[Block]) -> None:
    for block in blocks:
        for writer, rows in zip(writers, block, strict=True):
            for row in rows:
                writer.append(row)
    for writer in writers:
        writer.finish()


def _write_index(path: Path, label: FeatureLabel, shapes: Sequence[tuple[int, ...]]) -> None:
    content = {
        "name": label.name,
        "part": label.part,
        "size": label.side,
        "count": label.images,
        "passing": label.passing,
        "layout": label.layout,
        "levels": [list(shape) for shape in shapes],
    }
    with path.open("x", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())


def _opened(folder: Path, images: int) -> KeptFeatures | None:
    """Opens an entry; None when it is not there or damaged."""
    try:
        content = json.loads((folder / INDEX).read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        content = None
    found = _shapes(content, images)
    if found is None:
        _log.warning("%s is damaged, and its features are computed again", printable(folder))
        return None
    shapes, layout = found
    levels = []
    for path, shape in zip(_files(folder, len(shapes)), shapes, strict=True):
        array = open_array(path, (images, *shape), dtype=np.float32)
        if array is None:
            return None
        levels.append(array)
    mark_used(folder)
    return KeptFeatures(levels=tuple(levels), layout=layout, folder=folder)


def _shapes(content: Any, images: int) -> tuple[list[tuple[int, ...]], str] | None:
    """The levels' shapes and their layout, as an index says; None when it is damaged."""
    match content:
        case {"count": int(count), "layout": str(layout), "levels": [_, *_] as levels} if count == images:
            pass
        case _:
            return None
    if len(levels) > _MOST_LEVELS or not all(isinstance(level, list) and len(level) <= _MOST_AXES for level in levels):
        return None
    if not all(isinstance(side, int) and side > 0 for level in levels for side in level):
        return None
    return [tuple(level) for level in levels], layout


def _files(folder: Path, levels: int) -> list[Path]:
    return [folder / f"level{level}.npy" for level in range(1, levels + 1)]
