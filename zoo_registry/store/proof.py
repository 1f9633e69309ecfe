"""Whether a store has proved its conditional writes: asked once, before the first of them, and remembered for a day."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo_registry.errors import RegistryError
from zoo_registry.store import files

WHILE_S = 24 * 3600.0
"""Seconds for which a proof holds: a server may be replaced by another under the same address."""

_SCHEMA = "kdzoo-proof/1"
_NOTE_BYTES = 10_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialect:
    """How a server wants to be spoken to; none of it is written anywhere in its answers."""

    bare_etags: bool = False
    """``If-Match`` takes the ETag without the quotes around it, as Ceph's does."""
    joins_blindly: bool = False
    """An upload in parts replaces what is there, whatever ``If-None-Match`` says."""


class Proof:
    """What is known of the conditional writes of one store.

    Args:
        notes: a folder in which what stores have proved is remembered, made when it is not there; None remembers it
            for this object alone.
    """

    def __init__(self, notes: Path | None = None) -> None:
        self._notes = notes
        self._lock = threading.Lock()
        self._known: Dialect | None = None

    @classmethod
    def given(cls, dialect: Dialect | None = None) -> Proof:
        """That of a server that is known to be good, and is not asked."""
        proof = cls()
        proof._known = dialect or Dialect()
        return proof

    def need(self, store: str, ask: Callable[[], Dialect], *, afresh: bool = False) -> Dialect:
        """The dialect of a store that has proved itself; others wait while it is asked.

        Args:
            store: its address and that of its server.
            ask: has it prove itself, or raises.
            afresh: ask whatever is remembered.

        Raises:
            RegistryError: what ``ask`` raises.
        """
        if self._known is not None and not afresh:
            return self._known
        with self._lock:
            if self._known is None or afresh:
                remembered = None if afresh else self._recall(store)
                self._known = remembered or ask()
                if remembered is None:
                    self._remember(store, self._known)
            return self._known

    def _recall(self, store: str) -> Dialect | None:
        """What was proved lately; a note that cannot be read is as good as none."""
        if self._notes is None:
            return None
        path = self._path(self._notes, store)
        try:
            with files.open_regular(path) as file:
                note = json.loads(file.read(_NOTE_BYTES))
            age = time.time() - float(note["proved"])
            if note["schema"] != _SCHEMA or not 0 <= age < WHILE_S:
                return None
            said = {name: note[name] for name in asdict(Dialect())}
        except (OSError, RegistryError, ValueError, KeyError, TypeError) as error:
            _log.debug("no proof of %s is remembered: %s", store, error)
            return None
        return Dialect(**said) if all(isinstance(value, bool) for value in said.values()) else None

    def _remember(self, store: str, dialect: Dialect) -> None:
        if self._notes is None:
            return
        note = json.dumps({"schema": _SCHEMA, "proved": time.time(), **asdict(dialect)}).encode()
        path = self._path(self._notes, store)
        try:
            files.make_folder(self._notes)
            with files.temporary(self._notes) as made:
                files.write_synced(made, note)
                made.replace(path)
        except (OSError, RegistryError) as error:
            _log.debug("what %s has proved is not remembered: %s", store, error)

    @staticmethod
    def _path(notes: Path, store: str) -> Path:
        # A digest: an address may hold what no file name can, or a password.
        return notes / f"{hashlib.sha256(store.encode()).hexdigest()[:32]}.json"
