"""A page of MLflow's in the browser: the server that shows it, found or started here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kdzoo.addresses import file_address, sqlite_path
from kdzoo.cli.say import say, tell
from kdzoo.errors import TrackingError
from kdzoo.tracking.environment import prepare_mlflow

_START_SECONDS: Final = 180.0


def is_server(uri: str) -> bool:
    """Whether a tracking URI is a server's, which has pages, and no database's."""
    return uri.startswith(("http://", "https://"))


def show(url: str) -> None:
    """Prints a page's address on stdout, and opens it where there is a display."""
    say(url)
    if _has_display():
        webbrowser.open(url)


def serve(uri: str, artifacts: Path, *, host: str, port: int, ready: Callable[[str], None] | None = None) -> None:
    """Serves MLflow's pages on a database until it is interrupted.

    Args:
        uri: the database.
        artifacts: folder of its artifacts.
        host: address to serve on.
        port: port to serve on.
        ready: told the server's address once it answers.

    Raises:
        TrackingError: the server ended by itself, or does not answer, or the database was left half made.
    """
    artifacts.mkdir(parents=True, exist_ok=True)
    path = sqlite_path(uri)
    if path is not None:
        prepare_mlflow()
        from kdzoo.tracking.database import prepare_database

        prepare_database(path)  # the server and its workers would all make it at once
    address = f"http://{host}:{port}"
    tell(f"MLflow UI at {address} (Ctrl-C stops it)")
    command = [sys.executable, "-m", "mlflow", "ui"]
    command += ["--default-artifact-root", file_address(artifacts), "--host", host, "--port", str(port)]
    # In the environment, not among the arguments, which every user of the machine can read: it may hold a password.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": uri}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    # What it says is chatter; stdout is for the page's address.
    process = subprocess.Popen([*command, "--workers", "1"], env=environment, stdout=sys.stderr)
    try:
        if ready is not None:
            _wait(process, f"{address}/health")
            ready(address)
        status = process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if status not in (0, -2, 130):
        raise _ended(port, status)


def free_port(wanted: int = 5000) -> int:
    """The port that `kdzoo ui` takes, or another one where somebody listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TrackingError("no port of this machine is free", hint="choose one with --port")


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        status = process.poll()
        if status is not None:
            raise _ended(int(url.rpartition(":")[2].partition("/")[0]), status)
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise TrackingError(f"the MLflow UI does not answer at {url}") from None
            time.sleep(0.2)


def _ended(port: int, status: int) -> TrackingError:
    return TrackingError(
        f"the MLflow UI ended with status {status}", hint=f"is port {port} in use? choose another with --port"
    )


def _has_display() -> bool:
    """Whether a browser of this machine is one that the person sees."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
