"""Signed states: of files that change, such as aliases and what is withdrawn.

A state is signed where there is a key. An alias is followed where its state is not older than one that was followed
here, its time is not over, and its signature is as good as the reader asks for. Aliases were not signed by earlier
versions: a reader that asks for signatures follows unsigned states, too, until it has followed a signed one of the same
alias, or is told to follow none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo_registry.cache.latest import Latest, LatestSeen
from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import SignatureError, StaleError
from zoo_registry.format.alias import Move
from zoo_registry.format.layout import alias_key
from zoo_registry.format.names import EntryName
from zoo_registry.format.signing import Signature, TrustedKeys
from zoo_registry.format.withdrawals import Withdrawals
from zoo_registry.zoo.signatures import Signatures


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """Which signatures of states are asked for."""

    trusted: TrustedKeys
    """Whose count."""
    signed_for: Sequence[str] = ()
    """Ids of the zoos for which they may be; default the zoo's own."""
    always: bool = False
    """Follow no alias without; otherwise also one that nobody signed, if this machine never followed it signed."""


class SignedStates:
    """Signs and checks the states of a zoo's files.

    Args:
        signatures: whose key signs.
        reader: says which zoo it is.
        latest: what this machine has followed.
    """

    def __init__(self, signatures: Signatures, reader: RememberingReader, latest: LatestSeen) -> None:
        self._signatures = signatures
        self._reader = reader
        self._latest = latest
        self._demand: Callable[[], Demand] | None = None

    def demand(self, load: Callable[[], Demand]) -> None:
        """From now on aliases that are followed must be signed, and withdrawals taken back by a signed state alone.

        Args:
            load: says how; called when it is needed.
        """
        self._demand = load

    @property
    def is_demanded(self) -> bool:
        """Whether signatures are asked for."""
        return self._demand is not None

    def sign_move(self) -> Callable[[Move], Move] | None:
        """Signs moves of this zoo's aliases; None where there is no key."""
        key = self._signatures.own_key()
        if key is None:
            return None
        zoo = self._reader.place.claim().id
        return lambda move: dataclasses.replace(move, signature=key.sign(move.signed_bytes, zoo))

    @property
    def would_sign_moves(self) -> bool:
        """Whether there is a key that signs."""
        return self._signatures.own_key() is not None

    def sign_withdrawals(self, state: Withdrawals) -> Withdrawals:
        """Signs what is withdrawn of an entry, if there is a key."""
        key, bare = self._signatures.own_key(), dataclasses.replace(state, signature=None)
        if key is None:
            return bare
        return dataclasses.replace(bare, signature=key.sign(bare.signed_bytes, self._reader.place.claim().id))

    def would_sign(self, state: Move | Withdrawals) -> bool:
        """Whether a state as it stands lacks the signature that a new one would have."""
        key = self._signatures.own_key()
        if key is None:
            return False
        made, zoo = state.signature, self._reader.place.claim().id
        return made is None or (made.key_id, made.zoo) != (key.public.key_id, zoo)

    def seen(self, entry: EntryName, alias: str) -> Latest:
        """What this machine has followed of an alias; asked before it is read, and handed to `take`."""
        return self._latest.of(alias_key(entry, alias))

    def take(
        self, entry: EntryName, alias: str, move: Move, before: Latest, *, is_kept: bool = False, expires: bool = True
    ) -> None:
        """Sees to it that an alias may be followed, and keeps in mind that it was.

        Args:
            entry: whose.
            alias: which.
            move: its state as it was read.
            before: what was seen when the read began: another process may have seen a later one since.
            is_kept: it is what was followed before, out of the cache: the store was not asked.
            expires: refuse a state whose time is over.

        Raises:
            StaleError: it is older than one that was followed here, or its time is over.
            SignatureError: it is not signed as it must be, or another zoo lies here than did.
        """
        what, key = f"alias {alias} of {entry}", alias_key(entry, alias)
        again = f"kdzoo zoo alias {entry} {alias} {move.release or 'RELEASE'}"
        is_signed = False
        if self._demand is not None:
            demand = self._demand()
            why = self._why_not(move, demand, (str(entry), alias))
            is_signed = not why
            self._check_signed(why, demand, before, what=what, again=again)
        if not is_kept:
            self._check_age(move, before, is_signed=is_signed, what=what, key=key)
        if expires and move.is_over:
            raise StaleError(
                f"{what} was to be followed until {move.expires} and has not been renewed",
                hint=f"whoever owns it renews it: {again} --expires 30d",
            )
        if not is_kept:
            self._latest.note(key, move.number, move.write_id, is_signed=is_signed)

    def is_trusted(self, state: Withdrawals) -> bool:
        """Whether a state is signed as the demand asks; also where nothing is asked for."""
        return self._demand is None or not self._why_not(state, self._demand(), str(state.entry))

    def _check_signed(self, why: str, demand: Demand, before: Latest, *, what: str, again: str) -> None:
        former = self._reader.place.before
        if former is not None and not demand.signed_for:
            raise SignatureError(
                f"{what} is not followed: another zoo lies here than before, when it was {former.id}",
                hint="if this is meant, remove the file that the warning names",
            )
        if why and (demand.always or before.signed):
            once = ", and it was before" if before.signed else ""
            raise SignatureError(
                f"{what} is not signed by a key of '{demand.trusted.source}'{once}: {why}",
                hint=f"whoever owns it signs it: KDZOO_SIGNING_KEY=FILE {again}",
            )

    def _check_age(self, move: Move, before: Latest, *, is_signed: bool, what: str, key: str) -> None:
        floor = before.signed if is_signed else before.number
        other = move.number == before.number and move.write_id != before.write_id and floor == before.number
        if move.number >= floor and not other:
            return
        stands = "another than before" if other else f"its move {move.number}"
        raise StaleError(
            f"{what} is at {stands}, and was at move {floor} when it was last followed here: an older or another file "
            "was put there",
            hint="kdzoo zoo fsck looks at the zoo, and setting the alias anew mends it; if the zoo was brought back "
            f"from a backup, remove '{self._latest.where(key)}'",
        )

    def _why_not(self, state: Move | Withdrawals, demand: Demand, subject: object) -> str:
        """Why a signature does not count; empty where it does."""
        signature: Signature | None = state.signature
        if signature is None:
            return "it is not signed"
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
