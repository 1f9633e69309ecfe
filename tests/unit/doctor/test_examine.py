"""The command, and checks that break, hang or find something missing."""

import json
import socket
import time

import pytest
from helpers.command import run

from kdzoo.doctor import Asked, examine
from kdzoo.doctor.child import run_check
from kdzoo.doctor.examine import LIMITS


@pytest.fixture
def frozen():
    """A port where connections are taken and answers never come."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_check_that_hangs_is_ended(frozen, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{frozen}")
    started = time.monotonic()
    steps = []
    found = examine(Asked(), limits={"mlflow": 1.0, "disk": 60.0}, progress=lambda *step: steps.append(step))
    assert [finding.check for finding in found] == ["mlflow", "disk", "disk"]
    assert (found[0].state, found[0].what) == ("fail", "no answer within 1 s")
    assert steps[-1] == (2, 2)
    assert time.monotonic() - started < 60


def test_a_check_that_breaks_is_a_failure():
    (found,) = examine(Asked(), limits={"no such check": 60.0})
    assert found.state == "fail" and found.what == "the check itself broke: KeyError: 'no such check'"


def test_settings_that_are_wrong_fail_every_check(monkeypatch):
    monkeypatch.setenv("KDZOO_CACHE_LIMIT", "much")
    states = {name: [finding.state for finding in run_check(name, Asked())] for name in LIMITS}
    assert states == {name: ["fail"] for name in LIMITS}


def test_a_zoo_is_written_and_left_as_it_was(tmp_path):
    (found,) = run_check("zoo", Asked(zoo=str(tmp_path / "zoo")))
    left = [path for path in (tmp_path / "zoo").rglob("*") if path.is_file() and path.parent.name != ".locks"]
    assert (found.state, left) == ("ok", [])
    (tmp_path / "file").write_text("x")
    (found,) = run_check("zoo", Asked(zoo=str(tmp_path / "file")))
    assert found.state == "fail"


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:10001", "nowhere"])
def test_ray_that_is_not_there_is_found_out_in_seconds(address):
    started = time.monotonic()
    (found,) = run_check("ray", Asked(ray_address=address))
    assert found.state == "fail" and address in found.what and found.hint
    assert time.monotonic() - started < 30


def test_the_command_as_a_table_and_as_json(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(LIMITS, "mlflow", 60.0)
    for name in ("data set", "teacher", "zoo"):
        monkeypatch.delitem(LIMITS, name)
    done = run(capsys, "doctor", "--ray-address", "127.0.0.1:9", "--json")
    said = json.loads(done.out)
    assert done.status == 1 and said["ok"] is False
    assert [(one["check"], one["state"]) for one in said["findings"]][-1] == ("ray", "fail")
    monkeypatch.delitem(LIMITS, "ray")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    done = run(capsys, "doctor")
    assert (
        done.status == 0 and "0 fail: ready to sweep" in done.out and "mlflow.db is made at its first use" in done.out
    )
