"""Blobs on the local disk, by their digest: checked on the way in, shared by many processes, never half written."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

from zoo_registry.cache.listing import CachedFile, cached_files
from zoo_registry.errors import BlobCorruptError, ObjectTooLargeError, RegistryError
from zoo_registry.format.manifest import BlobRef
from zoo_registry.store import files
from zoo_registry.store.protocol import check_key

_log = logging.getLogger(__name__)
_NOTE_BYTES = 8 * 1024 * 1024
_FRESH_S = 600.0
"""Seconds within which a blob that was asked for is not evicted: whoever asked may be about to open it."""
_ABANDONED_S = 24 * 3600.0
"""Seconds after which a fetch that has written nothing is taken for killed."""
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EEXIST}
"""How a folder fails that this user can neither make nor write to, such as one under a home that is not there."""
_ELSEWHERE = "or set KDZOO_CACHE (or KDZOO_HOME) to a folder of your own"


class BlobCache:
    """A folder of blobs, ``<root>/sha256/ab/abcdef...``, and of the small files last read from each store.

    A blob is filled into a file of its own, checked, and renamed to its place. No lock is needed: two processes that
    fill the same blob both bring the same bytes, and the later rename changes nothing. A blob that is evicted while
    somebody has it open stays readable for them.

    Args:
        root: the folder; the first write makes it.
        limit: bytes that blobs may take; when one is added beyond that, those used longest ago go, but none that was
            asked for within ten minutes. None for no limit.
        spare: gives a folder for blobs where the cache cannot be written, and is told why not; None: there is none.
    """

    def __init__(self, root: Path, *, limit: int | None = None, spare: Callable[[str], Path] | None = None) -> None:
        self._root = root.absolute()
        self._limit, self._spare = limit, spare
        self._aside: Path | None = None

    def path(self, ref: BlobRef) -> Path:
        """Where the blob is or would be."""
        return _blob_path(self._root, ref)

    def find(self, ref: BlobRef, *, verify: bool = False) -> Path | None:
        """The blob's file, if it is here.

        Args:
            ref: the blob.
            verify: read it whole and compare its sha256; otherwise its size alone is compared.

        Returns:
            The file; None when it is not here, or is damaged.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        for root in (self._root, *((self._aside,) if self._aside is not None else ())):
            path = _blob_path(root, ref)
            with files.storage_errors("read", path, also=_ELSEWHERE):
                try:
                    found = files.digest(path) if verify else (ref.sha256, path.stat().st_size)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except PermissionError:
                    if self._spare is None:
                        raise
                    continue
            if found == (ref.sha256, ref.size):
                self._note_use(path)
                return path
            _log.warning("%s is damaged and is fetched again", path)
        return None

    def add(self, ref: BlobRef, fill: Callable[[Path], str], *, origin: str) -> Path:
        """Takes a blob in, once it is checked.

        Args:
            ref: what it must be.
            fill: writes the blob to the path it is given, which does not exist yet, waits until it is on the disk, and
                gives the sha256 of what it wrote, as `Store.get_to_file` does.
            origin: where the bytes come from, for the message.

        Returns:
            The blob's file.

        Raises:
            BlobCorruptError: ``fill`` wrote other bytes; nothing was taken in.
            StoreUnavailableError: the cache cannot be written.
        """
        root = self._written_to()
        path = _blob_path(root, ref)
        with files.storage_errors("write", path, also=_ELSEWHERE), files.temporary(root / "tmp") as made:
            try:
                sha256, size = fill(made), made.stat().st_size
            except ObjectTooLargeError as error:
                raise _corrupt(ref, origin, f"more than {ref.size} bytes") from error
            if size != ref.size:
                raise _corrupt(ref, origin, f"{size} bytes instead of {ref.size}")
            if sha256 != ref.sha256:
                raise _corrupt(ref, origin, f"sha256 {sha256}")
            files.make_folder(path.parent)
            made.replace(path)
            files.sync_folder(path.parent)
        if self._aside is None:
            self._make_room()
        return path

    def remember(self, place: str, key: str, data: bytes) -> None:
        """Keeps a small file of a store, for when the store cannot be reached.

        Args:
            place: what tells the store from others, such as address and id of a zoo.
            key: the file.
            data: its bytes.

        Raises:
            StoreUnavailableError: the cache cannot be written.
        """
        path = self.note_path(place, key)
        with files.storage_errors("write", path, also=_ELSEWHERE):
            if path.is_file() and path.read_bytes() == data:
                self._note_use(path, modified=True)
                return
            with files.temporary(self._root / "tmp") as made:
                files.write_synced(made, data)
                # Whole when it is there; its name need not outlive a power cut, and a list of a large zoo makes many.
                path.parent.mkdir(parents=True, exist_ok=True)
                made.replace(path)

    def recall(self, place: str, key: str) -> bytes | None:
        """A small file of a store as it was last kept; None when it never was.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        path = self.note_path(place, key)
        with files.storage_errors("read", path):
            try:
                with files.open_regular(path) as file:
                    return file.read(_NOTE_BYTES + 1)
            except FileNotFoundError:
                return None

    def recalled_at(self, place: str, key: str) -> float | None:
        """When a small file was last read from its store, in seconds since 1970; None when it never was.

        Raises:
            StoreUnavailableError: the cache cannot be read.
        """
        path = self.note_path(place, key)
        with files.storage_errors("read", path):
            try:
                return path.stat().st_mtime
            except FileNotFoundError:
                return None

    def note_path(self, place: str, key: str) -> Path:
        """Where a small file of a store is or would be."""
        return self._root / "seen" / hashlib.sha256(place.encode()).hexdigest()[:32] / check_key(key)

    def _written_to(self) -> Path:
        """The cache, or the spare folder where this user can write no blobs to it."""
        if self._aside is not None or self._spare is None:
            return self._aside or self._root
        inside = self._root / "tmp"
        try:
            files.make_folder(inside)
            reason = "" if os.access(inside, os.W_OK | os.X_OK) else os.strerror(errno.EACCES)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno in _UNWRITABLE else ""
        if reason:
            self._aside = self._spare(reason)
        return self._aside or self._root

    def _note_use(self, path: Path, *, modified: bool = False) -> None:
        """Sets the time of last use, which many disks do not keep by themselves."""
        try:
            times = path.stat()
            now = time.time_ns()
            os.utime(path, ns=(now, now if modified else times.st_mtime_ns))
        except OSError as error:  # a cache that may only be read, or another process evicted the file
            _log.debug("the time of use of %s is not noted: %s", path, error)

    def _make_room(self) -> None:
        """Deletes what killed fetches have left and, beyond the limit, the blobs used longest ago.

        A cache that cannot be tidied is no reason to withhold the blob that was just taken in, so this warns alone.
        """
        try:
            found = cached_files(self._root)
            now = time.time()
            for file in found:
                if file.kind == "rest" and file.path.parent == self._root / "tmp" and now - file.used > _ABANDONED_S:
                    file.path.unlink(missing_ok=True)
            if self._limit is None:
                return
            blobs = [file for file in found if file.kind == "blob"]
            too_much = sum(file.size for file in blobs) - self._limit
            for file in blobs:  # those used longest ago first
                if too_much <= 0 or now - file.used < _FRESH_S:
                    return
                file.path.unlink(missing_ok=True)
                too_much -= file.size
        except (OSError, RegistryError) as error:
            _log.warning("the cache %s is not tidied: %s", self._root, error)


def damage(file: CachedFile) -> str | None:
    """What is wrong with a blob of a cache, read whole; None when its bytes are those of its name.

    Args:
        file: a blob, as `cached_files` lists it.

    Returns:
        A few words; also None when the blob was removed meanwhile.
    """
    try:
        found, _ = files.digest(file.path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if found == file.path.name else f"has sha256 {found}"


def _blob_path(root: Path, ref: BlobRef) -> Path:
    return root / "sha256" / ref.sha256[:2] / ref.sha256


def _corrupt(ref: BlobRef, origin: str, found: str) -> BlobCorruptError:
    return BlobCorruptError(
        f"blob {ref.sha256} from {origin} has {found}", hint="try again; if it stays so, publish the release anew"
    )
