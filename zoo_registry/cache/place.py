"""Which zoo it is that small files are kept of: another zoo's are never taken for its own, whatever the addresses."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.errors import ManifestInvalidError, StoreRefusedError, StoreUnavailableError
from zoo_registry.format.identity import Identity
from zoo_registry.format.layout import IDENTITY
from zoo_registry.store.identity import claim_identity, read_identity
from zoo_registry.store.protocol import Store

_log = logging.getLogger(__name__)
WHILE_S = 24 * 3600.0
"""Seconds for which a zoo at an address and a server is taken for the one that was there."""


class ZooPlace:
    """The zoo at an address, by its id. A zoo that has none goes by its address and the server that it is asked of.

    Of a zoo that is reached over a network the id is kept in the cache, by address and server, so that it is neither
    asked for at each load nor needed from a server that is out of reach.

    Args:
        store: where the zoo is.
        cache: where its id is kept.
        offline: never reach the store, if it is remote.
        warn: called with a sentence when another zoo lies there than did.
    """

    def __init__(self, store: Store, cache: BlobCache, *, offline: bool, warn: Callable[[str], None]) -> None:
        self._store, self._cache, self._warn = store, cache, warn
        self._offline = offline and store.is_remote
        self._lock = threading.Lock()
        self._asked = False
        self._found: Identity | None = None
        self.before: Identity | None = None
        """Which zoo lay there when it was first read, if by now another does; None where it is the same."""

    @property
    def bare(self) -> str:
        """Address and server, by which a zoo goes that has no id."""
        return _bare(self._store)

    def current(self) -> Identity | None:
        """Which zoo lies there; asks the store once a day at most. None for one that has no id, or does not show it.

        Raises:
            ManifestInvalidError: what says so is damaged.
            StoreUnavailableError: a folder cannot be read.
        """
        with self._lock:
            if self._asked:
                return self._found
            kept = self._kept()
            if self._offline or (kept is not None and self._is_fresh()):
                return kept
            try:
                found = read_identity(self._store)
            except StoreRefusedError:
                return kept  # whoever may not read it, or not learn that it is not there, goes by what is known
            except StoreUnavailableError:
                if not self._store.is_remote:
                    raise
                return kept
            return self._take(found, kept)

    def claim(self) -> Identity:
        """Which zoo lies there; one without an id gets it. Asked of the store itself: for those about to write.

        Raises:
            RegistryError: as `claim_identity` does.
        """
        with self._lock:
            if self._asked and self._found is not None:
                return self._found
            found = claim_identity(self._store)
            self._take(found, self._kept())
            return found

    def to_recall(self) -> str:
        """Under what the cache keeps the zoo's files, by what is known without asking."""
        return self._name(self._found if self._asked else self._kept())

    def to_keep(self) -> str:
        """Under what the cache keeps the zoo's files, by what the store says."""
        return self._name(self.current())

    def _name(self, identity: Identity | None) -> str:
        # Beside the id address and server: copies made file by file share the id, and go their own ways from then on.
        return self.bare if identity is None else f"{self.bare} {identity.id}"

    def _take(self, found: Identity | None, kept: Identity | None) -> Identity | None:
        if kept is not None and kept != found:
            self.before = kept
            now = "one without an id" if found is None else found.id
            self._warn(
                f"another zoo lies at {self._store.uri} ({self._store.server}) than before: {now}, and it was "
                f"{kept.id}; nothing that was kept of that one is used. If this is meant, remove "
                f"{self._cache.note_path(self.bare, IDENTITY)}"
            )
        elif found is not None and self._store.is_remote:
            try:
                self._cache.remember(self.bare, IDENTITY, found.to_bytes())
            except StoreUnavailableError as error:
                # What is read of the zoo is not kept then either, and that is warned of.
                _log.debug("which zoo lies at %s is not kept: %s", self._store.uri, error)
        self._asked, self._found = True, found
        return found

    def _kept(self) -> Identity | None:
        return kept_identity(self._store, self._cache)

    def _is_fresh(self) -> bool:
        seen = self._cache.recalled_at(self.bare, IDENTITY)
        return seen is not None and 0 <= time.time() - seen < WHILE_S


def kept_identity(store: Store, cache: BlobCache) -> Identity | None:
    """Which zoo lay at an address and a server when it was last read; None for a folder, or where that is not known.

    A cache that cannot be read, or is damaged, is as good as empty.
    """
    if not store.is_remote:
        return None
    try:
        data = cache.recall(_bare(store), IDENTITY)
        return None if data is None else Identity.parse(data)
    except (ManifestInvalidError, StoreUnavailableError):
        return None


def _bare(store: Store) -> str:
    return f"{store.uri} {store.server}"
