"""Asks a store to prove its conditional writes before anything that matters is written to it.

Some servers take ``If-None-Match`` and ignore it, or let two writers win that come at the same moment; on such a store
one release would silently replace another.
"""

from __future__ import annotations

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor

from zoo_registry.errors import RegistryError, StoreRefusedError
from zoo_registry.format.layout import PROBE
from zoo_registry.store.protocol import Store

WRITERS = 4

_log = logging.getLogger(__name__)


def probe(store: Store) -> None:
    """Writes a few bytes under a random key in the ways that publishing will, and removes them.

    Args:
        store: the store to ask.

    Raises:
        StoreRefusedError: it lets two writers win, replaces what it should not, or denies the right to write.
        StoreUnavailableError: it cannot be reached or written.
    """
    key, absent = f"{PROBE}{uuid.uuid4().hex}", f"{PROBE}{uuid.uuid4().hex}"
    # Not within the block below: where nothing may be written, there is nothing to remove, nor the right to.
    with ThreadPoolExecutor(WRITERS) as pool:
        won = list(pool.map(lambda n: store.put_if_absent(key, b"probe %d" % n), range(WRITERS)))
    try:
        if sum(won) != 1:
            raise _broken(store, f"{sum(won)} of {WRITERS} writers created the same object")
        if store.compare_and_swap(absent, b"probe", "0" * 32):
            raise _broken(store, "an object that is not there was replaced")
        _, etag = store.read(key)
        if not store.compare_and_swap(key, b"probe, moved", etag):
            raise _broken(store, "an object that nobody else changed could not be replaced")
        if store.compare_and_swap(key, b"probe, moved twice", etag):
            raise _broken(store, "an object was replaced though it had changed")
    finally:
        for made in (key, absent):
            _remove(store, made)


def _remove(store: Store, key: str) -> None:
    try:
        store.delete(key)
    except RegistryError as error:
        # The right to delete is not needed to publish, and an error under way says more than this one.
        _log.warning("'%s' is left in %s: %s", key, store.uri, error)


def _broken(store: Store, what: str) -> StoreRefusedError:
    return StoreRefusedError(
        f"{store.uri} has no working conditional writes: {what}",
        hint="use a store that honours If-None-Match and If-Match, such as AWS S3, or a folder",
    )
