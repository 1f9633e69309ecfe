"""Blobs on the local disk, by their digest: checked on the way in, shared by many processes, never half written."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from zoo_registry import files
from zoo_registry.errors import BlobCorruptError, ObjectTooLargeError
from zoo_registry.manifest import BlobRef

_log = logging.getLogger(__name__)
_NOTE_BYTES = 8 * 1024 * 1024


class BlobCache:
    """A folder of blobs, ``<root>/sha256/ab/abcdef...``, and of the small files last read from each store.

    A blob is filled into a file of its own, checked, and renamed to its place. No lock is needed: two processes that
    fill the same blob both bring the same bytes, and the later rename changes nothing.

    Args:
        root: the folder; the first write makes it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()

    def path(self, ref: BlobRef) -> Path:
        """Where the blob is or would be."""
        return self._root / "sha256" / ref.sha256[:2] / ref.sha256

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
        path = self.path(ref)
        with files.storage_errors("read", path):
            try:
                found = files.digest(path) if verify else (ref.sha256, path.stat().st_size)
            except FileNotFoundError:
                return None
        if found == (ref.sha256, ref.size):
            return path
        _log.warning("%s is damaged and is fetched again", path)
        return None

    def add(self, ref: BlobRef, fill: Callable[[Path], None], *, origin: str) -> Path:
        """Takes a blob in, once it is checked.

        Args:
            ref: what it must be.
            fill: writes the blob to the path it is given, which does not exist yet.
            origin: where the bytes come from, for the message.

        Returns:
            The blob's file.

        Raises:
            BlobCorruptError: ``fill`` wrote other bytes; nothing was taken in.
            StoreUnavailableError: the cache cannot be written.
        """
        path = self.path(ref)
        with files.storage_errors("write", path), files.temporary(self._root / "tmp") as made:
            try:
                fill(made)
            except ObjectTooLargeError as error:
                raise _corrupt(ref, origin, f"more than {ref.size} bytes") from error
            sha256, size = files.digest(made)
            if size != ref.size:
                raise _corrupt(ref, origin, f"{size} bytes instead of {ref.size}")
            if sha256 != ref.sha256:
                raise _corrupt(ref, origin, f"sha256 {sha256}")
            files.sync_file(made)
            files.make_folder(path.parent)
            made.replace(path)
            files.sync_folder(path.parent)
        return path

    def remember(self, uri: str, key: str, data: bytes) -> None:
        """Keeps a small file of a store, for when the store cannot be reached.

        Raises:
            StoreUnavailableError: the cache cannot be written.
        """
        path = self._note(uri, key)
        with files.storage_errors("write", path):
            if path.is_file() and path.read_bytes() == data:
                return
            with files.temporary(self._root / "tmp") as made:
                files.write_synced(made, data)
                files.make_folder(path.parent)
                made.replace(path)

    def recall(self, uri: str, key: str) -> bytes | None:
        """A small file of a store as it was last kept; None when it never was.

        Raises:
            StoreUnavailableError: the file cannot be read.
        """
        path = self._note(uri, key)
        with files.storage_errors("read", path):
            try:
                with files.open_regular(path) as file:
                    return file.read(_NOTE_BYTES + 1)
            except FileNotFoundError:
                return None

    def _note(self, uri: str, key: str) -> Path:
        return self._root / "seen" / hashlib.sha256(uri.encode()).hexdigest()[:32] / key


def _corrupt(ref: BlobRef, origin: str, found: str) -> BlobCorruptError:
    return BlobCorruptError(
        f"blob {ref.sha256} from {origin} has {found}", hint="try again; if it stays so, publish the release anew"
    )
