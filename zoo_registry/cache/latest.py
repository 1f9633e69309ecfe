"""How far the numbered states of a zoo's files have come, so that an older one is not taken for the present one.

Aliases and withdrawals count their states. Whoever can write to a zoo, or stands between it and a reader, can put back
a file that was there before, signature and all; a reader that has seen a later state knows better.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from zoo_registry.cache.blobs import BlobCache
from zoo_registry.cache.place import ZooPlace
from zoo_registry.errors import ManifestInvalidError, StaleError, StoreUnavailableError
from zoo_registry.format import records, strict_json

_log = logging.getLogger(__name__)
_MOST = 2**53


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """The latest state that was seen."""

    number: int = 0
    """Its number; 0 where none was."""
    is_signed: bool = False
    """Whether a state of this file was ever signed by a key that was trusted."""


class LatestSeen:
    """The latest states that this machine has seen of a zoo's files.

    Args:
        place: which zoo it is.
        cache: where this is kept; one that cannot be read or written is as good as empty.
    """

    def __init__(self, place: ZooPlace, cache: BlobCache) -> None:
        self._place = place
        self._cache = cache

    def of(self, key: str) -> Latest:
        """What was seen of a file."""
        try:
            data = self._cache.recall(self._place.to_keep(), _note(key))
            return Latest() if data is None else _parsed(data)
        except (StoreUnavailableError, ManifestInvalidError) as error:
            _log.debug("what was last seen of '%s' is not known: %s", key, error)
            return Latest()

    def check(self, key: str, number: int, before: Latest, *, what: str) -> None:
        """Refuses a state that is older than one that was seen before it was read.

        Args:
            key: the file.
            number: of its state as it was read; 0 where it is not there.
            before: what was seen when the read began: another process may have seen a later one since.
            what: which file it is, for the message.

        Raises:
            StaleError: it is older.
        """
        if number < before.number:
            stands = f"state {number}" if number else "not there"
            raise StaleError(
                f"{what} is {stands}, and was state {before.number} when it was last read here: an older state was put "
                "back",
                hint="kdzoo zoo fsck looks at the zoo; if it was brought back from a backup, remove "
                f"'{self._cache.note_path(self._place.to_keep(), _note(key))}'",
            )

    def note(self, key: str, number: int, *, is_signed: bool) -> None:
        """Keeps the state of a file that was read and taken.

        Args:
            key: the file.
            number: of the state.
            is_signed: whether a trusted key has signed it.
        """
        seen = self.of(key)
        now = Latest(number=max(number, seen.number), is_signed=is_signed or seen.is_signed)
        if now == seen:
            return
        data = strict_json.dump({"number": now.number, "signed": now.is_signed}, "what was seen")
        try:
            self._cache.remember(self._place.to_keep(), _note(key), data)
        except StoreUnavailableError as error:
            # A cache that cannot be written, or is full, is no reason to withhold what was read.
            _log.warning("that '%s' has come to state %d is not kept: %s", key, number, error)


def _note(key: str) -> str:
    return f"latest/{key}"


def _parsed(data: bytes) -> Latest:
    fields = strict_json.parse(data, "what was seen")
    records.check_keys(fields, "what was seen", required={"number", "signed"})
    return Latest(
        number=records.whole(fields["number"], "number", low=0, high=_MOST), is_signed=fields["signed"] is True
    )
