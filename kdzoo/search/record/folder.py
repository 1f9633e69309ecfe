"""A sweep's folder: who drives it, how it ended, what its categories came to. What only one process writes is JSON.

plan.json      what the sweep is to do (`kdzoo.search.record.plan_file`)
studies.db     the Optuna studies: the truth about which trials have ended, and how
trials*/       Ray's files and the trials' checkpoints; one such folder for each time that the sweep was driven
outcomes/      what each category came to
measured/      detectors on their way from the workers to the zoo
trained.json   how long it has trained
stages/        results of first stages that trials share (`kdzoo.training.stage_results`)
driver.lock    locked for as long as a driver lives
stop           asks the driver to finish
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from kdzoo.data.file_lock import claim
from kdzoo.errors import StorageError, SweepError
from kdzoo.storage import keep_lock, write_file

SweepState = Literal["running", "finished", "interrupted", "failed"]

_LOOKS = 20
_LOOK_SECONDS = 0.1
"""Whoever lists sweeps holds the lock for a moment: a driver asks again before it gives up."""


@dataclass(frozen=True)
class SweepFolder:
    """One sweep's folder.

    Attributes:
        path: the folder, named after the sweep.
    """

    path: Path

    @property
    def name(self) -> str:
        """The sweep's name."""
        return self.path.name

    @property
    def plan(self) -> Path:
        """What the sweep is to do."""
        return self.path / "plan.json"

    @property
    def studies(self) -> Path:
        """The Optuna studies."""
        return self.path / "studies.db"

    @property
    def journal(self) -> Path:
        """What goes to MLflow."""
        return self.path / "mlflow.jsonl"

    @property
    def log(self) -> Path:
        """What Ray has to say."""
        return self.path / "ray.log"

    @property
    def stages(self) -> Path:
        """Results of first stages that trials share."""
        return self.path / "stages"

    @property
    def measured(self) -> Path:
        """Detectors that were measured and are not published yet, by category."""
        return self.path / "measured"

    @property
    def stop(self) -> Path:
        """There while the driver is asked to finish."""
        return self.path / "stop"

    @property
    def _lock(self) -> Path:
        return self.path / "driver.lock"

    @property
    def driver(self) -> Path:
        """Which process drives the sweep; there as long as one does."""
        return self.path / "driver.json"

    @property
    def _ended(self) -> Path:
        return self.path / "ended.json"

    @property
    def _trained(self) -> Path:
        return self.path / "trained.json"

    def runs(self) -> list[Path]:
        """Ray's folders, in the order in which the sweep was driven."""
        found = [path for path in self.path.glob("trials*") if path.is_dir()]
        return sorted(found, key=lambda path: (len(path.name), path.name))

    def next_run(self) -> str:
        """The name of the next one of `runs`."""
        count = len(self.runs())
        return f"trials-{count + 1}" if count else "trials"

    @property
    def begun(self) -> bool:
        """Whether a driver ever came to its first trial, or to tell MLflow; a sweep of a group may only be planned."""
        return self.studies.exists() or self.journal.exists()

    @contextmanager
    def driven(self) -> Iterator[None]:
        """Makes the folder, and marks the sweep as running for as long as the block lasts.

        Raises:
            SweepError: another process drives the sweep.
            StorageError: the folder cannot be made or written.
        """
        with ExitStack() as held:
            try:
                self.path.mkdir(parents=True, exist_ok=True)
                keep_lock(self._lock)
                for look in range(_LOOKS):
                    answer = held.enter_context(claim([self._lock]))
                    if answer != "in use":
                        break
                    held.pop_all().close()
                    time.sleep(_LOOK_SECONDS if look + 1 < _LOOKS else 0.0)
            except OSError as error:
                raise StorageError(
                    f"cannot make the sweep's folder '{self.path}': {error.strerror}",
                    hint="set KDZOO_HOME to another place",
                ) from error
            if answer == "in use" or (answer == "unknown" and self._driver_lives()):
                raise SweepError(
                    f"the sweep '{self.name}' is running: {self.driver_text()}",
                    hint=f"wait for it, or end it with `kdzoo sweep stop {self.name}`",
                )
            told = {"pid": os.getpid(), "host": socket.gethostname(), "started": time.time()}
            write_file(self.driver, json.dumps(told).encode())
            self.stop.unlink(missing_ok=True)
            yield

    def state(self) -> SweepState:
        """How the sweep stands."""
        if self._is_driven():
            return "running"
        status = (_read(self._ended) or {}).get("status")
        return "finished" if status == "finished" else "failed" if status == "failed" else "interrupted"

    def failure(self) -> str:
        """Why the sweep failed, in a line; empty where it did not, or nobody said."""
        ended = _read(self._ended) or {}
        return str(ended.get("reason", "")) if ended.get("status") == "failed" else ""

    def begin(self) -> None:
        """The sweep is under way: how it once ended no longer counts.

        Raises:
            OSError: the folder cannot be written.
        """
        self._ended.unlink(missing_ok=True)

    def end(self, status: str, reason: str = "") -> None:
        """The sweep ended.

        Args:
            status: how.
            reason: why it failed.

        Raises:
            StorageError: the folder cannot be written.
        """
        told = {"status": status, "time": time.time(), **({"reason": reason} if reason else {})}
        write_file(self._ended, json.dumps(told).encode())

    def ask_to_stop(self) -> None:
        """Asks the driver, on whichever machine, to finish: what is finished by then is measured and published.

        Raises:
            SweepError: nothing drives the sweep.
            StorageError: the folder cannot be written.
        """
        if not self._is_driven():
            raise SweepError(
                f"the sweep '{self.name}' is not running", hint=f"`kdzoo sweep show {self.name}` says how it stands"
            )
        write_file(self.stop, b"")

    def driver_text(self) -> str:
        """Which process drove the sweep last, for messages."""
        driver = _read(self.driver)
        return f"process {driver.get('pid')} on {driver.get('host')}" if driver else "its process is not known"

    def outcome(self, category: str) -> dict[str, Any] | None:
        """What a category came to when it was last concluded; None before that."""
        return _read(self.path / "outcomes" / f"{category}.json")

    def keep_outcome(self, category: str, outcome: Mapping[str, Any]) -> None:
        """Remembers what a category came to.

        Raises:
            StorageError: the folder cannot be written.
        """
        write_file(self.path / "outcomes" / f"{category}.json", json.dumps(outcome).encode())

    def trained_seconds(self) -> float:
        """How long the sweep has trained, over all its drivers; 0 before anybody said.

        Raises:
            SweepError: the file is damaged.
        """
        told = _read(self._trained) or {}
        seconds = told.get("seconds", 0.0)
        return float(seconds) if isinstance(seconds, int | float) else 0.0

    def keep_trained_seconds(self, seconds: float) -> None:
        """Remembers how long it has trained.

        Raises:
            StorageError: the folder cannot be written.
        """
        write_file(self._trained, json.dumps({"seconds": seconds}).encode())

    def size(self) -> int:
        """Bytes in the folder."""
        total = 0
        for folder, _, files in os.walk(self.path):
            for file in files:
                try:
                    total += (Path(folder) / file).lstat().st_size
                except FileNotFoundError:
                    continue  # a running sweep deletes checkpoints
        return total

    def _is_driven(self) -> bool:
        try:
            with claim([self._lock]) as answer:
                return answer == "in use" or (answer == "unknown" and self._driver_lives())
        except OSError:
            # Somebody else's folder, which may be read but not locked.
            return self._driver_lives() and _read(self._ended) is None

    def _driver_lives(self) -> bool:
        """Whether the last driver's process is there; of another machine's, that it has not said how it ended."""
        driver = _read(self.driver)
        if driver is None:
            return False
        if driver.get("host") != socket.gethostname():
            return _read(self._ended) is None
        return Path(f"/proc/{driver.get('pid')}").exists()


def _read(path: Path) -> dict[str, Any] | None:
    """A small JSON file of ours; None when it is not there.

    Raises:
        SweepError: it is damaged.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise SweepError(f"cannot read '{path}': {error}", hint="restore the file, or remove it") from error
    if not isinstance(found, dict):
        raise SweepError(f"'{path}' is not what kdzoo writes there", hint="restore the file, or remove it")
    return found
