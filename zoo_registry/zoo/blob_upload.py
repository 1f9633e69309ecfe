"""Blobs into a store: sent once, mended when damaged, and looked at again when something refers to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from zoo_registry.errors import BlobCorruptError, ObjectNotFoundError
from zoo_registry.format import layout
from zoo_registry.format.manifest import BlobRef
from zoo_registry.store.files import Progress
from zoo_registry.store.protocol import Store

_WAITS = (0.02, 0.1, 0.5, 1.0)


class BlobSender:
    """Sends blobs to a store.

    Whoever writes a file that refers to blobs sends them first with `send`, writes the file, and then calls
    `keep` with the same blobs. A `kdzoo zoo gc` that runs at the same moment may have taken away a blob that was there
    and that nothing referred to: it takes blobs away first and looks for references then, and this looks for the blobs
    once its reference is written, so that one of the two sees what the other did (see `zoo_registry.upkeep.gc`).

    Args:
        store: where to.
        warn: called with a sentence when damaged bytes are replaced.
    """

    def __init__(self, store: Store, *, warn: Callable[[str], None]) -> None:
        self._store = store
        self._warn = warn
        self._verified: set[str] = set()

    def send(self, ref: BlobRef, path: Path, progress: Progress | None = None) -> bool:
        """Sends a blob unless the store has it whole; whether it was sent.

        What the store has is read once and compared: a release must not name a blob that cannot be loaded. A damaged
        one is replaced by the right bytes, which mends every release that names it.

        Args:
            ref: the blob.
            path: the file that holds it.
            progress: called with bytes as they are sent or found to be there; they add up to the blob's size.

        Raises:
            BlobCorruptError: the file does not hold the blob.
            StoreUnavailableError: the file or the store cannot be read or written.
            StoreRefusedError: the store denies the right.
            PublishStateUnknownError: the store did not say whether it was written.
        """
        key = layout.blob_key(ref.sha256)
        if self._store.put_if_absent(key, path, sha256=ref.sha256, progress=progress):
            self._verified.add(ref.sha256)  # its bytes were compared on their way
            return True
        if ref.sha256 not in self._verified:
            if not self._is_whole(key, ref):
                self._warn(f"{self._store.uri} holds damaged bytes under '{key}'; they are replaced")
                self._store.delete(key)
                self._store.put_if_absent(key, path, sha256=ref.sha256, progress=progress)
                return True
            self._verified.add(ref.sha256)
        if progress is not None:
            progress(ref.size)
        return False

    def keep(self, blobs: Mapping[BlobRef, Path]) -> None:
        """Sees to it that blobs are there, now that something refers to them; sends what is not.

        Args:
            blobs: each with the file that holds it.

        Raises:
            BlobCorruptError: the store does not keep what it is sent.
            RegistryError: as `send` does.
        """
        for ref in self.missing(blobs):
            for wait in _WAITS:
                self.send(ref, blobs[ref])
                if not self.missing([ref]):
                    break
                # A gc may hold it in the trash while it looks for references; it brings a blob back that has one.
                time.sleep(wait)
            else:
                raise BlobCorruptError(
                    f"{self._store.uri} took blob {ref.sha256} and does not have it",
                    hint=f"look at it with: kdzoo zoo fsck --deep --zoo {self._store.uri}",
                )

    def missing(self, refs: Iterable[BlobRef]) -> list[BlobRef]:
        """Those that are not there, or in another size; for who has to fetch them first. `keep` asks the same.

        Raises:
            RegistryError: the store cannot be read.
        """
        found = [ref for ref in refs if not self._has(ref)]
        # What was compared before they went missing says nothing of what somebody else sends in their place.
        self._verified.difference_update(ref.sha256 for ref in found)
        return found

    def _has(self, ref: BlobRef) -> bool:
        try:
            return self._store.stat(layout.blob_key(ref.sha256)).size == ref.size
        except ObjectNotFoundError:
            return False

    def _is_whole(self, key: str, ref: BlobRef) -> bool:
        """Whether the store's bytes are those of the digest."""
        try:
            return self._store.stat(key).size == ref.size and self._store.digest(key) == (ref.sha256, ref.size)
        except ObjectNotFoundError:
            return False  # taken away since
