"""Runs all checks at once, each in a process of its own with a limit of its own.

A thread cannot be stopped while it waits for a frozen server or a dead network disk; a process can be killed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from kdzoo.doctor.finding import Asked, Finding
from kdzoo.storage import write_new
from zoo_registry.store.files import create

LIMITS: Mapping[str, float] = {
    "disk": 20.0,
    "data set": 60.0,
    "teacher": 60.0,
    "zoo": 60.0,
    "mlflow": 60.0,
    "ray": 90.0,
}
"""The checks, in the order that they are shown, and the seconds that each may take. Most of it is for loading PyTorch,
MLflow or starting Ray on a busy machine: what does not answer on the network is found out earlier."""

_POLL_SECONDS = 0.05
_PACKAGES = Path(__file__).parents[2]


def examine(
    asked: Asked, *, limits: Mapping[str, float] = LIMITS, progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Checks everything.

    Args:
        asked: what it is about; the rest is read from the environment.
        limits: check to seconds; only these checks are run.
        progress: told (checks done, checks in all).

    Returns:
        What was found, check by check in the order of ``limits``; each check found at least one thing, unless it was
        not asked for.
    """
    given = json.dumps(dataclasses.asdict(asked))
    found: dict[str, list[Finding]] = {}
    with tempfile.TemporaryDirectory(prefix="kdzoo-doctor-") as folder, _Children() as children:
        for name, limit in limits.items():
            children.start(name, given, limit, Path(folder))
        while len(found) < len(limits):
            for name in [name for name in limits if name not in found]:
                result = children.result(name)
                if result is None:
                    continue
                found[name] = result
                if progress is not None:
                    progress(len(found), len(limits))
            time.sleep(_POLL_SECONDS)
    return [finding for name in limits for finding in found[name]]


class _Children:
    """The processes of the checks; none outlives the block."""

    def __init__(self) -> None:
        self._started: dict[str, _Child] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for child in self._started.values():
            child.kill()

    def start(self, name: str, given: str, limit: float, folder: Path) -> None:
        """Starts a check."""
        self._started[name] = _Child(name, given, limit, folder)

    def result(self, name: str) -> list[Finding] | None:
        """What a check found; None while it runs."""
        return self._started[name].result()


class _Child:
    def __init__(self, name: str, given: str, limit: float, folder: Path) -> None:
        self._name, self._limit = name, limit
        # Files and no pipes: what a check leaves running, such as a worker of Ray, would hold a pipe open.
        self._said, self._trouble = folder / f"{name}.json", folder / f"{name}.log"
        command = [sys.executable, "-P", "-m", "kdzoo.doctor.child", name]
        with _written(folder / f"{name}.in", given) as source, create(self._trouble) as trouble:
            self._process = subprocess.Popen(
                [*command, str(self._said)],
                stdin=source,
                stdout=trouble,
                stderr=trouble,
                env=_environment(),
                start_new_session=True,
            )
        self._deadline = time.monotonic() + limit

    def result(self) -> list[Finding] | None:
        status = self._process.poll()
        if status is None:
            if time.monotonic() < self._deadline:
                return None
            self.kill()
            hint = "what it asks does not answer: is it frozen, behind a firewall, or on a dead network disk?"
            return [self._failed(f"no answer within {self._limit:g} s", hint)]
        if status != 0:
            return [self._failed(f"the check itself broke: {self._last_line()}", "please report this: it is a bug")]
        return [Finding.from_mapping(item) for item in json.loads(self._said.read_text(encoding="utf-8"))]

    def kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _failed(self, what: str, hint: str) -> Finding:
        return Finding(check=self._name, state="fail", what=what, hint=hint)

    def _last_line(self) -> str:
        lines = self._trouble.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it ended with status {self._process.returncode} without a word"


def _written(path: Path, text: str) -> IO[bytes]:
    write_new(path, text.encode())
    return path.open("rb")


def _environment() -> dict[str, str]:
    """This process's, with the kdzoo that runs now in front: a check must not look at another one."""
    behind = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(_PACKAGES), *([behind] if behind else [])])}
