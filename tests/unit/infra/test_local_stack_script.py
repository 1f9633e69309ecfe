"""What `infra/local-stack` does when something is missing, fails or has ended by itself."""

import os
import signal
import subprocess
import sys

import pytest
from helpers.local_stack import run_script, script_module


@pytest.fixture(scope="module")
def script():
    return script_module()


@pytest.fixture
def sleeper():
    """A process with a group of its own, and its time of start."""
    process = subprocess.Popen(["sleep", "600"], start_new_session=True)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_nothing_to_end(tmp_path):
    done = run_script(tmp_path / "none", "--stop", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: no stack was started in {tmp_path / 'none'}\n"


def test_a_missing_program_is_found_before_anything_starts(script, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(script.StackError, match="'postgres' of PostgreSQL is not on the PATH"):
        script.start(tmp_path / "stack", "postgresql", 1)
    assert not (tmp_path / "stack").exists()


def test_a_second_stack_in_the_same_folder_is_refused(script, tmp_path):
    script.Stack(tmp_path).save()
    with pytest.raises(script.StackError, match=r"there is a stack in .* already"):
        script.start(tmp_path, "sqlite", 1)
    assert (tmp_path / "stack.json").exists()


def test_a_server_that_ends_is_shown_with_its_last_words(script, tmp_path):
    stack = script.Stack(tmp_path)
    stack.run("short", [sys.executable, "-c", "print('no room'); raise SystemExit(3)"], {})
    with pytest.raises(script.StackError, match=r"(?s)short ended; .*short\.log says:\nno room"):
        stack.wait("short", lambda: False)


def test_ending_leaves_a_process_alone_that_got_the_number_since(script, sleeper):
    script.end(sleeper.pid, "1", signal.SIGTERM)
    assert sleeper.poll() is None
    script.end(sleeper.pid, script.start_time(sleeper.pid), signal.SIGTERM)
    assert sleeper.wait(10) == -signal.SIGTERM
    script.end(sleeper.pid, "1", signal.SIGTERM)  # gone: nothing to do


def test_a_failed_start_leaves_nothing(script, tmp_path, monkeypatch):
    def failing(stack):
        stack.run("s3", ["sleep", "600"], {})
        stack.new_scratch("test")
        raise script.StackError("no port")

    monkeypatch.setattr(script, "start_s3", failing)
    started = []
    real_run = script.Stack.run
    monkeypatch.setattr(script.Stack, "run", lambda stack, *given: (real_run(stack, *given), started.append(stack)))
    with pytest.raises(script.StackError, match="no port"), script.ended_on_failure(tmp_path):
        script.start(tmp_path, "sqlite", 1)
    (stack,) = started
    assert stack.processes["s3"].wait(10) == -signal.SIGTERM
    assert not (tmp_path / "stack.json").exists() and not os.path.exists(stack.scratch[0])  # noqa: PTH110


def test_the_variables_of_other_servers_do_not_reach_these(script, monkeypatch):
    for name in ("AWS_PROFILE", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "PGHOST"):
        monkeypatch.setenv(name, "elsewhere")
    assert "elsewhere" not in script.environment().values()
