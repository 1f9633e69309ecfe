"""Releases that nobody is to use any more: withdrawn by their owner, refused by whoever loads.

Who may write to a zoo can put an older file back, or remove it, or take a withdrawal back that is not theirs. So what
was withdrawn when this machine last looked stays so, unless a later state says otherwise, which must be signed where
signatures are asked for. To withdraw is always heeded: it is the safe side, and whoever may write could as well delete
the release.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.cache.zoo_notes import ZooNotes
from zoo_registry.errors import (
    ConflictError,
    ManifestInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    ReleaseNotFoundError,
    StoreRefusedError,
    StoreUnavailableError,
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
_TRIED_S = 600.0
"""Likewise, where the store was out of reach."""
_NONE = b""
"""What is kept of a file that is not there; no file of a zoo is empty."""


class WithdrawnReleases:
    """What is withdrawn in a zoo.

    Args:
        store: where the zoo is.
        reader: says which zoo it is, and whether it may be asked.
        notes: where what was read is kept.
        states: signs and checks.
        warn: called with a sentence where what is read is not believed.
    """

    def __init__(
        self,
        store: Store,
        reader: RememberingReader,
        notes: ZooNotes,
        states: SignedStates,
        *,
        warn: Callable[[str], None],
    ) -> None:
        self._store = store
        self._reader = reader
        self._notes = notes
        self._states = states
        self._warn = warn

    def of(self, entry: EntryName, *, trust_cache: bool = False) -> dict[int, Withdrawn]:
        """The withdrawn releases of an entry, by number.

        Args:
            entry: whose.
            trust_cache: of a remote store, go by what was asked within a day.

        Raises:
            ManifestInvalidError: what says so is damaged.
            StoreUnavailableError: a folder cannot be read.
        """
        key = withdrawals_key(entry)
        kept = self._kept(entry)
        if self._reader.is_offline or (trust_cache and self._was_asked(key)):
            return _releases(kept)
        try:
            data = self._store.get(key, max_bytes=MAX_BYTES)
        except ObjectNotFoundError:
            return self._without(entry, kept)
        except ObjectTooLargeError as error:
            raise ManifestInvalidError(f"what is withdrawn of {entry} is not valid: {error}") from error
        except StoreRefusedError:
            return _releases(kept)  # some servers tell those who may not list that they may not read what is not there
        except StoreUnavailableError:
            if not self._store.is_remote:
                raise
            self._keep(f"tried/{key}", _NONE)
            return _releases(kept)
        return self._believed(entry, _parse(data, entry), kept, data)

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
            raise WithdrawnError(
                f"{entry} release {release} {told(found)}", hint=f"kdzoo zoo show {entry} --release {release}"
            )

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
        key = withdrawals_key(entry)
        self._reader.place.claim()
        for attempt in range(_ATTEMPTS):
            now, etag, releases, last = self._present(entry)
            if withdraw and now is not None and release in now.releases and not self._states.would_sign(now):
                return None
            if not withdraw and release not in releases:
                raise ReleaseNotFoundError(f"{entry} release {release} is not withdrawn")
            if not withdraw:
                del releases[release]
            elif release not in releases:
                by = this_person() if who is None else who
                releases[release] = Withdrawn(since=records.now(), who=by, why=why)
            made = self._states.sign_withdrawals(next_state(entry, last, releases))
            if self._store.compare_and_swap(key, made.to_bytes(), etag):
                self._keep(key, made.to_bytes())
                return made
            time.sleep(min(0.5, 0.01 * 2**attempt))
        raise ConflictError(f"what is withdrawn of {entry} is being changed by others all the time", hint="try again")

    def _present(self, entry: EntryName) -> tuple[Withdrawals | None, str | None, dict[int, Withdrawn], int]:
        """What stands there, its etag, what is to be built on, and the last number that is known.

        Whoever signs what is withdrawn signs nothing that somebody else took away.
        """
        kept = self._kept(entry)
        try:
            data, etag = self._store.read(withdrawals_key(entry), max_bytes=MAX_BYTES)
        except ObjectNotFoundError:
            return None, None, self._without(entry, kept), 0 if kept is None else kept.number
        now = _parse(data, entry)
        last = max(now.number, 0 if kept is None else kept.number)
        return now, etag, self._believed(entry, now, kept, data), last

    def _without(self, entry: EntryName, kept: Withdrawals | None) -> dict[int, Withdrawn]:
        if kept is None and self._store.is_remote:
            self._keep(withdrawals_key(entry), _NONE)
        elif kept is not None:
            self._warn(f"what was withdrawn of {entry} is no longer told of by {self._store.uri}, and stays withdrawn")
        return _releases(kept)

    def _believed(
        self, entry: EntryName, found: Withdrawals, kept: Withdrawals | None, data: bytes
    ) -> dict[int, Withdrawn]:
        """What counts of a state, beside the one that counted before."""
        is_trusted = self._states.is_trusted(found)
        if kept is None or found == kept:
            is_later = True
        elif is_trusted and not self._states.is_trusted(kept):
            is_later = True  # whatever number a stranger has counted up to
        else:
            is_later = found.number > kept.number
        lost = _releases(kept).keys() - found.releases.keys()
        if is_later and (is_trusted or not lost):
            self._keep(withdrawals_key(entry), data)
            return dict(found.releases)
        if lost:
            why = "an older state was put back" if not is_later else "who took that back has not signed it"
            numbers = ", ".join(map(str, sorted(lost)))
            self._warn(f"release {numbers} of {entry} was withdrawn and stays so for this machine: {why}")
        return _releases(kept) | dict(found.releases)

    def _kept(self, entry: EntryName) -> Withdrawals | None:
        try:
            data = self._notes.recall(withdrawals_key(entry))  # raises where it cannot be told which zoo this is
        except StoreUnavailableError as error:
            self._warn(f"what was withdrawn of {entry} when it was last read is not known: {error}")
            return None
        try:
            return _parse(data, entry) if data else None
        except ManifestInvalidError as error:
            self._warn(f"what was withdrawn of {entry} when it was last read is damaged, and not known: {error}")
            return None

    def _keep(self, key: str, data: bytes) -> None:
        try:
            self._notes.keep(key, data)
        except StoreUnavailableError as error:
            self._warn(f"'{key}' is not kept: {error}")

    def _was_asked(self, key: str) -> bool:
        if not self._store.is_remote:
            return False
        return self._notes.is_within(key, _ASKED_S) or self._notes.is_within(f"tried/{key}", _TRIED_S)


def next_state(entry: EntryName, last: int, releases: dict[int, Withdrawn]) -> Withdrawals:
    """The state after one.

    Its number is the time, so that it is later than any that was lost or put back, and one more where a clock is slow.

    Args:
        entry: whose.
        last: the last number that is known; 0 where none is.
        releases: what is withdrawn.
    """
    number = max(int(time.time()), last + 1)
    return Withdrawals(entry=entry, number=number, updated=records.now(), write_id=uuid.uuid4().hex, releases=releases)


def told(withdrawn: Withdrawn) -> str:
    """A withdrawal as words that follow a release's name."""
    by = f" by {withdrawn.who}" if withdrawn.who else ""
    return f"was withdrawn{by} on {withdrawn.since[:10]}" + (f": {withdrawn.why}" if withdrawn.why else "")


def _parse(data: bytes, entry: EntryName) -> Withdrawals:
    what = f"what is withdrawn of {entry}"
    found = Withdrawals.parse(data, what=what)
    if found.entry != entry:
        raise ManifestInvalidError(f"{what} says it is of {found.entry}")
    return found


def _releases(state: Withdrawals | None) -> dict[int, Withdrawn]:
    return {} if state is None else dict(state.releases)
