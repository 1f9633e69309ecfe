"""A uint8 array in a NumPy file, written one row at a time and read as a memory map.

Rows are written with ordinary writes and not through a map: a full disk is then an error that can be caught, where a
map would end the process with a bus error. Whoever writes or maps an array marks its file as in use (`file_lock.hold`).

Source: the .npy format, version 1.0 (NumPy, `numpy.lib.format`).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from kdzoo.data.file_lock import hold

_HEADER_BYTES = 128


class ArrayWriter:
    """Writes rows of one shape; how many there are need not be known before the last one.

    Args:
        path: the new file.
        row_shape: shape of a row, such as ``(S, S, 3)``.

    Raises:
        OSError: from any method, as the system gives it.
    """

    def __init__(self, path: Path, row_shape: tuple[int, ...]) -> None:
        self._row_shape = row_shape
        self._rows = 0
        self._file = path.open("xb")
        hold(self._file.fileno())
        self._file.write(bytes(_HEADER_BYTES))

    def append(self, row: npt.NDArray[np.uint8]) -> None:
        """Writes one row: uint8, of the row's shape.

        Raises:
            ValueError: another type or shape.
        """
        if row.shape != self._row_shape or row.dtype != np.uint8:
            raise ValueError(f"expected a uint8 row of shape {self._row_shape}, got {row.dtype} {row.shape}")
        self._file.write(np.ascontiguousarray(row).data)
        self._rows += 1

    def finish(self) -> None:
        """Writes the header and waits until the file is on the disk; without it the file cannot be opened."""
        self._file.seek(0)
        self._file.write(_header((self._rows, *self._row_shape)))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def open_array(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8] | None:
    """Maps an array that `ArrayWriter` finished.

    Returns:
        A read-only ``np.memmap`` of the given shape (an ordinary array when it has no elements, which cannot be
        mapped), or None when the file is missing, truncated, or holds another shape. The file is marked as in use
        until the map and all views of it are gone.

    Raises:
        OSError: the file is there but cannot be read.
    """
    size = int(np.prod(shape))
    try:
        with path.open("rb") as file:
            hold(file.fileno())
            header, status = file.read(_HEADER_BYTES), os.fstat(file.fileno())
            if not os.path.samestat(path.stat(), status):
                return None  # deleted, and perhaps made anew, between opening and marking it
            if header != _header(shape) or status.st_size != _HEADER_BYTES + size:
                return None
            if size == 0:
                empty = np.empty(shape, np.uint8)
                empty.flags.writeable = False
                return empty
            # The map duplicates the descriptor, and with it keeps the mark.
            return np.memmap(file, dtype=np.uint8, mode="r", offset=_HEADER_BYTES, shape=shape)
    except FileNotFoundError:
        return None


def _header(shape: tuple[int, ...]) -> bytes:
    """The header padded to a fixed length, so that it can be written after the rows."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    length = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + text.ljust(length - 1) + b"\n"
