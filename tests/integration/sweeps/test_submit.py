"""`kdzoo submit` on a real Ray head with its dashboard and job server."""

import importlib.util
import json
import os
import socket
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers.command import run
from helpers.layouts import make_dataset
from ray.cluster_utils import Cluster

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("aiohttp_cors") is None, reason="ray[default] is not installed: no job server to submit to"
)


def free_port():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head with one core and a job server; its jobs have a home of their own."""
    home = tmp_path_factory.mktemp("cluster")
    given = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "KDZOO_HOME": str(home / "kdzoo"),
        "HOME": str(home),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "object_store_memory": 100 * 2**20,
                "include_dashboard": True,
                "dashboard_host": "127.0.0.1",
                "dashboard_port": free_port(),
                # The usual one belongs to whatever Ray runs here already.
                "dashboard_agent_listen_port": free_port(),
            },
        )
        try:
            yield made, home
        finally:
            made.shutdown()


@pytest.fixture
def address(cluster, monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return f"http://{cluster[0].head_node.webui_url}"


def test_a_command_runs_there_and_its_exit_status_comes_back(cluster, address, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:hidden@mlflow:5000")
    monkeypatch.setenv("KDZOO_ZOO", "s3://zoo/kdzoo")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden")
    # Another cluster's address in the environment does not count beside --address.
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    good = run(capfd, "submit", "--address", address, "--follow", "methods")
    assert good.status == 0 and "rd " in good.out, good.err
    assert "MLFLOW_TRACKING_URI stays here: it holds credentials" in good.err
    job = good.out.splitlines()[0]
    shown = json.loads(run(capfd, "submit", "show", job, "--json", "--address", address).out)
    assert (shown["state"], shown["command"], shown["status"]) == ("succeeded", "kdzoo methods", 0)
    assert shown["variables"].keys() == {"KDZOO_ZOO", "KDZOO_WHO"} and "hidden" not in json.dumps(shown)
    bad = run(capfd, "submit", "--address", address, "-f", "evaluate", "rd", "no/such")
    assert bad.status == 1 and "Error: " in bad.out, bad
    listed = json.loads(run(capfd, "submit", "--address", address, "list", "--json").out)
    assert [one["state"] for one in listed] == ["failed", "succeeded"]
    over = run(capfd, "submit", "stop", job, "--address", address)
    assert over.status == 1 and f"the job '{job}' is over: succeeded" in over.err
    nearest = run(capfd, "submit", "logs", f"{job}x", "--address", address)
    assert nearest.status == 2 and f"did you mean '{job}'?" in nearest.err


def test_a_sweep_that_is_stopped_ends_cleanly(cluster, address, capfd):
    home = cluster[1]
    parts = make_dataset(home / "parts", ("bottle",))
    # The cluster's own address, as a sweep takes it, does as well.
    sweep = ["sweep", "rd", "--dataset", parts, "--teacher", "random-resnet18", "--image-size", 64, "--name", "night"]
    job = run(capfd, "submit", "--address", cluster[0].address, *sweep, "--trials", 5000, "--epochs", 2).out.strip()
    until = time.monotonic() + 240
    # When the fourth trial has begun, the best of the first ones has a checkpoint that can be published.
    while not (home / "kdzoo/sweeps/night/trials/bottle-0003").exists():
        assert time.monotonic() < until, run(capfd, "submit", "--address", address, "logs", job).out
        time.sleep(0.5)
    assert run(capfd, "submit", "--address", address, "stop", job).status == 0
    ended = run(capfd, "submit", "--address", address, "logs", "--follow", job)
    assert ended.status == 130 and "`kdzoo sweep --resume night` goes on with it" in ended.out, ended.out
    assert (home / "kdzoo/zoo/entries/rd/parts/bottle/releases").is_dir(), ended.out
