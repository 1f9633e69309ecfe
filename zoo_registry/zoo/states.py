"""Signed states: of files that change, such as aliases and withdrawals, and are therefore counted.

A state is signed where there is a key, and taken where it is not older than one that was seen, its time is not over,
and its signature is as good as the reader asks for. Aliases were not signed by earlier versions: a reader that asks for
signatures takes unsigned states, too, until it has seen a signed one of the same file, or is told to take none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from zoo_registry.cache.latest import Latest, LatestSeen
from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import SignatureError, StaleError
from zoo_registry.format.alias import Move
from zoo_registry.format.signing import Signature, TrustedKeys
from zoo_registry.format.withdrawals import Withdrawals
from zoo_registry.zoo.signatures import Signatures


class State(Protocol):
    """What is counted and may be signed."""

    @property
    def number(self) -> int:
        """Which state it is."""
        ...

    @property
    def expires(self) -> str | None:
        """Until when it holds, in UTC."""
        ...

    @property
    def subject(self) -> object:
        """What it says that it is of."""
        ...

    @property
    def signature(self) -> Signature | None:
        """Its signature, if it has one."""
        ...

    @property
    def signed_bytes(self) -> bytes:
        """What that covers."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Which signatures of states are asked for."""

    trusted: TrustedKeys
    """Whose count."""
    signed_for: Sequence[str] = ()
    """Ids of the zoos for which they may be; default the zoo's own."""
    always: bool = False
    """Take nothing without; otherwise also what nobody signed, where this machine never saw it signed."""


class SignedStates:
    """Signs and checks the states of a zoo's files.

    Args:
        signatures: whose key signs.
        reader: says which zoo it is.
        latest: what this machine has seen.
    """

    def __init__(self, signatures: Signatures, reader: RememberingReader, latest: LatestSeen) -> None:
        self._signatures = signatures
        self._reader = reader
        self._latest = latest
        self._demand: Callable[[], Demand] | None = None

    def demand(self, load: Callable[[], Demand]) -> None:
        """From now on states that are followed must be signed.

        Args:
            load: says how; called when it is needed.
        """
        self._demand = load

    def sign_move(self) -> Callable[[Move], Move] | None:
        """Signs moves of this zoo's aliases; None where there is no key."""
        key = self._signatures.own_key()
        if key is None:
            return None
        zoo = self._reader.place.claim().id
        return lambda move: dataclasses.replace(move, signature=key.sign(move.signed_bytes, zoo))

    def sign_withdrawals(self, state: Withdrawals) -> Withdrawals:
        """Signs what is withdrawn of an entry, if there is a key."""
        key, bare = self._signatures.own_key(), dataclasses.replace(state, signature=None)
        if key is None:
            return bare
        return dataclasses.replace(bare, signature=key.sign(bare.signed_bytes, self._reader.place.claim().id))

    def seen(self, key: str) -> Latest:
        """What this machine has seen of a file; asked before it is read, and handed to `take`."""
        return self._latest.of(key)

    def would_sign(self, move: Move) -> bool:
        """Whether an alias as it stands lacks the signature that a move would have."""
        key = self._signatures.own_key()
        if key is None:
            return False
        made, zoo = move.signature, self._reader.place.claim().id
        return made is None or (made.key_id, made.zoo) != (key.public.key_id, zoo)

    def take(self, key: str, state: State | None, before: Latest, *, subject: object, what: str, renew: str) -> None:
        """Sees to it that a state may be followed.

        Args:
            key: the file.
            state: as it was read; None where it is not there.
            before: what was seen before it was read.
            subject: what it must be of, if it is signed.
            what: which file it is, for messages.
            renew: the command that makes a new state, for messages.

        Raises:
            StaleError: it is older than one that was seen here, or its time is over.
            SignatureError: it is not signed as it must be.
        """
        if not self._reader.is_offline:  # what is kept may be older than what was seen, and nobody put it there
            self._latest.check(key, 0 if state is None else state.number, before, what=what)
        if state is None:
            return
        if state.expires is not None and datetime.now(UTC) > datetime.fromisoformat(state.expires):
            raise StaleError(
                f"{what} was to be followed until {state.expires[:19]}Z and has not been renewed",
                hint=f"whoever owns it renews it: {renew}",
            )
        is_signed = False
        if self._demand is not None:
            demand = self._demand()
            must = demand.always or before.is_signed
            is_signed = self._is_signed(state, demand, subject=subject, must=must, what=what, renew=renew)
        self._latest.note(key, state.number, is_signed=is_signed)

    def _is_signed(self, state: State, demand: Demand, *, subject: object, must: bool, what: str, renew: str) -> bool:
        """Whether a trusted key has signed a state for this zoo; raises where it must have."""
        why = "it is not signed" if state.signature is None else self._why_not(state, state.signature, demand, subject)
        if not why:
            return True
        if must:
            before = "" if demand.always else ", and it was before"
            raise SignatureError(
                f"{what} is not signed by a key of '{demand.trusted.source}'{before}: {why}",
                hint=f"whoever owns it signs it: KDZOO_SIGNING_KEY=FILE {renew}",
            )
        return False

    def _why_not(self, state: State, signature: Signature, demand: Demand, subject: object) -> str:
        """Why a signature does not count; empty where it does."""
        key = next((one for one in demand.trusted.keys if one.key_id == signature.key_id), None)
        if key is None:
            return f"its signature is of key {signature.key_id}"
        zoo = self._reader.place.current()
        zoos = [*demand.signed_for] or ([] if zoo is None else [zoo.id])
        if signature.zoo not in zoos:
            return f"its signature is for zoo {signature.zoo}"
        if state.subject != subject or not key.has_signed(state.signed_bytes, signature):
            return "its signature is of something else"
        return ""
