"""The log of an alias: every move there was, who made it and why, and where a way back leads."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from concurrent.futures import ThreadPoolExecutor

from zoo_registry.cache.remembering import RememberingReader
from zoo_registry.errors import ManifestInvalidError, ObjectNotFoundError, ObjectTooLargeError, ReleaseNotFoundError
from zoo_registry.format import layout
from zoo_registry.format.alias import MAX_BYTES, Alias, Move
from zoo_registry.format.names import EntryName, check_alias
from zoo_registry.store.protocol import Store
from zoo_registry.zoo import aliasing
from zoo_registry.zoo.aliasing import WHATEVER, Expected, Reason, Sign

_READERS = 8


class AliasLog:
    """The aliases of a zoo over time.

    Each move is a file of its own that is written once, ``entries/<entry>/history/<alias>/<number>.json``; in which
    order it and the alias are written, and what a crash leaves, `zoo_registry.zoo.aliasing` says.

    Args:
        store: where the zoo is.
        reader: says whether the store may be asked.
        sign: gives what signs a move; None where moves are not signed.
        warn: called with a sentence when a record of the log is damaged and left out.
    """

    def __init__(
        self,
        store: Store,
        reader: RememberingReader,
        *,
        sign: Callable[[], Sign | None] = lambda: None,
        warn: Callable[[str], None],
    ) -> None:
        self._sign = sign
        self._store = store
        self._reader = reader
        self._warn = warn

    def names(self, entry: EntryName | str) -> list[str]:
        """The aliases that an entry has or ever had, sorted.

        Raises:
            StoreUnavailableError: the store cannot be asked.
        """
        name = EntryName.of(entry)
        self._reader.need_store(f"list the aliases of {name}")
        logged = map(layout.parse_move_key, self._store.list(layout.history_prefix(name)))
        present = map(layout.parse_alias_key, self._store.list(layout.aliases_prefix(name)))
        return sorted({found[1] for found in logged if found} | {alias for alias in present if alias})

    def moves(self, entry: EntryName | str, alias: str) -> list[Move]:
        """Every move of an alias, oldest first; none when there never was such an alias.

        Raises:
            ManifestInvalidError: the alias file is damaged. A damaged record of the log is warned of and left out.
            StoreUnavailableError: the store cannot be asked.
        """
        name, alias = EntryName.of(entry), check_alias(alias)
        self._reader.need_store(f"read the history of {name}")
        keys = [key for key in self._store.list(layout.history_prefix(name, alias)) if layout.parse_move_key(key)]
        with ThreadPoolExecutor(_READERS) as pool:
            found = {move.number: move for move in pool.map(self._logged, keys) if move is not None}
        newest, _ = aliasing.read(self._store, name, alias)
        if newest is not None:
            found.setdefault(newest.number, newest)  # a mover that was killed may not have come to write it
        return [found[number] for number in sorted(found)]

    def present(self, entry: EntryName | str, alias: str) -> Alias | None:
        """The alias as its file has it, which may not be what its log says; None where it is not there.

        Raises:
            ManifestInvalidError: the alias file is damaged.
            StoreUnavailableError: the store cannot be asked.
        """
        name, alias = EntryName.of(entry), check_alias(alias)
        self._reader.need_store(f"read an alias of {name}")
        move, _ = aliasing.read(self._store, name, alias)
        return None if move is None else move.alias

    def was_deleted(self, entry: EntryName | str, alias: str) -> bool:
        """Whether the alias's file says that it was deleted, as by `delete`; not where the file is gone.

        Raises:
            As `present`.
        """
        name, alias = EntryName.of(entry), check_alias(alias)
        self._reader.need_store(f"read an alias of {name}")
        move, _ = aliasing.read(self._store, name, alias)
        return move is not None and move.release is None

    def is_put_back(self, entry: EntryName | str, move: Move, alias: str) -> bool:
        """Whether the log knows of a later move than the one that was read from an alias's file."""
        name, alias = EntryName.of(entry), check_alias(alias)
        self._reader.need_store(f"read the history of {name}")
        logged = map(layout.parse_move_key, self._store.list(layout.history_prefix(name, alias)))
        return any(found is not None and found[2] > move.number for found in logged)

    def delete(
        self, entry: EntryName | str, alias: str, *, expected: Expected = WHATEVER, reason: Reason | None = None
    ) -> Move:
        """Deletes an alias; its log stays, and says so.

        Raises:
            ReleaseNotFoundError: there is no such alias.
            ConflictError: the alias is not as expected.
            ManifestInvalidError: the alias file is damaged, or ``reason`` cannot be written.
        """
        name = EntryName.of(entry)
        check_alias(alias)
        self._reader.need_store(f"delete an alias of {name}")
        if aliasing.read(self._store, name, alias)[0] is not None:
            self._reader.place.claim()
        try:
            return aliasing.delete(self._store, name, alias, expected=expected, reason=reason, sign=self._sign())
        except ObjectNotFoundError as error:
            raise ReleaseNotFoundError(str(error), hint=error.hint) from error

    def _logged(self, key: str) -> Move | None:
        parsed = layout.parse_move_key(key)
        try:
            move = Move.parse(self._store.get(key, max_bytes=MAX_BYTES), what=f"'{key}'")
        except (ManifestInvalidError, ObjectTooLargeError) as error:
            self._warn(f"a record of the log is left out: {error}")
            return None
        if parsed is None or move.number != parsed[2]:
            self._warn(f"a record of the log is left out: '{key}' says that it is number {move.number}")
            return None
        return move


def way_back(moves: Iterable[Move], *, without: Container[int] = ()) -> int | None:
    """The release that a rollback leads to: the one before the present one, and before that when rolled back again.

    Each move forward is laid on a pile and each rollback takes one off, so that two rollbacks in a row go back two
    releases instead of to and fro. A deleted alias goes back to what it was.

    Args:
        moves: of one alias, oldest first.
        without: releases that it must not lead to.

    Returns:
        The release; None when there is none before the present one.
    """
    pile: list[int | None] = []
    for move in moves:
        if not pile or pile[-1] != move.previous:
            pile.append(move.previous)  # the log begins late, or a record of it is missing
        if move.action == "rollback" and move.release in pile[:-1]:
            while pile[-1] != move.release:
                pile.pop()
        else:
            pile.append(move.release)
    if not pile:
        return None
    present = pile[-1]
    back = (release for release in reversed(pile[:-1]) if release not in (None, present))
    return next((release for release in back if release not in without), None)
