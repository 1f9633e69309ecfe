"""A lock between processes that saves work, on which nothing else may rest."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)

# What flock answers when another holds the lock; anything else means that it does not work here.
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_POLL_S = 0.05


@contextmanager
def advisory_lock(path: Path, *, patience_s: float) -> Iterator[bool]:
    """Waits for a lock file, but goes on without it when locks do not work or its holder seems stuck.

    Some network file systems (Lustre, NFS) have no working ``flock``, and a stopped process keeps what it holds. The
    system frees the lock of a process that dies.

    Args:
        path: the lock file, made when it is not there and left in place.
        patience_s: seconds to wait at most.

    Yields:
        Whether the lock is held.

    Raises:
        OSError: the lock file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        yield _acquire(descriptor, path, time.monotonic() + patience_s)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                _log.debug("no lock on %s, going on without: %s", path, error)
                return False
        else:
            return True
        if time.monotonic() > deadline:
            _log.warning("another process holds %s for too long, going on without", path)
            return False
        time.sleep(_POLL_S)
