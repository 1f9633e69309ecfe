"""Small files of a store, kept in the cache as they are read, for when the store is out of reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.place import ZooPlace
from zoo_registry.errors import ManifestInvalidError, ObjectTooLargeError, StoreUnavailableError
from zoo_registry.format.layout import parse_alias_key
from zoo_registry.store.protocol import Store

_T = TypeVar("_T")


class RememberingReader:
    """Reads and parses; what parsed well is kept, and used again when a remote store cannot be reached.

    Args:
        store: where the files are.
        cache: where they are kept.
        offline: never reach the store, if it is remote.
        warn: called with a sentence when a kept file is used that the store may have changed since, or a file cannot
            be kept.
    """

    def __init__(self, store: Store, cache: BlobCache, *, offline: bool, warn: Callable[[str], None]) -> None:
        self._store = store
        self._cache = cache
        self.place = ZooPlace(store, cache, offline=offline, warn=warn)
        """Which zoo it is."""
        self._offline = offline and store.is_remote
        self._warn = warn

    @property
    def is_offline(self) -> bool:
        """Whether nothing but what is kept is read."""
        return self._offline

    def need_store(self, action: str) -> None:
        """Refuses what only the store itself can do.

        Raises:
            StoreUnavailableError: this is offline.
        """
        if self._offline:
            raise StoreUnavailableError(
                f"cannot {action}: {self._store.uri} takes a network, and this is offline", hint="switch offline off"
            )

    def load(
        self, key: str, parse: Callable[[bytes], _T], *, what: str, max_bytes: int, trust_cache: bool = False
    ) -> _T:
        """A file of the store, or what is kept of it, parsed.

        Args:
            key: the file.
            parse: makes something of its bytes, or raises.
            what: what the file is, for the message.
            max_bytes: the most it may hold.
            trust_cache: of a remote store, take what is kept without asking; for files that never change.

        Raises:
            ObjectNotFoundError: the store has no such file.
            ManifestInvalidError: it holds more than ``max_bytes``; or what says which zoo this is is damaged.
            StoreUnavailableError: the store is out of reach, and the file was never kept.
        """
        if trust_cache and not self._offline and (kept := self._recalled(key, what)) is not None:
            try:
                return parse(kept)
            except ManifestInvalidError as error:
                self._warn(f"{what} is damaged in the cache and is read again: {error}")
        data, is_kept = self.fetch(key, what=what, max_bytes=max_bytes)
        made = parse(data)
        if not is_kept:
            self.keep(key, data)
        return made

    def fetch(self, key: str, *, what: str, max_bytes: int) -> tuple[bytes, bool]:
        """A file of the store, and False; or what is kept of it, and True. It is not kept by this.

        Raises:
            As `load`.
        """
        if self._offline:
            return self._fetch_offline(key, what), True
        try:
            return self._store.get(key, max_bytes=max_bytes), False
        except ObjectTooLargeError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error
        except StoreUnavailableError as error:
            kept = self._recalled(key, what)
            if kept is None:
                raise
            self._warn(f"{what} is taken from the cache{self._age(key)}, and may be out of date: {error}")
            return kept, True

    def keep(self, key: str, data: bytes) -> None:
        """Keeps a file of a remote store; a cache that cannot be written, or is full, withholds nothing."""
        if not self._store.is_remote:
            return
        try:
            self._cache.remember(self.place.to_keep(), key, data)
        except StoreUnavailableError as error:
            self._warn(f"'{key}' is not kept for offline use: {error}")

    def _fetch_offline(self, key: str, what: str) -> bytes:
        data = self._cache.recall(self.place.to_recall(), key)
        if data is None:
            raise StoreUnavailableError(
                f"{what} is not in the cache, and this is offline", hint="load it once while online"
            )
        if parse_alias_key(key) is not None:  # a manifest never changes, but an alias may point elsewhere by now
            self._warn(f"offline: {what} is taken from the cache{self._age(key)}")
        return data

    def _recalled(self, key: str, what: str) -> bytes | None:
        """What is kept of a remote store's file; a cache that cannot be read is as good as empty."""
        if not self._store.is_remote:
            return None
        try:
            return self._cache.recall(self.place.to_recall(), key)
        except StoreUnavailableError as error:
            self._warn(f"{what} is not taken from the cache: {error}")
            return None

    def _age(self, key: str) -> str:
        """When a kept file was last read from the store, as words that follow others."""
        seen = self._cache.recalled_at(self.place.to_recall(), key)
        if seen is None:
            return ""
        return f", as it was on {datetime.fromtimestamp(seen, UTC).strftime('%Y-%m-%d %H:%M')} UTC"
