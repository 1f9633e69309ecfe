"""The SQLite file of a sweep's studies: one process writes it, others read it, and a power cut leaves it whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import optuna
import sqlalchemy

from kdzoo.addresses import sqlite_address
from kdzoo.errors import StorageError
from kdzoo.storage import refuse_link

_NETWORK: Final = (
    "nfs", "cifs", "smb", "lustre", "gpfs", "ceph", "glusterfs", "beegfs", "fuse", "9p", "afs", "virtiofs"
)  # fmt: skip


def open_study_file(path: Path) -> optuna.storages.RDBStorage:
    """Opens the studies' file; made, with its folder, if absent.

    Raises:
        StorageError: it cannot be made or opened, or is a symbolic link.
    """
    refuse_link(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.RDBStorage(sqlite_address(path))
    except (OSError, sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        reason = str(error.strerror if isinstance(error, OSError) else error).splitlines()[0]
        raise StorageError(
            f"cannot write the studies '{path}': {reason}", hint="free some space or set KDZOO_HOME to another disk"
        ) from error
    shared = on_network(path.parent)

    def prepare(connection: Any, _: object) -> None:
        # A suggestion is some fifteen commits. With a log beside the file none of them waits for the disk, and what a
        # power cut takes is the last moments, not the file. The log needs memory that all its readers share: where
        # another machine may read, each commit waits instead.
        connection.execute(f"PRAGMA journal_mode={'DELETE' if shared else 'WAL'}")
        connection.execute("PRAGMA synchronous=NORMAL")

    sqlalchemy.event.listen(backend.engine, "connect", prepare)
    backend.engine.dispose()
    return backend


def close_study_file(backend: optuna.storages.RDBStorage) -> None:
    """Lets go of the file, and leaves no log beside it: who may only read the folder can read the file then."""
    backend.remove_session()
    try:
        with backend.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    except sqlalchemy.exc.SQLAlchemyError:
        pass  # somebody reads it, or the disk is full: the log stays, and the next driver takes it in
    backend.engine.dispose()


def on_network(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a folder lies on a file system that other machines see, too.

    Args:
        folder: an existing one.
        mounts: the kernel's list of what is mounted; without one no folder is called shared.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    place, best, kind = str(folder.resolve()), "", ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ").rstrip("/")
        if (place == point or place.startswith(point + "/")) and len(point) >= len(best):
            best, kind = point, found  # of two mounts at one place the later one is seen
    return kind.startswith(_NETWORK)
