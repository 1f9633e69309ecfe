"""Small files of a store, kept in the cache as they are read, for when the store is out of reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from zoo_registry.cache import BlobCache
from zoo_registry.errors import ManifestInvalidError, ObjectTooLargeError, StoreUnavailableError
from zoo_registry.store import Store

_T = TypeVar("_T")


class RememberingReader:
    """Reads and parses; what parsed well is kept, and used again when a remote store cannot be reached.

    Args:
        store: where the files are.
        cache: where they are kept.
        offline: never reach the store, if it is remote.
        warn: called with a sentence when a kept file is used though the store was asked, or cannot be kept.
    """

    def __init__(self, store: Store, cache: BlobCache, *, offline: bool, warn: Callable[[str], None]) -> None:
        self._store = store
        self._cache = cache
        self._offline = offline and store.is_remote
        self._warn = warn

    def need_store(self, action: str) -> None:
        """Refuses what only the store itself can do.

        Raises:
            StoreUnavailableError: this is offline.
        """
        if self._offline:
            raise StoreUnavailableError(
                f"cannot {action}: {self._store.uri} takes a network, and this is offline", hint="switch offline off"
            )

    def load(self, key: str, parse: Callable[[bytes], _T], *, what: str, max_bytes: int) -> _T:
        """A file of the store, or what is kept of it, parsed.

        Args:
            key: the file.
            parse: makes something of its bytes, or raises.
            what: what the file is, for the message.
            max_bytes: the most it may hold.

        Raises:
            ObjectNotFoundError: the store has no such file.
            ManifestInvalidError: it holds more than ``max_bytes``.
            StoreUnavailableError: the store is out of reach, and the file was never kept.
        """
        if self._offline:
            return parse(self._kept(key, what))
        try:
            data = self._store.get(key, max_bytes=max_bytes)
        except ObjectTooLargeError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error
        except StoreUnavailableError as error:
            kept = self._cache.recall(self._store.uri, key) if self._store.is_remote else None
            if kept is None:
                raise
            self._warn(f"{what} is taken from the cache, and may be out of date: {error}")
            return parse(kept)
        made = parse(data)
        if self._store.is_remote:
            self._keep(key, data)
        return made

    def _kept(self, key: str, what: str) -> bytes:
        data = self._cache.recall(self._store.uri, key)
        if data is None:
            raise StoreUnavailableError(
                f"{what} is not in the cache, and this is offline", hint="load it once while online"
            )
        return data

    def _keep(self, key: str, data: bytes) -> None:
        try:
            self._cache.remember(self._store.uri, key, data)
        except StoreUnavailableError as error:
            # A cache that cannot be written, or is full, is no reason to withhold what was read.
            self._warn(f"'{key}' is not kept for offline use: {error}")
