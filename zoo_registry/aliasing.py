"""How an alias is moved: read it, decide, swap it if it is still what was read, else begin again."""

from __future__ import annotations

import enum
import random
import time
import uuid
from typing import Literal

from zoo_registry import layout, records
from zoo_registry.alias import MAX_BYTES, Alias
from zoo_registry.errors import ConflictError, ManifestInvalidError, ObjectNotFoundError, ObjectTooLargeError
from zoo_registry.names import EntryName
from zoo_registry.store import Store

_ATTEMPTS = 50


class Whatever(enum.Enum):
    """The type of `WHATEVER`."""

    WHATEVER = "whatever"


WHATEVER = Whatever.WHATEVER
"""Move the alias wherever it points now."""

Expected = Alias | Literal[Whatever.WHATEVER] | None


def point(store: Store, entry: EntryName, alias: str, release: int, *, expected: Expected) -> Alias:
    """Points an alias at a release.

    Args:
        store: where the zoo is.
        entry: the entry.
        alias: the alias; made when it is not there.
        release: the release; that it exists is the caller's to know.
        expected: what the alias must still be; None for not there.

    Raises:
        ConflictError: the alias is not as expected, or others moved it every time.
        ManifestInvalidError: the alias file is damaged.
    """
    for attempt in range(_ATTEMPTS):
        now, etag = _read(store, entry, alias)
        if expected is not WHATEVER and (now and now.write_id) != (expected and expected.write_id):
            points = f"points at release {now.release}" if now else "is not there"
            raise ConflictError(
                f"alias {alias} of {entry} was moved by somebody else: it {points}", hint="look at it, then try again"
            )
        moved = _swap(store, entry, alias, release, etag)
        if moved is not None:
            return moved
        _wait(attempt)
    raise _contended(entry, alias)


def advance(store: Store, entry: EntryName, alias: str, release: int) -> bool:
    """Moves an alias forward to a release, unless a later one has it: of two publishers the later release wins.

    Args:
        store: where the zoo is.
        entry: the entry.
        alias: the alias; made when it is not there.
        release: the release; that it exists is the caller's to know.

    Returns:
        False when the alias points at a later release.

    Raises:
        ConflictError: others moved it every time.
        ManifestInvalidError: the alias file is damaged.
    """
    for attempt in range(_ATTEMPTS):
        now, etag = _read(store, entry, alias)
        if now is not None and now.release > release:
            return False
        if _swap(store, entry, alias, release, etag) is not None:
            return True
        _wait(attempt)
    raise _contended(entry, alias)


def _read(store: Store, entry: EntryName, alias: str) -> tuple[Alias | None, str | None]:
    """The alias with its etag; None twice when there is none."""
    what = f"alias {alias} of {entry}"
    try:
        data, etag = store.read(layout.alias_key(entry, alias), max_bytes=MAX_BYTES)
    except ObjectNotFoundError:
        return None, None
    except ObjectTooLargeError as error:
        raise ManifestInvalidError(f"{what} is not valid: {error}") from error
    return Alias.parse(data, what=what), etag


def _swap(store: Store, entry: EntryName, alias: str, release: int, etag: str | None) -> Alias | None:
    made = Alias(release=release, updated=records.now(), write_id=uuid.uuid4().hex)
    moved = store.compare_and_swap(layout.alias_key(entry, alias), made.to_bytes(), etag)
    return made if moved else None


def _contended(entry: EntryName, alias: str) -> ConflictError:
    return ConflictError(f"alias {alias} of {entry} is being moved by others all the time", hint="try again")


def _wait(attempt: int) -> None:
    """Waits longer each time, and not as long as the others."""
    time.sleep(random.uniform(0, min(0.5, 0.01 * 2 ** min(attempt, 10))))
