"""A page of MLflow's in the browser: the server that shows it, found or started here."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Final

from kdzoo.addresses import file_address, sqlite_path
from kdzoo.cli.say import say, tell
from kdzoo.errors import TrackingError
from kdzoo.tracking.environment import prepare_mlflow

_START_SECONDS: Final = 180.0
_END_SECONDS: Final = 10.0


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's, which has pages, and no database's."""
    return uri.startswith(("http://", "https://"))


def show(url: str) -> None:
    """Prints a page's address on stdout, and opens it where there is a display."""
    say(url)
    if _has_display():
        webbrowser.open(url)


def serve(uri: str, artifacts: Path, *, host: str, port: int, ready: Callable[[str], None] | None = None) -> None:
    """Serves MLflow's pages on a database until it is interrupted or terminated, which ends the server, too.

    Args:
        uri: the database.
        artifacts: folder of its artifacts.
        host: address to serve on.
        port: port to serve on.
        ready: told the server's address once it answers.

    Raises:
        TrackingError: the port is taken, or the server ended by itself, or does not answer, or the database was left
            half made.
        KeyboardInterrupt: Ctrl-C, or SIGTERM.
    """
    _check_free(host, port)
    artifacts.mkdir(parents=True, exist_ok=True)
    path = sqlite_path(uri)
    if path is not None:
        prepare_mlflow()
        from kdzoo.tracking.database import prepare_database

        prepare_database(path)  # the server and its workers would all make it at once
    command = [sys.executable, "-m", "mlflow", "ui"]
    command += ["--default-artifact-root", file_address(artifacts), "--host", host, "--port", str(port)]
    # In the environment, not among the arguments, which every user of the machine can read: it may hold a password.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    address = f"http://{_bracketed(host)}:{port}"
    with _terminated_as_interrupted(), _running([*command, "--workers", "1"], environment) as process:
        _wait(process, host, port)
        tell(f"MLflow UI at {address} (Ctrl-C stops it)")
        if ready is not None:
            ready(address)
        raise _ended(process.wait())


@contextmanager
def _running(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A server with all its workers, which end with the block.

    In a session of their own: a Ctrl-C in the terminal reaches this process alone, which ends them without tracebacks.
    """
    # What it says is chatter; stdout is for the page's address.
    process = subprocess.Popen(command, env=environment, stdout=sys.stderr, start_new_session=True)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Asks a server and its workers to end; those that have not after some seconds are killed."""
    if sys.platform == "win32":
        process.terminate()
        process.wait()
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Takes SIGTERM, and a terminal that is closed, for Ctrl-C, so that what was started here ends, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    asked = [signal.SIGTERM, *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ())]
    before = {number: signal.signal(number, end) for number in asked}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _check_free(host: str, port: int) -> None:
    """Sees to it that a server can listen there, before anything is announced.

    Raises:
        TrackingError: it cannot.
    """
    other = f"choose another with --port, such as {free_port(port + 1)}"
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            if sys.platform != "win32":  # there it would let two listen
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except socket.gaierror as error:
        raise TrackingError(f"there is no address '{host}' to serve on: {error.strerror}", hint="see --host") from error
    except PermissionError as error:
        raise TrackingError(f"no right to listen on port {port}", hint=other) from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise TrackingError(f"port {port} of {host} is taken by another program", hint=other) from error
        raise TrackingError(f"cannot listen on {host}, port {port}: {error.strerror}", hint="see --host") from error


def free_port(wanted: int = 5000) -> int:
    """The port that `kdzoo ui` takes, or another one where somebody listens there."""
    for port in (wanted if wanted < 65536 else 0, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TrackingError("no port of this machine is free", hint="choose one with --port")


def _wait(process: subprocess.Popen[bytes], host: str, port: int) -> None:
    """Waits until the server answers.

    Raises:
        TrackingError: it ended, or does not answer.
    """
    asked = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    url = f"http://{_bracketed(asked)}:{port}/health"
    deadline = time.monotonic() + _START_SECONDS
    while True:
        status = process.poll()
        if status is not None:
            raise _ended(status)
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return  # a server that lets nobody in by this name
        except OSError:
            if time.monotonic() > deadline:
                raise TrackingError(f"the MLflow UI does not answer at {url}") from None
            time.sleep(0.2)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _ended(status: int) -> TrackingError:
    return TrackingError(
        f"the MLflow UI ended by itself with status {status}", hint="what it said stands above; `kdzoo doctor` may know"
    )


def _has_display() -> bool:
    """Whether a browser of this machine is one that the person sees."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
