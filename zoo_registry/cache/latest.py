"""How far the aliases of a zoo have come, so that an older state is not taken for the present one.

An alias counts its moves. Whoever can write to a zoo, or stands between it and a reader, can put back a file that was
there before, signature and all; a reader that has seen a later state knows better.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from zoo_registry.cache.zoo_notes import ZooNotes
from zoo_registry.errors import ManifestInvalidError, StoreUnavailableError
from zoo_registry.format import records, strict_json
from zoo_registry.format.alias import MAX_MOVES

_log = logging.getLogger(__name__)
_FIELDS = frozenset({"number", "write_id", "signed"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """The latest state of an alias that was followed here."""

    number: int = 0
    """Its move's number; 0 where none was."""
    write_id: str = ""
    """Of that move: two moves of one number are told apart."""
    signed: int = 0
    """The number of the latest state that a trusted key had signed; 0 where none was. Numbers of others prove nothing
    against it: anybody may have written them."""


class LatestSeen:
    """The latest states that this machine has followed.

    Args:
        notes: where this is kept; a cache that cannot be read or written is as good as empty.
    """

    def __init__(self, notes: ZooNotes) -> None:
        self._notes = notes

    def of(self, key: str) -> Latest:
        """What was seen of a file of this zoo.

        Raises:
            ManifestInvalidError: what says which zoo this is is damaged.
        """
        try:
            data = self._notes.recall(key)
        except StoreUnavailableError as error:
            _log.debug("what was last seen of '%s' is not known: %s", key, error)
            data = None
        try:
            return Latest() if data is None else _parsed(data)
        except ManifestInvalidError as error:
            _log.warning("what was last seen of '%s' is damaged, and not known: %s", key, error)
            return Latest()

    def where(self, key: str) -> str:
        """The file that remembers, for messages."""
        return str(self._notes.path(key))

    def note(self, key: str, number: int, write_id: str, *, is_signed: bool) -> None:
        """Keeps the state of an alias that was followed.

        Args:
            key: the alias's file.
            number: of the state.
            write_id: of the state.
            is_signed: whether a trusted key has signed it.
        """
        seen = self.of(key)
        # What is signed puts right what a stranger counted up before anything was.
        is_newer = number > seen.number or (is_signed and number != seen.number)
        now = Latest(
            number=number if is_newer else seen.number,
            write_id=write_id if is_newer else seen.write_id,
            signed=max(number if is_signed else 0, seen.signed),
        )
        if now == seen:
            return
        fields = {"number": now.number, "write_id": now.write_id, "signed": now.signed}
        try:
            self._notes.keep(key, strict_json.dump(fields, "what was seen"))
        except StoreUnavailableError as error:
            # A cache that cannot be written, or is full, is no reason to withhold what was read.
            _log.info("that '%s' has come to state %d is not kept: %s", key, number, error)


def _parsed(data: bytes) -> Latest:
    fields = strict_json.parse(data, "what was seen")
    records.check_keys(fields, "what was seen", required=_FIELDS)
    return Latest(
        number=records.whole(fields["number"], "number", low=0, high=MAX_MOVES),
        write_id=records.write_id(fields["write_id"], "write_id"),
        signed=records.whole(fields["signed"], "signed", low=0, high=MAX_MOVES),
    )
