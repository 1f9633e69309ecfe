"""What this machine keeps in mind of a zoo, whether that is reached over a network or lies in a folder.

Beside the address it says of which zoo it is: of another one that lies there by now nothing is remembered. One that has
no id, or has it no more, is taken for the same: else whoever removes a file could have all be forgotten.
"""

from __future__ import annotations

import time
from pathlib import Path

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.place import ZooPlace


class ZooNotes:
    """Notes of a zoo, by the key of the file that they are about.

    Args:
        place: which zoo it is.
        cache: where they are.
        kind: what they are; kinds do not meet.
    """

    def __init__(self, place: ZooPlace, cache: BlobCache, kind: str) -> None:
        self._place = place
        self._cache = cache
        self._kind = kind

    def recall(self, key: str) -> bytes | None:
        """What was noted; None where nothing was, of this zoo.

        Raises:
            StoreUnavailableError: the cache cannot be read.
            ManifestInvalidError: what says which zoo this is is damaged.
        """
        found = self._cache.recall(self._place.bare, self._name(key))
        if found is None:
            return None
        zoo, _, data = found.partition(b"\n")
        now = self._place.current()
        return None if zoo and now is not None and now.id.encode() != zoo else data

    def keep(self, key: str, data: bytes) -> None:
        """Notes something.

        Raises:
            StoreUnavailableError: the cache cannot be written.
            ManifestInvalidError: what says which zoo this is is damaged.
        """
        zoo = self._place.current()
        self._cache.remember(self._place.bare, self._name(key), f"{'' if zoo is None else zoo.id}\n".encode() + data)

    def is_within(self, key: str, seconds: float) -> bool:
        """Whether something was noted so lately."""
        seen = self._cache.recalled_at(self._place.bare, self._name(key))
        return seen is not None and 0 <= time.time() - seen < seconds

    def path(self, key: str) -> Path:
        """The file, for messages."""
        return self._cache.note_path(self._place.bare, self._name(key))

    def _name(self, key: str) -> str:
        return f"{self._kind}/{key}"
