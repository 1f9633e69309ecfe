"""Locks between processes, on which no result may rest: they save work, and keep what is in use from being deleted.

Some network file systems (Lustre, NFS) have no working ``flock``; the system frees what a process that dies has held.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from zoo_registry.store.files import open_kept, open_there
from zoo_registry.store.locks import HELD, try_lock

Claim = Literal["free", "in use", "unknown"]
"""Whether files are in use: ``unknown`` where locks do not work."""

_log = logging.getLogger(__name__)

_POLL_S = 0.05

# How long `hold` waits for one who is deciding whether to delete; that takes a few system calls.
_HOLD_S = 2.0


@contextmanager
def advisory_lock(path: Path, *, patience_s: float) -> Iterator[bool]:
    """Waits for a lock file, but goes on without it when locks do not work or its holder seems stuck.

    Args:
        path: the lock file, made when it is not there and left in place.
        patience_s: seconds to wait at most.

    Yields:
        Whether the lock is held.

    Raises:
        OSError: the lock file cannot be made, or a symbolic link stands in its place.
    """
    descriptor = open_kept(path)
    try:
        yield _acquire(descriptor, path, time.monotonic() + patience_s)
    finally:
        os.close(descriptor)


def hold(descriptor: int) -> None:
    """Marks an open file as in use, for as long as this opening of it lives.

    A memory map made from the descriptor, and a copy of it in a forked process, keep the mark. Any number of processes
    can hold the same file. Where locks do not work nothing happens.

    Args:
        descriptor: of a file opened for reading.
    """
    deadline = time.monotonic() + _HOLD_S
    while True:
        try:
            try_lock(descriptor, shared=True)
        except OSError as error:
            if error.errno not in HELD or time.monotonic() > deadline:
                _log.debug("a file cannot be marked as in use, going on without: %s", error)
                return
        else:
            return
        time.sleep(_POLL_S / 10)


@contextmanager
def claim(paths: Iterable[Path]) -> Iterator[Claim]:
    """Asks whether files are in use, and lets no one `hold` them meanwhile.

    Args:
        paths: the files; one that is not there is not in use.

    Yields:
        ``in use`` when any of them is held by a process (this one included), ``free`` when none is, ``unknown``
        where locks do not work.

    Raises:
        OSError: a file cannot be opened for writing, which some file systems ask for.
    """
    with ExitStack() as opened:
        answer: Claim = "free"
        for path in paths:
            try:
                descriptor = open_there(path)
            except FileNotFoundError:
                continue
            opened.callback(os.close, descriptor)
            try:
                try_lock(descriptor)
            except OSError as error:
                answer = "in use" if error.errno in HELD else "unknown"
                break
        yield answer


def _acquire(descriptor: int, path: Path, deadline: float) -> bool:
    while True:
        try:
            try_lock(descriptor)
        except OSError as error:
            if error.errno not in HELD:
                _log.debug("no lock on %s, going on without: %s", path, error)
                return False
        else:
            return True
        if time.monotonic() > deadline:
            _log.warning("another process holds %s for too long, going on without", path)
            return False
        time.sleep(_POLL_S)
