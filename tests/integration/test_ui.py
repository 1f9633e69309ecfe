"""`kdzoo ui` as a process: what it announces, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from helpers.processes import environ_of_python


@pytest.fixture
def started(tmp_path, isolated):
    """Starts `kdzoo ui` in a session of its own, with its output in a file."""
    running = []

    def start(port):
        with (tmp_path / "said.txt").open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "kdzoo", "ui", "--port", str(port)],
                env=environ_of_python(),
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                # What runs tests in the background of a script has its children ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        running.append(process)
        return process, lambda: (tmp_path / "said.txt").read_text()

    yield start
    for process in running:
        process.kill()
        process.wait()


def a_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except urllib.error.URLError:
        return False


def test_a_taken_port_is_said_before_anything_is_announced(started):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process, said = started(port)
        assert process.wait(120) == 1
    assert f"port {port} of 127.0.0.1 is taken by another program" in said()
    assert "--port" in said() and "MLflow UI at" not in said()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_without_a_traceback(started, number):
    port = a_port()
    process, said = started(port)
    deadline = time.monotonic() + 240
    while "MLflow UI at" not in said():
        assert process.poll() is None and time.monotonic() < deadline, said()
        time.sleep(0.2)
    assert answers(port), "announced before it answers"
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        process.send_signal(number)
    assert process.wait(60) == 130
    assert not answers(port)
    assert "Traceback" not in said() and "bug in kdzoo" not in said()
