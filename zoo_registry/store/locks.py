"""Locks on open files by what the system has: ``flock``, on Windows ``msvcrt``, else a file that stands for a lock.

The system frees what a process that dies has held; a file that stands for a lock stays, and has to be removed by hand.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from zoo_registry.store import files


def _of_the_system(name: str) -> Any:
    """A module that not every system has; None where it is not there."""
    try:
        return import_module(name)
    except ImportError:
        return None


fcntl, msvcrt = _of_the_system("fcntl"), _of_the_system("msvcrt")

HELD: Final = frozenset({errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK})
"""What `try_lock` fails with when another holds the lock; anything else means that locks do not work here."""
NONE: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What it fails with where the disk or the system has no locks."""

_BYTE: Final = 2**30
"""Which byte of a file Windows locks: one beyond its end, so that the file can be read meanwhile."""
_POLL_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 60.0
"""How long a file that stands for a lock is waited for: what is done under one takes a few system calls."""


def try_lock(descriptor: int, *, shared: bool = False) -> None:
    """Locks an open file, or fails at once. The lock ends with the descriptor.

    Args:
        descriptor: of the file.
        shared: let others hold it in the same way. Windows knows no such thing for a byte: there nothing is locked.

    Raises:
        OSError: another holds the lock (`HELD`), or locks do not work here.
    """
    if fcntl is not None:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    elif msvcrt is not None and not shared:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)
    else:
        raise OSError(errno.ENOSYS, "this system has no file locks")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Holds a lock file, made if it is not there, for which other processes and threads wait.

    Args:
        path: the lock file; it stays.

    Raises:
        OSError: locks do not work on this disk (`NONE`), or the file cannot be made.
        TimeoutError: where a file stands for the lock: another process has held it for a minute.
    """
    handle = files.open_kept(path)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        elif msvcrt is not None:
            _wait(lambda: try_lock(handle), HELD, path)
            yield
        else:
            stands = path.with_name(f"{path.name}.held")
            _wait(lambda: files.create(stands).close(), {errno.EEXIST}, stands)
            try:
                yield
            finally:
                stands.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _wait(take: Callable[[], None], held: set[int] | frozenset[int], path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            take()
        except OSError as error:
            if error.errno not in held:
                raise
            if time.monotonic() > deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, "another process holds it, or was killed: then remove it", str(path)
                ) from error
            time.sleep(_POLL_SECONDS)
        else:
            return
