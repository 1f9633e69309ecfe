"""The one place that writes files: whole or not at all, and through no symbolic link.

Whoever can make a name in a folder that kdzoo writes to could otherwise choose a file of its user's to be overwritten.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import IO, BinaryIO, TextIO
from uuid import uuid4

from kdzoo.errors import KdzooError, StorageError
from zoo_registry.store.files import create, open_kept, sync_folder

_HINT = "free some space, choose another place, or set KDZOO_HOME to another disk"


def write_file(path: Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Writes a file so that a reader sees all of it or what was there before; a link there is replaced by the file.

    Args:
        path: the file; its folder is made when it is not there.
        data: what it is to hold.
        durable: whether it is on the disk when this returns, so that a power cut cannot undo it.

    Raises:
        StorageError: disk full, no rights; names the file.
    """
    with written(path, durable=durable) as file:
        file.write(data)


@contextmanager
def written(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """A file to be written piece by piece, which gets its name, as `write_file` gives it, when the block ends well.

    Args:
        path: the file; its folder is made when it is not there.
        durable: whether it is on the disk then.

    Raises:
        StorageError: disk full, no rights; names the file.
    """
    temporary = _beside(path)
    with _storage_errors(path), _removed_at_last(temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        with create(temporary) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)


@contextmanager
def growing_text(path: Path) -> Iterator[TextIO]:
    """A file for lines that are worth having one by one: it has its name from the first, and keeps what was written.

    Text in UTF-8, whose line ends stay as they are. What stood there before, also a link, is replaced.

    Args:
        path: the file; its folder is made when it is not there.

    Raises:
        StorageError: disk full, no rights; names the file.
    """
    temporary = _beside(path)
    with _storage_errors(path), _removed_at_last(temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        with TextIOWrapper(create(temporary), encoding="utf-8", newline="", line_buffering=True) as text:
            temporary.replace(path)
            yield text


def write_new(path: Path, data: bytes | memoryview) -> None:
    """Writes a file of a scratch folder, which holds none of that name.

    Raises:
        OSError: as the system gives it; there is something of that name.
    """
    with create(path) as file:
        file.write(data)


def keep_lock(path: Path) -> None:
    """Makes an empty file, to be locked, when it is not there.

    Raises:
        OSError: it is a symbolic link, or no plain file; or as the system gives it.
    """
    os.close(open_kept(path))


def appending(path: Path, *, mode: int = 0o666) -> IO[bytes]:
    """Opens a file whose end is written to, and makes it when it is not there.

    Args:
        path: the file.
        mode: the rights of a new one, less the process's mask.

    Raises:
        OSError: it is a symbolic link, or no plain file; or as the system gives it.
    """
    return os.fdopen(open_kept(path, append=True, mode=mode), "ab")


def refuse_link(path: Path) -> None:
    """For a file that another library opens to write, and would through a symbolic link.

    Raises:
        StorageError: one stands there.
    """
    if path.is_symlink():
        raise StorageError(f"'{path}' is a symbolic link, which is not followed", hint="remove it")


@contextmanager
def folder_written(path: Path, *, may_replace: Container[str]) -> Iterator[Path]:
    """A folder to be filled, which gets its name when the block ends well.

    Args:
        path: the folder. One that is there is replaced, all of it at once.
        may_replace: the names that it may hold then.

    Yields:
        An empty folder beside it.

    Raises:
        StorageError: ``path`` is a symbolic link, no folder, or holds something else; disk full, no rights.
    """
    place = path.absolute()
    _refuse_other(place, may_replace)
    scratch = _beside(place)
    with _storage_errors(place):
        try:
            scratch.mkdir(parents=True)
            yield scratch
            _swap(scratch, place, may_replace)
            sync_folder(place.parent)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def check_writable(folder: Path) -> None:
    """Writes and removes a small file, so that a folder that takes none is found before hours of training.

    Raises:
        StorageError: it cannot be written; names the folder.
    """
    probe = _beside(folder / "writable")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_new(probe, b"x" * 4096)
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"cannot write to '{folder}': {error.strerror or error}", hint="choose another place with --out"
        ) from error


@contextmanager
def not_left_empty(folder: Path) -> Iterator[None]:
    """Removes a folder that came to be in the block and that nothing was written into by its end."""
    was_there = folder.is_dir()
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):  # it holds something, or is gone
                folder.rmdir()


def _swap(made: Path, place: Path, may_replace: Container[str]) -> None:
    """Renames the folder to its place; what was there goes."""
    aside = _beside(place)
    if place.is_dir():
        _refuse_other(place, may_replace)  # it may have changed meanwhile
        place.rename(aside)
    try:
        made.rename(place)
    except OSError:
        if aside.is_dir():
            aside.rename(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _refuse_other(place: Path, may_hold: Container[str]) -> None:
    """Raises unless there is nothing, or a folder of these names alone."""
    if place.is_symlink():
        raise StorageError(f"'{place}' is a symbolic link", hint="give the folder that it leads to")
    if not place.exists():
        return
    if not place.is_dir():
        raise StorageError(f"'{place}' is no folder", hint="choose another place")
    with _storage_errors(place):
        foreign = sorted(each.name for each in place.iterdir() if each.name not in may_hold)
    if foreign:
        raise StorageError(
            f"'{place}' holds other files, such as '{foreign[0]}', and would be replaced as a whole",
            hint="choose a new folder",
        )


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")


@contextmanager
def _removed_at_last(path: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except KdzooError:
        raise
    except OSError as error:
        raise StorageError(f"cannot write '{path}': {error.strerror or error}", hint=_HINT) from error
