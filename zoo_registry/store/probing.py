"""Asks a store to prove its conditional writes before anything that matters is written to it.

Some servers take ``If-None-Match`` and ignore it, or look first and write then, so that of two writers that come at the
same moment both win; on such a store one release would silently replace another. A window between looking and writing
shows only when two requests fall into it: so many writers are held at a gate until all are ready to send, and that is
done round after round, of creating and of swapping in turn.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from zoo_registry.errors import RegistryError, StoreLacksError, StoreRefusedError
from zoo_registry.format.layout import PROBE
from zoo_registry.store.protocol import Conditional

WRITERS = 16
ROUNDS = 24
"""Of either kind, on a store that answers fast."""
ENOUGH_ROUNDS = 12
"""Of either kind, on a store that needs `ENOUGH_S` for them: half of the races fall into the smallest window."""
ENOUGH_S = 1.5
LEAST_ROUNDS = 3
"""Of either kind, however slow it is, or busy this machine: where they take `LONG_S`."""
LONG_S = 2.4
_GATE_S = 10.0

Hold = Callable[[Callable[[], None]], None]
"""Told what this thread's next write is to wait for, as late as it can."""

_log = logging.getLogger(__name__)


def probe(store: Conditional, *, hold: Hold | None = None, rounds: int = ROUNDS, seconds: float = ENOUGH_S) -> None:
    """Writes a few bytes under random keys in the ways that publishing will, and removes them.

    Args:
        store: the store to ask.
        hold: holds a write of this thread until all others are as far; default before it is begun.
        rounds: of creating, and as many of swapping.
        seconds: after which no more rounds than `ENOUGH_ROUNDS` are begun; after `LONG_S`, than `LEAST_ROUNDS`.

    Raises:
        StoreRefusedError: it lets two writers win, replaces what it should not, or denies the right to write.
        StoreUnavailableError: it cannot be reached or written.
    """
    _Probe(store, hold).run(rounds, seconds)


class _Probe:
    def __init__(self, store: Conditional, hold: Hold | None) -> None:
        self._store = store
        self._hold = hold
        self._made: list[str] = []

    def run(self, rounds: int, seconds: float) -> None:
        began = time.monotonic()
        try:
            with ThreadPoolExecutor(WRITERS) as pool:
                self._swap_alone(*self._create(pool))
                for done in range(1, rounds):
                    self._swap(pool, *self._create(pool))
                    took = time.monotonic() - began
                    if (done >= ENOUGH_ROUNDS and took > seconds) or (done >= LEAST_ROUNDS and took > LONG_S):
                        break
        except StoreLacksError as error:
            raise _broken(self._store, f"it does not know them ({error})") from error
        finally:
            remove(self._store, self._made)

    def _create(self, pool: ThreadPoolExecutor) -> tuple[str, str]:
        """An object that all writers wanted to create, and its state."""
        key = self._new_key()
        won = self._race(pool, lambda data: self._store.put_if_absent(key, data))
        self._made.append(key)  # not before: where nothing may be written, there is nothing to remove, nor the right to
        return key, self._judge(key, won, "created the same object")

    def _swap(self, pool: ThreadPoolExecutor, key: str, etag: str) -> None:
        won = self._race(pool, lambda data: self._store.compare_and_swap(key, data, etag))
        self._judge(key, won, "replaced the same state of an object")

    def _swap_alone(self, key: str, etag: str) -> None:
        """What a swap must do without a race."""
        absent = self._new_key()
        self._made.append(absent)
        if self._store.compare_and_swap(absent, b"probe", "0" * 32):
            raise _broken(self._store, "an object that is not there was replaced")
        if not self._store.compare_and_swap(key, b"probe, moved", etag):
            raise _broken(self._store, "an object that nobody else changed could not be replaced")
        if self._store.compare_and_swap(key, b"probe, moved twice", etag):
            raise _broken(self._store, "an object was replaced though it had changed")

    def _race(self, pool: ThreadPoolExecutor, write: Callable[[bytes], bool]) -> list[bytes]:
        """Has all writers write at the same moment; gives what those wrote that were told that they had."""
        gate = threading.Barrier(WRITERS)

        def wait() -> None:
            with suppress(threading.BrokenBarrierError):  # one of them failed before it came to that
                gate.wait(_GATE_S)

        def run(data: bytes) -> bool:
            try:
                if self._hold is None:
                    wait()
                else:
                    self._hold(wait)
                return write(data)
            except BaseException:
                gate.abort()
                raise

        each = [b"probe %d %s" % (n, uuid.uuid4().hex.encode()) for n in range(WRITERS)]
        return [data for data, has_won in zip(each, list(pool.map(run, each))) if has_won]

    def _judge(self, key: str, won: list[bytes], what: str) -> str:
        if len(won) != 1:
            raise _broken(self._store, f"{len(won)} of {WRITERS} writers {what}")
        stands, etag = self._store.read(key)
        if stands != won[0]:
            raise _broken(self._store, f"of {WRITERS} writers that {what}, another won than was told so")
        return etag

    def _new_key(self) -> str:
        return f"{PROBE}{uuid.uuid4().hex}"


def remove(store: Conditional, keys: Sequence[str]) -> None:
    """Removes what was written to look at a store, or warns that it stays."""
    for done, key in enumerate(keys):
        try:
            store.delete(key)
        except RegistryError as error:
            # The right to delete is not needed to publish, and an error under way says more than this one.
            more = f" and {len(keys) - done - 1} more like it" if len(keys) > done + 1 else ""
            _log.warning("'%s'%s is left in %s: %s", key, more, store.uri, error)
            return


def _broken(store: Conditional, what: str) -> StoreRefusedError:
    return StoreRefusedError(
        f"{store.uri} has no working conditional writes: {what}",
        hint="use a store that honours If-None-Match and If-Match, such as AWS S3 or Ceph, or a folder",
    )
