"""Files written whole or not at all: unique temp files, fsync, and digests on the way. No link is followed to write."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo_registry.errors import ObjectTooLargeError, RegistryError, StoreUnavailableError

Progress = Callable[[int], None]
"""Called with the number of bytes that were moved since the last call."""

CHUNK = 1024 * 1024

# Windows knows none of these, and takes a file for text unless told otherwise.
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_OWN_BYTES = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)

_FULL = {errno.ENOSPC, errno.EDQUOT}
_RIGHTS = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def storage_errors(action: str, path: Path, *, also: str = "") -> Iterator[None]:
    """Turns an OSError inside into a `StoreUnavailableError` that names the path.

    Args:
        action: what is being done, such as ``"write"``.
        path: to what.
        also: what else may help, to follow the hint.
    """
    try:
        yield
    except RegistryError:
        raise
    except OSError as error:
        hint = "check the path and that its disk is mounted"
        if error.errno in _FULL:
            hint = "free some space on the disk, or choose another folder"
        elif error.errno in _RIGHTS:
            hint = "check the rights of the folder, or choose another one"
        elif error.errno == errno.ELOOP:
            hint = "remove the link"
        hint = f"{hint}, {also}" if also else hint
        raise StoreUnavailableError(f"cannot {action} {path}: {error.strerror or error}", hint=hint) from error


@contextmanager
def temporary(folder: Path) -> Iterator[Path]:
    """A path of its own in ``folder``, which is made when it is not there; what is left at the path is removed."""
    make_folder(folder)
    path = folder / uuid.uuid4().hex
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def create(path: Path, *, mode: int = 0o666) -> BinaryIO:
    """Opens a new file for writing: nothing that is there is written over, and no symbolic link is followed.

    Args:
        path: the file.
        mode: its rights, less the process's mask.

    Raises:
        FileExistsError: there is something, if only a link that leads nowhere.
        OSError: as the system gives it.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _OWN_BYTES
    return os.fdopen(os.open(path, flags, mode), "wb")


def open_kept(path: Path, *, append: bool = False, mode: int = 0o666) -> int:
    """Opens a file that stays at its place, such as a lock or a log, and makes it when it is not there.

    Args:
        path: the file.
        append: whether all writing goes to its end.
        mode: the rights of a new one, less the process's mask.

    Returns:
        A descriptor for reading and writing, which the caller closes.

    Raises:
        OSError: it is a symbolic link, a folder, a pipe or a device; or as the system gives it.
    """
    flags = os.O_RDWR | os.O_CREAT | _NO_FOLLOW | _NO_WAIT | _OWN_BYTES
    try:
        handle = os.open(path, flags | (os.O_APPEND if append else 0), mode)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not followed", str(path)) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return handle


def open_there(path: Path) -> int:
    """Opens a file for reading and writing that must be there, and follows no symbolic link.

    Returns:
        A descriptor, which the caller closes.

    Raises:
        OSError: it is not there, or a link; or as the system gives it.
    """
    return os.open(path, os.O_RDWR | _NO_FOLLOW | _OWN_BYTES)


def write_synced(path: Path, data: bytes) -> None:
    """Writes a new file that is on the disk when this returns; the name is on the disk after `sync_folder`."""
    with create(path) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk; Windows opens no folder, and has no way to wait."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Makes a folder and what lies above it, each on the disk when this returns."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def open_regular(path: Path) -> BinaryIO:
    """Opens a plain file for reading.

    Raises:
        OSError: it is not there, or is a folder, pipe or device, which could be read for ever.
    """
    handle = os.open(path, os.O_RDONLY | _NO_WAIT | _OWN_BYTES)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a plain file", str(path))
    return os.fdopen(handle, "rb")


def digest(path: Path, *, progress: Progress | None = None) -> tuple[str, int]:
    """The sha256 (64 hexadecimal digits) and the size in bytes of a file; ``progress`` is told of each piece."""
    made, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        while chunk := file.read(CHUNK):
            made.update(chunk)
            size += len(chunk)
            if progress is not None:
                progress(len(chunk))
    return made.hexdigest(), size


def copy(source: BinaryIO, target: Path, *, max_bytes: int | None = None, progress: Progress | None = None) -> str:
    """Copies a stream to a new file that is on the disk when this returns.

    Args:
        source: read to its end.
        target: must not exist.
        max_bytes: the most to take; None for no limit.
        progress: called with the bytes of each piece.

    Returns:
        The sha256 of what was copied.

    Raises:
        ObjectTooLargeError: the stream goes on after ``max_bytes``.
    """
    made, size = hashlib.sha256(), 0
    with create(target) as file:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if max_bytes is not None and size > max_bytes:
                raise ObjectTooLargeError(f"more than the {max_bytes} bytes announced were sent")
            made.update(chunk)
            file.write(chunk)
            if progress is not None:
                progress(len(chunk))
        file.flush()
        os.fsync(file.fileno())
    return made.hexdigest()
