"""The driver's keys reach neither workers nor anything that a sweep leaves behind."""

import os
import subprocess
import sys
import time
import uuid

import pytest
from helpers import secrets
from helpers.layouts import make_dataset
from helpers.processes import environ_of_python
from helpers.ray_nodes import ray_nodes
from helpers.sweeps import descendants

SMALL = ("width=0.25", "batch_size=4", "amplify_epochs=1", "distil_epochs=2")


class Planted:
    """A driver's environment with secrets that stand nowhere else."""

    def __init__(self, s3):
        mark = uuid.uuid4().hex
        client = s3.client()
        self.client, self.bucket = client, s3.new_bucket(client)
        self.hidden = {
            "AWS_ACCESS_KEY_ID": f"AKIA{mark[:16].upper()}",
            "AWS_SECRET_ACCESS_KEY": f"secret-{mark}",
            "AWS_SESSION_TOKEN": f"token-{mark}",
            "MLFLOW_TRACKING_TOKEN": f"mlflow-{mark}",
            "KDZOO_SIGNING_PASSPHRASE": f"phrase-{mark}",
        }
        self.environ = {**s3.variables(), "KDZOO_ZOO": f"s3://{self.bucket}/zoo", **self.hidden}

    @property
    def words(self):
        return list(self.hidden.values())

    def objects(self):
        """What stands in the bucket."""
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.bucket).get("Contents", [])]


@pytest.fixture
def planted(s3, no_proxy):
    return Planted(s3)


def _sweep(folder, environ):
    """Starts a small sweep in a process of its own."""
    make_dataset(folder / "parts", ("bottle",))
    given = ["--dataset", folder / "parts", "--teacher", "random-resnet18", "--protocol", "holdout", "--name", "sealed"]
    given += ["--image-size", 64, "--trials", 2, *(word for one in SMALL for word in ("--set", one))]
    environ = environ_of_python(RAY_worker_niceness="0", KDZOO_HOME=str(folder / "home"), **environ)
    with (folder / "driver.out").open("w") as out:
        command = [sys.executable, "-m", "kdzoo", "sweep", "aand", *map(str, given)]
        return subprocess.Popen(command, env=environ, stdout=out, stderr=out, cwd=folder, start_new_session=True)


def _watched(process, pids, words, *, seconds=400):
    """Looks at the environment of processes until a sweep ends; gives those with a secret, and all that were seen."""
    deadline, found, seen = time.monotonic() + seconds, [], set()
    try:
        while process.poll() is None and time.monotonic() < deadline:
            living = pids()
            found += secrets.environments(living, words, driver=b"kdzoo\0sweep\0")
            seen |= set(living)
            time.sleep(0.3)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, 9)
        process.wait()
    return found, seen


@pytest.mark.timeout(600)
def test_on_a_cluster_no_worker_no_log_and_no_page_has_the_keys(tmp_path, planted, record_property):
    from kdzoo.tracking.store import open_client

    database = tmp_path / "home" / "mlflow" / "mlflow.db"
    # Pictures go to the bucket from the driver while the keys are hidden: MLflow makes its own client for that.
    place = f"s3://{planted.bucket}/pictures"
    open_client(f"sqlite:///{database}").create_experiment("kdzoo/aand/parts", artifact_location=place)
    with ray_nodes(2, dashboard=True) as cluster:
        process = _sweep(tmp_path, planted.environ | {"RAY_ADDRESS": cluster.address})
        nodes = cluster.nodes
        found, seen = _watched(
            process, lambda: [pid for node in nodes for pid in cluster.processes(node)], planted.words
        )
        said = (tmp_path / "driver.out").read_text()
        assert process.returncode == 0, said[-3000:]
        assert "bottle" in said and "first champion" in said, said[-3000:]
        pages, sizes = secrets.dashboard(cluster.dashboard, planted.words)
        assert {"/api/jobs/", "/nodes?view=summary"} < sizes.keys() and sum(sizes.values()) > 10_000, sizes
        in_logs, logs = secrets.holding(cluster.session, planted.words)
    left, kept = secrets.holding(tmp_path, planted.words)
    record_property("files", logs + kept)
    print(f"{logs} files of Ray, {kept} of the sweep, {len(sizes)} pages, {len(seen)} processes")
    assert (found, pages, in_logs, left) == ([], [], [], [])
    assert logs > 20 and kept > 30 and len(seen) > 4
    keys = planted.objects()
    assert any(key.startswith("zoo/entries/") for key in keys)
    assert any(key.startswith("pictures/") and key.endswith("/cases.png") for key in keys), keys


@pytest.mark.timeout(600)
def test_a_ray_of_its_own_hands_no_key_on_to_its_workers(tmp_path, planted):
    process = _sweep(tmp_path, planted.environ)
    found, seen = _watched(process, lambda: descendants(process.pid), planted.words)
    assert process.returncode == 0, (tmp_path / "driver.out").read_text()[-3000:]
    assert len(seen) > 4 and found == []
    assert any(key.startswith("zoo/entries/") for key in planted.objects())


def test_the_search_finds_what_is_there(tmp_path, planted):
    """The control: each way of looking sees a secret that is not hidden."""
    (tmp_path / "log").write_text(f"a {planted.words[1]} b")
    assert secrets.holding(tmp_path, planted.words) == ([str(tmp_path / "log")], 1)
    with subprocess.Popen(["sleep", "300"], env={**os.environ, **planted.environ}) as process:
        try:
            until, found = time.monotonic() + 200, []
            while not found and time.monotonic() < until:
                time.sleep(0.1)
                found = secrets.environments([process.pid], planted.words)
        finally:
            process.kill()
    assert [pid for pid, _ in found] == [process.pid]
