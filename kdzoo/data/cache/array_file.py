"""An array in a NumPy file, written one row at a time and read as a memory map.

Rows are written with ordinary writes and not through a map: a full disk is then an error that can be caught, where a
map would end the process with a bus error. Whoever writes or maps an array marks its file as in use (`file_lock.hold`).

Source: the .npy format, version 1.0 (NumPy, `numpy.lib.format`).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from kdzoo.data.file_lock import hold

_HEADER_BYTES = 128


class ArrayWriter:
    """Writes rows of one shape; how many there are need not be known before the last one.

    Args:
        path: the new file.
        row_shape: shape of a row, such as ``(S, S, 3)``.
        dtype: of the values; default uint8.
        rows: how many there will be, where that is known: the file has its full length, sparse, from the beginning.

    Raises:
        OSError: from any method, as the system gives it.
    """

    def __init__(
        self, path: Path, row_shape: tuple[int, ...], *, dtype: npt.DTypeLike = np.uint8, rows: int = 0
    ) -> None:
        self._row_shape, self._dtype = row_shape, np.dtype(dtype)
        self._rows = 0
        self._file = path.open("xb")
        hold(self._file.fileno())
        if rows:
            os.truncate(self._file.fileno(), _HEADER_BYTES + rows * int(np.prod(row_shape)) * self._dtype.itemsize)
        self._file.write(bytes(_HEADER_BYTES))

    def append(self, row: npt.NDArray[Any]) -> None:
        """Writes one row, of the writer's type and the row's shape.

        Raises:
            ValueError: another type or shape.
        """
        if row.shape != self._row_shape or row.dtype != self._dtype:
            raise ValueError(f"expected a {self._dtype} row of shape {self._row_shape}, got {row.dtype} {row.shape}")
        self._file.write(np.ascontiguousarray(row).data)
        self._rows += 1

    def finish(self) -> None:
        """Writes the header and waits until the file is on the disk; without it the file cannot be opened."""
        self._file.seek(0)
        self._file.write(_header((self._rows, *self._row_shape), self._dtype))
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def open_array(path: Path, shape: tuple[int, ...], *, dtype: npt.DTypeLike = np.uint8) -> npt.NDArray[Any] | None:
    """Maps an array that `ArrayWriter` finished.

    Args:
        path: the file.
        shape: that the array must have.
        dtype: that its values must have; default uint8.

    Returns:
        A read-only ``np.memmap`` of the given shape (an ordinary array when it has no elements, which cannot be
        mapped), or None when the file is missing, truncated, or holds another shape or type. The file is marked as in
        use until the map and all views of it are gone.

    Raises:
        OSError: the file is there but cannot be read.
    """
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    try:
        with path.open("rb") as file:
            hold(file.fileno())
            header, status = file.read(_HEADER_BYTES), os.fstat(file.fileno())
            if not os.path.samestat(path.stat(), status):
                return None  # deleted, and perhaps made anew, between opening and marking it
            if header != _header(shape, kind) or status.st_size != _HEADER_BYTES + size:
                return None
            if size == 0:
                empty = np.empty(shape, kind)
                empty.flags.writeable = False
                return empty
            # The map duplicates the descriptor, and with it keeps the mark.
            return np.memmap(file, dtype=kind, mode="r", offset=_HEADER_BYTES, shape=shape)
    except FileNotFoundError:
        return None


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """The header padded to a fixed length, so that it can be written after the rows."""
    text = repr({"descr": dtype.str, "fortran_order": False, "shape": shape}).encode()
    length = _HEADER_BYTES - 10
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", length) + text.ljust(length - 1) + b"\n"
