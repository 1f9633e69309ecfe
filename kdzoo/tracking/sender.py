"""From the journal to MLflow: by a thread while a sweep runs, or by `replay` afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kdzoo.errors import StorageError, TrackingError
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.journal import Journal
from kdzoo.tracking.records import Record
from kdzoo.tracking.run_files import RefusedError
from zoo_registry.addresses import without_credentials

if TYPE_CHECKING:
    from kdzoo.tracking.store import MlflowStore

_START: Final = "start the server, or name another with MLFLOW_TRACKING_URI"
REST_SECONDS: Final = 10.0
"""Between two tries while MLflow is down."""


class Sender:
    """The thread that moves records from the journal to MLflow, and counts what it could not move.

    Args:
        uri: MLflow tracking URI.
        artifacts: folder for pictures where MLflow runs without a server.
        journal: where records wait; closed by `close`.
        warn: told of each kind of trouble once, from any thread.
    """

    def __init__(self, uri: str, artifacts: Path, journal: Journal, warn: Callable[[str], None]) -> None:
        self._shown, self._journal, self._warn = without_credentials(uri), journal, warn
        self._store = make_store(uri, artifacts)
        self._told: set[str] = set()
        self._unwritten = self._refused = 0
        self._wake, self._closing, self._abandoned = threading.Event(), threading.Event(), threading.Event()
        self._holders, self._holders_lock = 2, threading.Lock()
        self._rest_until = 0.0
        self._left: int | None = None
        self._thread = threading.Thread(target=self._work, name="kdzoo-tracking", daemon=True)
        self._thread.start()

    def put(self, record: Record) -> None:
        """Takes a record; it is in the journal when this returns."""
        try:
            self._journal.append(record.to_line())
        except StorageError as error:
            self._unwritten += 1
            self.tell("disk", f"{error.message}; what is logged is lost until there is room")
        self._wake.set()

    def tell(self, about: str, message: str) -> None:
        """Warns, of one matter once."""
        if about not in self._told:
            self._told.add(about)
            self._warn(message)

    def close(self, timeout: float) -> int:
        """Lets the thread send what is left, and says what it could not.

        Args:
            timeout: seconds to wait.

        Returns:
            Number of records that MLflow does not have; the same again when it is called again.
        """
        if self._left is not None:
            return self._left
        self._closing.set()
        self._wake.set()
        self._thread.join(timeout)
        self._abandoned.set()
        try:
            self._journal.sync()
            unsent = self._journal.unsent_count()
        except OSError as error:
            # The journal's disk is away, which is why the sweep ends: that error must not be hidden by this one.
            self.tell("unread", f"cannot read the tracking journal {self._journal.path}: {error.strerror}")
            unsent = 0
        if unsent:
            kept = f"they are kept in {self._journal.path}, and `kdzoo mlflow sync` sends them"
            self.tell("unsent", f"{unsent} tracking records were not sent to MLflow at {self._shown}; {kept}")
        if self._unwritten:
            self.tell("unwritten", f"{self._unwritten} tracking records could not be written to disk and are lost")
        if self._refused > 1:
            self.tell("all refused", f"MLflow at {self._shown} refused {self._refused} tracking records in all")
        self._left = unsent + self._unwritten + self._refused
        self._release()
        return self._left

    def _work(self) -> None:
        while not self._closing.is_set():
            rest = self._rest_until - time.monotonic()
            if rest > 0:
                self._closing.wait(rest)
                continue
            if self._journal.all_sent:
                self._wake.wait()
            self._wake.clear()
            self._drain()
        self._drain()
        self._release()

    def _drain(self) -> None:
        """Sends until all is sent or MLflow fails; then the thread rests."""
        try:
            for line, offset in self._journal.unsent():
                if self._abandoned.is_set():
                    return
                refusal = _send(self._store, self._journal, line)
                self._journal.mark_sent(offset)
                if refusal is not None:
                    self._refused += 1
                    self.tell("refused", refusal)
        except (TrackingError, OSError) as error:
            self._rest_until = time.monotonic() + REST_SECONDS
            hint = getattr(error, "hint", None)
            kept = f"the sweep goes on, its records are kept in {self._journal.path}"
            self.tell("down", f"{error}; {kept}" + (f" ({hint})" if hint else ""))

    def _release(self) -> None:
        """Closes the journal once both the thread and the caller are done with it."""
        with self._holders_lock:
            self._holders -= 1
            last = self._holders == 0
        if last:
            try:
                self._journal.close()
            except OSError as error:
                self.tell("close", f"cannot close the tracking journal {self._journal.path}: {error.strerror}")


def replay(spool: Path, uri: str, *, artifacts: Path) -> int:
    """Sends what a sweep could not send. Doing it again, or after half of it was done, changes nothing.

    Args:
        spool: the sweep's journal; removed when all is sent.
        uri: MLflow tracking URI.
        artifacts: folder for pictures where MLflow runs without a server.

    Returns:
        Number of records sent; 0 when there is no such file.

    Raises:
        TrackingError: MLflow cannot be reached (says how many records are left), or refused some (the rest were sent).
    """
    if not spool.exists():
        return 0
    journal, sent, refusals = Journal(spool), 0, list[str]()
    try:
        store = make_store(uri, artifacts)
        for line, offset in journal.unsent():
            try:
                refusal = _send(store, journal, line)
            except TrackingError as error:
                raise TrackingError(
                    f"{error.message}; {sent} records were sent, {journal.unsent_count()} are still in {spool}",
                    hint=f"{error.hint or _START}, and run `kdzoo mlflow sync`",
                ) from error
            journal.mark_sent(offset)
            if refusal is None:
                sent += 1
            else:
                refusals.append(refusal)
    finally:
        journal.close()
    if refusals:
        raise TrackingError(f"{sent} records were sent, {len(refusals)} refused, the first: {refusals[0]}")
    return sent


def make_store(uri: str, artifacts: Path) -> MlflowStore:
    """The writer. MLflow is imported here: in the caller's thread, and once its switches are set."""
    prepare_mlflow()
    from kdzoo.tracking.store import MlflowStore

    return MlflowStore(uri, artifacts)


def _send(store: MlflowStore, journal: Journal, line: bytes) -> str | None:
    """Sends one line; what can never be sent is set aside, and the reason returned.

    Raises:
        TrackingError: MLflow cannot be reached; the line is to be sent again.
    """
    if not line.strip():
        return None  # ends a line that an earlier process left torn
    try:
        store.apply(Record.from_line(line))
    except (ValueError, RefusedError) as error:
        return f"{error}; the record is kept in {journal.set_aside(line)}"
    return None
