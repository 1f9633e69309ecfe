"""Joining a Ray cluster, or starting a local one, without surprises."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kdzoo.errors import SweepError, UsageError
from kdzoo.search.workers.keys import DRIVERS_ALONE, hidden
from kdzoo.search.workers.ray_folder import ray_folder
from kdzoo.search.workers.signals import interrupt_afterwards, terminated_as_interrupted
from kdzoo.storage import appending

_CONNECT_SECONDS = 5.0
_LOCAL = (None, "", "local")
_OBJECT_STORE_BYTES = 256 * 2**20
"""Of a local Ray, beside the teacher: reports are small, and checkpoints and detectors go by files; Ray's own default
is 30 % of the memory."""
_SWITCHES = {
    # Results reach MLflow and the board through the monitor; Ray's own files would cost time and disk.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A stage that cannot be measured yet reports no objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # By itself Tune lets one trial of a searcher wait and asks for the next when its worker has started: minutes
    # until all slots work. How many may wait is for `kdzoo.search.workers.slots` to say.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@contextmanager
def cluster(address: str | None, *, log: Path, shared: int = 0) -> Iterator[None]:
    """Connects to Ray for as long as a sweep runs.

    Args:
        address: of a running cluster (``host:port`` or ``auto``); None starts a local one.
        log: file for what Ray has to say; the terminal is for the sweep's own words.
        shared: bytes that the caller will put into the object store, for which a local Ray makes room.

    Raises:
        SweepError: no cluster answers at the address.
    """
    check_address(address)
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
    import ray

    with _logged_to(log), ExitStack() as scratch:
        started = not ray.is_initialized()
        try:
            if started:
                folder = scratch.enter_context(ray_folder()) if address in _LOCAL else None
                with interrupt_afterwards():
                    _start(address, _OBJECT_STORE_BYTES + shared, folder)
            with terminated_as_interrupted():
                yield
        finally:
            if started:
                ray.shutdown()


def starts_here(address: str | None) -> bool:
    """Whether a sweep with this address starts a Ray of its own on this machine."""
    return address in _LOCAL


def check_address(address: str | None) -> None:
    """Finds out in seconds whether anything answers at an address, where Ray itself would wait two minutes.

    Raises:
        SweepError: nothing does.
        UsageError: it is no address that a sweep can run from.
    """
    if address in (*_LOCAL, "auto"):
        return
    if str(address).startswith("ray://"):
        raise UsageError(
            f"a sweep cannot run through the Ray client at '{address}'",
            hint="run it on a machine of the cluster with RAY_ADDRESS=auto, or by `kdzoo submit sweep ...`",
        )
    _check(str(address))


def _start(address: str | None, store: int, folder: str | None) -> None:
    import ray

    local: dict[str, object] = {}
    if address in _LOCAL:
        local = {"include_dashboard": False, "object_store_memory": store, "_temp_dir": folder}
    try:
        # Whatever is started here inherits the environment, and so do all its workers.
        with hidden(DRIVERS_ALONE):
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:
        # Ray raises errors of many kinds here, among them bare Exceptions.
        said = (str(error).splitlines() or [type(error).__name__])[0]
        if address in _LOCAL:
            raise SweepError(
                f"Ray did not start on this machine: {said}",
                hint="a machine that is busy with other work may be too slow for it: try again later. Its files go to "
                "TMPDIR, unless RAY_TMPDIR names another folder",
            ) from error
        raise SweepError(
            f"cannot reach Ray at '{address}': {said}", hint="check RAY_ADDRESS, or unset it to run on this machine"
        ) from error


def _told_to(logger: logging.Logger) -> Callable[..., None]:
    """Takes what Ray would print, and logs it."""

    def tell(data: Mapping[str, Any], ignore_prefix: bool = False) -> None:
        logger.warning("%s", "\n".join(map(str, data.get("lines", ()))))

    return tell


class _QuietFileHandler(logging.FileHandler):
    """Drops what it cannot write: on a full disk each line would otherwise put a traceback on the screen."""

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a line, if it can."""
        try:
            super().emit(record)
        except OSError:  # the file cannot be opened
            self.handleError(record)

    def _open(self) -> TextIOWrapper:
        return TextIOWrapper(appending(Path(self.baseFilename)), encoding="utf-8", line_buffering=True)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Says nothing; the sweep ends with an error of its own."""


@contextmanager
def _logged_to(file: Path) -> Iterator[None]:
    """Sends the driver side of Ray's log to a file instead of stderr, and what it prints to stdout as well."""
    import ray

    logger = logging.getLogger("ray")
    kept, level = logger.handlers[:], logger.level
    handler = _QuietFileHandler(file, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(filename)s:%(lineno)d %(message)s"))
    logger.handlers[:] = [handler]
    logger.setLevel(logging.WARNING)
    # A thread of Ray's prints each dead worker on stdout, which is for results; there is no setting for it.
    worker, said = ray._private.worker, getattr(ray._private.worker, "print_to_stdstream", None)
    if said is not None:
        worker.print_to_stdstream = _told_to(logger)
    try:
        yield
    finally:
        if said is not None:
            worker.print_to_stdstream = said
        logger.handlers[:] = kept
        logger.setLevel(level)
        handler.close()


@dataclass(frozen=True, kw_only=True)
class Node:
    """What Ray may give out on one machine.

    Attributes:
        cpus: cores.
        gpus: GPUs.
    """

    cpus: float
    gpus: float


def nodes() -> list[Node]:
    """The living machines of the cluster that is joined."""
    import ray

    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(cpus=float(one.get("CPU", 0.0)), gpus=float(one.get("GPU", 0.0))) for one in found]


def _check(address: str) -> None:
    parsed = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parsed.hostname, parsed.port
    except ValueError as error:
        raise UsageError(f"'{address}' is no Ray address", hint="for example 10.0.0.5:6379") from error
    if not host or not port:
        raise UsageError(f"'{address}' is no Ray address", hint="for example 10.0.0.5:6379")
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return
    except OSError as error:
        raise SweepError(
            f"no Ray cluster answers at '{address}': {error.strerror or error}",
            hint="start one with `ray start --head`, or unset RAY_ADDRESS to run on this machine",
        ) from error
