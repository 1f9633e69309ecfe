"""Small files of a store, kept in the cache as they are read, for when the store is out of reach."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.place import ZooPlace
from zoo_registry.errors import ManifestInvalidError, ObjectNotFoundError, ObjectTooLargeError, StoreUnavailableError
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
        if self._offline:
            return self._load_offline(key, parse, what)
        if trust_cache and (kept := self._recalled(key, what)) is not None:
            try:
                return parse(kept)
            except ManifestInvalidError as error:
                self._warn(f"{what} is damaged in the cache and is read again: {error}")
        try:
            data = self._store.get(key, max_bytes=max_bytes)
        except ObjectTooLargeError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error
        except StoreUnavailableError as error:
            kept = self._recalled(key, what)
            if kept is None:
                raise
            self._warn(f"{what} is taken from the cache{self._age(key)}, and may be out of date: {error}")
            return parse(kept)
        made = parse(data)
        if self._store.is_remote:
            self._keep(key, data)
        return made

    def load_or_none(
        self, key: str, parse: Callable[[bytes], _T], *, what: str, max_bytes: int, trust_cache: bool = False
    ) -> _T | None:
        """As `load`, of a file that need not be there: that it was not is kept, too, as a file without bytes.

        Args:
            key: the file.
            parse: makes something of its bytes, or raises; None of no bytes.
            what: what the file is, for the message.
            max_bytes: the most it may hold.
            trust_cache: as in `load`.

        Returns:
            None where it is not there, or it is not known.

        Raises:
            ManifestInvalidError: as `load` does.
            StoreUnavailableError: a folder cannot be read.
        """
        try:
            return self.load(key, parse, what=what, max_bytes=max_bytes, trust_cache=trust_cache)
        except ObjectNotFoundError:
            if self._store.is_remote:
                self._keep(key, b"")
            return None
        except StoreUnavailableError:
            if not self._store.is_remote:
                raise
            return None  # out of reach, and never asked before

    def _load_offline(self, key: str, parse: Callable[[bytes], _T], what: str) -> _T:
        data = self._cache.recall(self.place.to_recall(), key)
        if data is None:
            raise StoreUnavailableError(
                f"{what} is not in the cache, and this is offline", hint="load it once while online"
            )
        if parse_alias_key(key) is not None:  # a manifest never changes, but an alias may point elsewhere by now
            self._warn(f"offline: {what} is taken from the cache{self._age(key)}")
        return parse(data)

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

    def _keep(self, key: str, data: bytes) -> None:
        try:
            self._cache.remember(self.place.to_keep(), key, data)
        except StoreUnavailableError as error:
            # A cache that cannot be written, or is full, is no reason to withhold what was read.
            self._warn(f"'{key}' is not kept for offline use: {error}")
