"""Room for arrays that may be larger than memory should hold: beyond a size they lie in a file that nobody sees."""

from __future__ import annotations

import errno
import os
from math import prod
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from kdzoo.errors import StorageError

IN_MEMORY: Final = 2**28
"""Bytes up to which an array lies in memory."""


def room(shape: tuple[int, ...], kind: DTypeLike, folder: Path, *, in_memory: int = IN_MEMORY) -> NDArray[Any]:
    """An array of zeros; a large one is mapped from a file that has no name and goes with the array.

    Args:
        shape: of the array.
        kind: its dtype.
        folder: where a file would lie; it is made.
        in_memory: bytes up to which there is none.

    Raises:
        StorageError: the disk has no room, or the folder cannot be written.
    """
    size = prod(shape) * np.dtype(kind).itemsize
    if size <= in_memory:
        return np.zeros(shape, kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder) as file:
            # Taken now: of a file with holes, a full disk would kill the process when one is written to.
            _take(file.fileno(), size)
            return np.memmap(file, kind, "r+", shape=shape)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"'{folder}' has no room for {size / 1e9:.1f} GB" if full else f"cannot write to '{folder}': {error}",
            hint="free some, or set KDZOO_CACHE to a folder on another disk",
        ) from error


def _take(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
        return
    free = os.fstatvfs(handle)  # on macOS
    if free.f_bavail * free.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(handle, size)


def joined(arrays: list[NDArray[Any]], folder: Path) -> NDArray[Any]:
    """Arrays one after the other along the first axis, of one dtype and otherwise one shape; as `room` makes it.

    Raises:
        StorageError: the disk has no room, or the folder cannot be written.
    """
    made = room((sum(map(len, arrays)), *arrays[0].shape[1:]), arrays[0].dtype, folder)
    start = 0
    for each in arrays:
        made[start : start + len(each)] = each
        start += len(each)
    return made
