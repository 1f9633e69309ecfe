"""Releases that nobody is to use any more: withdrawn by their owner, refused by whoever loads."""

from __future__ import annotations

import time
import uuid

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import (
    ConflictError,
    ManifestInvalidError,
    ObjectNotFoundError,
    ReleaseNotFoundError,
    StoreRefusedError,
    WithdrawnError,
)
from zoo_registry.format import records
from zoo_registry.format.layout import withdrawals_key
from zoo_registry.format.names import EntryName
from zoo_registry.format.withdrawals import MAX_BYTES, Withdrawals, Withdrawn
from zoo_registry.store.protocol import Store
from zoo_registry.zoo.person import this_person
from zoo_registry.zoo.states import SignedStates

_ATTEMPTS = 50
_ASKED_S = 24 * 3600.0
"""Seconds after which a release that is loaded by its number, and is in the cache, is asked about again."""


class WithdrawnReleases:
    """What is withdrawn in a zoo.

    Args:
        store: where the zoo is.
        reader: reads and remembers small files.
        cache: where they are kept.
        states: signs and checks.
    """

    def __init__(self, store: Store, reader: RememberingReader, cache: BlobCache, states: SignedStates) -> None:
        self._store = store
        self._reader = reader
        self._cache = cache
        self._states = states

    def of(self, entry: EntryName, *, trust_cache: bool = False) -> dict[int, Withdrawn]:
        """The withdrawn releases of an entry, by number.

        Args:
            entry: whose.
            trust_cache: of a remote store, go by what was asked within a day.

        Raises:
            StaleError: it is older than what was seen here.
            SignatureError: it is not signed as it must be.
            ManifestInvalidError: it is damaged.
            StoreUnavailableError: a folder cannot be read.
        """
        key, what = withdrawals_key(entry), f"what is withdrawn of {entry}"

        def parse(data: bytes) -> Withdrawals | None:
            if not data:
                return None  # what is kept of a file that was not there
            found = Withdrawals.parse(data, what=what)
            if found.entry != entry:
                raise ManifestInvalidError(f"{what} says it is of {found.entry}")
            return found

        before = self._states.seen(key)
        try:
            is_fresh = trust_cache and self._was_asked(key)
            found = self._reader.load_or_none(key, parse, what=what, max_bytes=MAX_BYTES, trust_cache=is_fresh)
        except StoreRefusedError:
            return {}  # a server that tells those who may not list that they may not read what is not there
        renew = f"kdzoo zoo yank {entry} RELEASE"
        self._states.take(key, found, before, subject=str(entry), what=what, renew=renew)
        return {} if found is None else dict(found.releases)

    def check(self, entry: EntryName, release: int, *, trust_cache: bool = False) -> None:
        """Refuses a release that is withdrawn.

        Args:
            entry: whose.
            release: its number.
            trust_cache: as in `of`.

        Raises:
            WithdrawnError: it is.
            RegistryError: as `of` does.
        """
        found = self.of(entry, trust_cache=trust_cache).get(release)
        if found is not None:
            raise WithdrawnError(f"{entry} release {release} {told(found)}", hint=f"kdzoo zoo show {entry}")

    def change(
        self, entry: EntryName, release: int, *, withdraw: bool = True, who: str | None = None, why: str = ""
    ) -> Withdrawals | None:
        """Withdraws a release, or takes that back.

        Args:
            entry: whose.
            release: its number; that it exists is the caller's to know.
            withdraw: False to take it back.
            who: who does so; default this process's ``user@host``.
            why: in their words, one line.

        Returns:
            What is withdrawn now; None when nothing changed.

        Raises:
            ReleaseNotFoundError: it is to be taken back and is not withdrawn.
            ManifestInvalidError: what stands there is damaged, or ``who`` or ``why`` cannot be written.
            ConflictError: others changed it every time.
        """
        self._reader.need_store(f"withdraw a release of {entry}")
        key, what = withdrawals_key(entry), f"what is withdrawn of {entry}"
        self._reader.place.claim()
        for attempt in range(_ATTEMPTS):
            try:
                data, etag = self._store.read(key, max_bytes=MAX_BYTES)
                now = Withdrawals.parse(data, what=what)
                releases, number = dict(now.releases), now.number
            except ObjectNotFoundError:
                etag, releases, number = None, {}, 0
            if withdraw == (release in releases):
                if withdraw:
                    return None
                raise ReleaseNotFoundError(f"{entry} release {release} is not withdrawn")
            if withdraw:
                by = this_person() if who is None else who
                releases[release] = Withdrawn(since=records.now(), who=by, why=why)
            else:
                del releases[release]
            made = self._states.sign_withdrawals(
                Withdrawals(
                    entry=entry,
                    number=number + 1,
                    updated=records.now(),
                    write_id=uuid.uuid4().hex,
                    releases=releases,
                )
            )
            if self._store.compare_and_swap(key, made.to_bytes(), etag):
                return made
            time.sleep(min(0.5, 0.01 * 2**attempt))
        raise ConflictError(f"{what} is being changed by others all the time", hint="try again")

    def _was_asked(self, key: str) -> bool:
        seen = self._cache.recalled_at(self._reader.place.to_recall(), key)
        return seen is not None and 0 <= time.time() - seen < _ASKED_S


def told(withdrawn: Withdrawn) -> str:
    """A withdrawal as words that follow a release's name."""
    by = f" by {withdrawn.who}" if withdrawn.who else ""
    return f"was withdrawn{by} on {withdrawn.since[:10]}" + (f": {withdrawn.why}" if withdrawn.why else "")
