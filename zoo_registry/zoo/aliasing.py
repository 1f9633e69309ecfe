"""How an alias is moved: read it, decide, swap it if it is still what was read, else begin again.

An alias file holds the whole record of the move that made it (`zoo_registry.format.alias.Move`), and the log is a copy
of each such file under its number (`zoo_registry.zoo.history`). A move is three writes in this order:

1. the log's copy of the present file, which is nearly always there already;
2. the swap of the alias file for its successor, with the next number;
3. the log's copy of the new file.

The swap alone decides: two movers cannot both succeed, so a number is given once. A mover that is killed before it has
moved nothing; one that is killed after it leaves a log that lacks the newest move, which is read from the alias file
and is written by whoever moves the alias next, before anything else. So the log never lacks a move for good and never
tells of one that did not happen. A deleted alias keeps its file, which then says so: only thus can the deletion be
swapped too, and the count goes on if the alias is made again.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from zoo_registry.errors import (
    ConflictError,
    KeyInvalidError,
    ManifestInvalidError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    RegistryError,
)
from zoo_registry.format import layout, records
from zoo_registry.format.alias import MAX_BYTES, MAX_MOVES, Action, Alias, Move
from zoo_registry.format.names import EntryName
from zoo_registry.store.protocol import Store
from zoo_registry.zoo.person import this_person

_ATTEMPTS = 50
_log = logging.getLogger(__name__)


class Whatever(enum.Enum):
    """The type of `WHATEVER`."""

    WHATEVER = "whatever"


WHATEVER = Whatever.WHATEVER
"""Move the alias wherever it points now."""

Expected = Move | Literal[Whatever.WHATEVER] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """What the log is to say of a move.

    Raises:
        ManifestInvalidError: a text is too long, or not one line; raised by the move.
    """

    action: Action = "set"
    """What kind of move it is."""
    who: str | None = None
    """Who moves it; None for this process's ``user@host``."""
    why: str = ""
    """In the mover's words, one line."""
    expires: str | None = None
    """Until when it is to be followed, in UTC; None for ever. Only where moves are signed."""


Sign = Callable[[Move], Move]
"""Gives the state of an alias back with its signature."""


def point(
    store: Store,
    entry: EntryName,
    alias: str,
    release: int,
    *,
    expected: Expected,
    reason: Reason | None = None,
    sign: Sign | None = None,
) -> Alias:
    """Points an alias at a release.

    Args:
        store: where the zoo is.
        entry: the entry.
        alias: the alias; made when it is not there.
        release: the release; that it exists is the caller's to know.
        expected: what the alias must still be; None for not there.
        reason: what the log says of it; default set by this person.
        sign: signs the move; None where moves are not signed.

    Raises:
        ConflictError: the alias is not as expected, or others moved it every time.
        ManifestInvalidError: the alias file is damaged, or ``reason`` cannot be written.
        KeyInvalidError: it is to expire, and moves are not signed.
    """
    made = _move(store, entry, alias, release, expected=expected, reason=reason or Reason(), sign=sign)
    return Alias.parse(made.to_bytes())


def delete(
    store: Store,
    entry: EntryName,
    alias: str,
    *,
    expected: Expected = WHATEVER,
    reason: Reason | None = None,
    sign: Sign | None = None,
) -> Move:
    """Deletes an alias; its log stays.

    Args:
        store: where the zoo is.
        entry: the entry.
        alias: the alias.
        expected: what the alias must still be.
        reason: what the log says of it; its action is ``delete`` whatever it says.
        sign: signs the move; None where moves are not signed.

    Raises:
        ObjectNotFoundError: there is no such alias.
        ConflictError: the alias is not as expected, or others moved it every time.
        ManifestInvalidError: the alias file is damaged, or ``reason`` cannot be written.
    """
    given = reason or Reason()
    away = Reason(action="delete", who=given.who, why=given.why)
    return _move(store, entry, alias, None, expected=expected, reason=away, sign=sign)


def advance(store: Store, entry: EntryName, alias: str, release: int, *, sign: Sign | None = None) -> bool:
    """Moves an alias forward to a release, unless a later one has it: of two publishers the later release wins.

    Args:
        store: where the zoo is.
        entry: the entry.
        alias: the alias; made when it is not there.
        release: the release; that it exists is the caller's to know.
        sign: signs the move; None where moves are not signed.

    Returns:
        False when the alias points at a later release.

    Raises:
        ConflictError: others moved it every time.
        ManifestInvalidError: the alias file is damaged.
    """
    for attempt in range(_ATTEMPTS):
        now, etag = read(store, entry, alias)
        if now is not None and now.release is not None and now.release > release:
            return False
        reason = Reason(action="publish")
        if _swap(store, entry, alias, release, now, etag, reason=reason, sign=sign) is not None:
            return True
        _wait(attempt)
    raise _contended(entry, alias)


def read(store: Store, entry: EntryName, alias: str) -> tuple[Move | None, str | None]:
    """The newest state of an alias, which may be that it was deleted, with its etag; None twice when it never was.

    Raises:
        ManifestInvalidError: the alias file is damaged.
    """
    what = f"alias {alias} of {entry}"
    try:
        data, etag = store.read(layout.alias_key(entry, alias), max_bytes=MAX_BYTES)
    except ObjectNotFoundError:
        return None, None
    except ObjectTooLargeError as error:
        raise ManifestInvalidError(f"{what} is not valid: {error}") from error
    return Move.of(data, (str(entry), alias), what=what), etag


def _move(
    store: Store,
    entry: EntryName,
    alias: str,
    release: int | None,
    *,
    expected: Expected,
    reason: Reason,
    sign: Sign | None,
) -> Move:
    if reason.expires is not None and sign is None:
        raise KeyInvalidError(
            "only a signed move can expire, and there is no key to sign with", hint="set KDZOO_SIGNING_KEY"
        )
    for attempt in range(_ATTEMPTS):
        now, etag = read(store, entry, alias)
        there = now if now is not None and now.release is not None else None
        if expected is not WHATEVER and (there and there.write_id) != (expected and expected.write_id):
            points = f"points at release {there.release}" if there else "is not there"
            raise ConflictError(
                f"alias {alias} of {entry} was moved by somebody else: it {points}",
                hint=f"kdzoo zoo history {entry} shows by whom; then try again",
            )
        if release is None and there is None:
            raise ObjectNotFoundError(f"{entry} has no alias '{alias}'", hint=f"kdzoo zoo alias {entry} lists them")
        moved = _swap(store, entry, alias, release, now, etag, reason=reason, sign=sign)
        if moved is not None:
            return moved
        _wait(attempt)
    raise _contended(entry, alias)


def _swap(
    store: Store,
    entry: EntryName,
    alias: str,
    release: int | None,
    now: Move | None,
    etag: str | None,
    *,
    reason: Reason,
    sign: Sign | None,
) -> Move | None:
    """The three writes of a move; None when the alias is no longer as it was read."""
    made = Move(
        release=release,
        updated=records.now(),
        write_id=uuid.uuid4().hex,
        number=_last(store, entry, alias, now) + 1,
        previous=now.release if now else None,
        action=reason.action,
        who=this_person() if reason.who is None else reason.who,
        why=reason.why,
    )
    if sign is not None:
        made = sign(dataclasses.replace(made, subject=(str(entry), alias), expires=reason.expires))
    if now is not None:
        _note(store, entry, alias, now)
    if not store.compare_and_swap(layout.alias_key(entry, alias), made.to_bytes(), etag):
        return None
    try:
        _note(store, entry, alias, made)
    except RegistryError as error:
        # The alias is moved, and its file holds the record until the next mover writes it to the log.
        _log.warning("move %d of alias %s of %s is not in the log yet: %s", made.number, alias, entry, error)
    return made


def _last(store: Store, entry: EntryName, alias: str, now: Move | None) -> int:
    """The number of the last move there was, 0 for none; the log's where the alias file was removed or put back."""
    logged = map(layout.parse_move_key, store.list(layout.history_prefix(entry, alias)))
    last = max(now.number if now else 0, *(found[2] for found in logged if found), 0)
    if last >= MAX_MOVES:
        raise ConflictError(f"alias {alias} of {entry} was moved {last} times", hint="use an alias of another name")
    return last


def _note(store: Store, entry: EntryName, alias: str, move: Move) -> None:
    """Writes a move to the log, unless it is there."""
    store.put_if_absent(layout.move_key(entry, alias, move.number), move.to_bytes(), write_id=move.write_id)


def _contended(entry: EntryName, alias: str) -> ConflictError:
    return ConflictError(f"alias {alias} of {entry} is being moved by others all the time", hint="try again")


def _wait(attempt: int) -> None:
    """Waits longer each time, and not as long as the others."""
    time.sleep(random.uniform(0, min(0.5, 0.01 * 2 ** min(attempt, 10))))
