"""What the caches of decoded images and of features hold: entries, how much they take, and which of them may go.

An entry is a folder in ``<cache>/decoded`` or ``<cache>/features``; both share one limit. The cache keeps within it by
giving up what was used longest ago. An entry that a process has mapped is marked as in use by a lock on its files,
which the system takes away when the process ends, however it ends; it is never deleted. Where locks do not work,
nothing that was opened within the last days is. Where they hold on one machine only (Lustre with ``localflock``), give
each machine a cache of its own: another machine's use cannot be seen.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kdzoo.data.file_lock import advisory_lock, claim
from kdzoo.data.files import printable
from kdzoo.errors import StorageError

DECODED: Final = "decoded"
FEATURES: Final = "features"
"""The folders of the two kinds of entries."""

IMAGES, MASKS, INDEX = "images.npy", "masks.npy", "index.json"
"""The files of a decoded entry; the index is part of every entry, and the arrays of any are ``.npy``."""

SPARE_BYTES = 16 * 2**20
"""Left free on the disk beside what an entry needs."""

# What was opened within this time counts as in use where locks do not work.
_TRUST_S = 3 * 24 * 3600.0
# A build whose lock is gone was killed; the time is for those that are about to put the entry into its place.
_ENDED_S = 600.0
# No build takes this long: where locks do not work, what is older was left by a process that was killed.
_STALE_S = 24 * 3600.0
# Without a limit of its own the cache takes at most this share of what it has and what the disk has free.
_SHARE = 0.5
_NOT_OURS = {errno.EROFS, errno.EACCES, errno.EPERM}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEntry:
    """An entry as the cache holds it.

    Attributes:
        folder: where it lies.
        name: ``dataset/category``, empty when the entry does not say.
        part: which part of the data it is, empty when the entry does not say.
        images: how many images, 0 when the entry does not say.
        side: S, pixels, 0 when the entry does not say.
        size: bytes on disk.
        used: when it was last opened, seconds since 1970.
        passing: whether it is of use to one trial alone, and so to nobody once no process has it open.
    """

    folder: Path
    name: str
    part: str
    images: int
    side: int
    size: int
    used: float
    passing: bool = False

    def is_of(self, dataset: str) -> bool:
        """Whether it is of a data set, or of a category named as ``dataset/category``."""
        return self.name == dataset or self.name.startswith(f"{dataset}/")


def stored_entries(decoded: Path) -> list[StoredEntry]:
    """The entries of a cache, those used longest ago first.

    Args:
        decoded: ``<cache>/decoded``; need not exist.

    Raises:
        StorageError: the folder or an entry cannot be read.
    """
    with _storage_errors("read", decoded):
        found = [_entry(folder) for folder in _folders(decoded) if not folder.name.startswith(".")]
    return sorted((entry for entry in found if entry is not None), key=lambda entry: (entry.used, entry.folder))


def unfinished_bytes(decoded: Path) -> int:
    """Bytes that builds under way, or killed ones, take.

    Raises:
        StorageError: the folder cannot be read.
    """
    with _storage_errors("read", decoded):
        return sum(_size(folder) for folder in _folders(decoded) if folder.name.endswith(".tmp"))


def size_limit(decoded: Path, given: int | None, used: int) -> int:
    """The most bytes that the entries may take together.

    Args:
        decoded: a folder on the cache's disk, or one that is still to be made.
        given: the limit that was set; None for half of what the entries take and the disk has free.
        used: bytes that the entries take now.

    Raises:
        StorageError: the disk cannot be asked.
    """
    if given is not None:
        return given
    with _storage_errors("read", decoded):
        there = next(folder for folder in (decoded, *decoded.parents) if folder.exists())
        return int((used + shutil.disk_usage(there).free) * _SHARE)


def in_use(entry: StoredEntry) -> bool:
    """Whether a process has the entry mapped or is building it; where locks do not work, whether one may have.

    Raises:
        StorageError: the entry cannot be asked.
    """
    with _storage_errors("lock", entry.folder):
        try:
            with _claimed(entry) as free:
                return not free
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            return True  # not ours to lock, so not ours to delete


def remove(entry: StoredEntry) -> bool:
    """Deletes an entry that no process uses.

    Returns:
        Whether it is gone; False when it is in use.

    Raises:
        StorageError: it cannot be deleted.
    """
    with _storage_errors("delete", entry.folder), _claimed(entry) as free:
        if free:
            trash = unique_beside(entry.folder)
            with contextlib.suppress(FileNotFoundError):  # another process was quicker
                entry.folder.rename(trash)
                shutil.rmtree(trash)
            _lock_file(entry.folder).unlink(missing_ok=True)
        return free


def make_room(decoded: Path, needed: int, limit: int | None) -> None:
    """Deletes what was used longest ago until an entry fits into the limit and onto the disk, as far as that goes.

    Features go as well: they share the limit. Nothing is deleted for an entry that would not fit onto the disk even so.

    Args:
        decoded: ``<cache>/decoded``, an existing folder.
        needed: bytes of the entry that is to be built.
        limit: as in `size_limit`.

    Raises:
        StorageError: the folder cannot be read.
    """
    entries, used = _all_entries(decoded.parent)
    limit = size_limit(decoded, limit, used)
    free = shutil.disk_usage(decoded).free
    if free + sum(entry.size for entry in entries) < needed + SPARE_BYTES:
        return
    for entry in entries:
        if used + needed <= limit and free >= needed + SPARE_BYTES:
            return
        if _given_up(entry):
            used, free = used - entry.size, free + entry.size
    if used + needed > limit:
        _log.warning(
            "the decoded cache %s grows to %s bytes, over its limit of %s: it has nothing else that may be deleted",
            *(printable(decoded), f"{used + needed:,}", f"{limit:,}"),
        )


def find_room(features: Path, needed: int, limit: int | None) -> bool:
    """Whether features fit into the limit and onto the disk, if need be in place of others, used longest ago.

    Unlike decoded images, which a trial cannot do without, features never take more than the limit, and no image's
    place. Those of a trial that has ended go in any case.

    Args:
        features: ``<cache>/features``, an existing folder.
        needed: bytes of the entry that is to be built.
        limit: as in `size_limit`.

    Raises:
        StorageError: the folder cannot be read.
    """
    entries, used = _all_entries(features.parent)
    limit = size_limit(features, limit, used)
    free = shutil.disk_usage(features).free
    others = [entry for entry in entries if entry.folder.parent == features]
    for entry in others:
        if entry.passing and _given_up(entry):
            used, free = used - entry.size, free + entry.size
    others = [entry for entry in others if not entry.passing]
    most = sum(entry.size for entry in others)
    if used - most + needed > limit or free + most < needed + SPARE_BYTES:
        return False
    for entry in others:
        if used + needed <= limit and free >= needed + SPARE_BYTES:
            break
        if _given_up(entry):
            used, free = used - entry.size, free + entry.size
    return used + needed <= limit and free >= needed + SPARE_BYTES


def remove_unfinished(decoded: Path) -> int:
    """Deletes what builds have left that were killed.

    Returns:
        Bytes that were freed.

    Raises:
        StorageError: the folder cannot be read.
    """
    freed = 0
    with _storage_errors("read", decoded):
        for folder in _folders(decoded):
            if folder.name.endswith(".tmp") and _was_killed(folder):
                freed += _size(folder)
                shutil.rmtree(folder, ignore_errors=True)
    return freed


def mark_used(folder: Path) -> None:
    """Notes that an entry is used now; in a cache that cannot be written nothing is noted."""
    try:
        os.utime(folder / INDEX)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in _NOT_OURS:
            raise
        _log.debug("%s cannot be marked as used: %s", printable(folder), error)


def unique_beside(folder: Path) -> Path:
    """A new name beside an entry, for what is on its way into or out of its place."""
    return folder.parent / f".{folder.name}.{uuid.uuid4().hex}.tmp"


def lock_entry(folder: Path, *, patience_s: float) -> contextlib.AbstractContextManager[bool]:
    """The lock of those who would build an entry, as `advisory_lock`."""
    return advisory_lock(_lock_file(folder), patience_s=patience_s)


def forget_lock(folder: Path) -> None:
    """Deletes the lock of an entry that was not built after all; whoever waits for it goes on."""
    _lock_file(folder).unlink(missing_ok=True)


def _lock_file(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


@contextlib.contextmanager
def _storage_errors(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"cannot {action} {printable(path)}: {error.strerror or error}",
            hint="check the rights of the folder and that its disk is mounted",
        ) from error


def _all_entries(cache: Path) -> tuple[list[StoredEntry], int]:
    """The entries of both kinds, those used longest ago first, and bytes with what is being built."""
    kinds = [cache / DECODED, cache / FEATURES]
    for kind in kinds:
        remove_unfinished(kind)
    entries = sorted(
        (entry for kind in kinds for entry in stored_entries(kind)), key=lambda entry: (entry.used, entry.folder)
    )
    return entries, sum(entry.size for entry in entries) + sum(map(unfinished_bytes, kinds))


@contextlib.contextmanager
def _claimed(entry: StoredEntry) -> Iterator[bool]:
    """Whether the entry is free; while it is claimed no one can build or open it."""
    locks = [_lock_file(entry.folder), *_arrays(entry.folder)]
    with claim(locks) as answer:
        yield answer == "free" or (answer == "unknown" and time.time() - entry.used > _TRUST_S)


def _given_up(entry: StoredEntry) -> bool:
    try:
        gone = remove(entry)
    except StorageError as error:
        _log.warning("no room is made: %s", error)
        return False
    if gone:
        _log.info("%s %s was deleted to make room", entry.name or "an entry", printable(entry.folder))
    return gone


def _was_killed(folder: Path) -> bool:
    """Whether no process works on what a build has made so far."""
    try:
        age = time.time() - max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
        with claim(_arrays(folder)) as answer:
            return answer != "in use" and age > (_ENDED_S if answer == "free" else _STALE_S)
    except OSError as error:
        _log.debug("left alone: %s", error)  # another process was quicker, or it is another person's
        return False


def _arrays(folder: Path) -> list[Path]:
    """The files of an entry that whoever uses it holds."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path for path in folder.iterdir() if path.suffix == ".npy")
    return []


def _folders(decoded: Path) -> list[Path]:
    try:
        return [path for path in decoded.iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []


def _entry(folder: Path) -> StoredEntry | None:
    """What an entry says of itself; None when it was deleted meanwhile."""
    try:
        index = _index(folder / INDEX)
        used = (folder / INDEX if index else folder).stat().st_mtime
    except FileNotFoundError:
        return None
    name, part, count, side = (index.get(key) for key in ("name", "part", "count", "size"))
    return StoredEntry(
        folder=folder,
        name=printable(name) if isinstance(name, str) else "",
        part=printable(part) if isinstance(part, str) else "",
        images=count if isinstance(count, int) else 0,
        side=side if isinstance(side, int) else 0,
        size=_size(folder),
        used=used,
        passing=index.get("passing") is True,
    )


def _index(path: Path) -> dict[str, Any]:
    """The content of an entry's index, empty when it is damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _size(folder: Path) -> int:
    """Bytes of the files directly in a folder; those deleted meanwhile count nothing."""
    total = 0
    with contextlib.suppress(FileNotFoundError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += path.lstat().st_size
    return total
