"""A sweep through everything at once: PostgreSQL or SQLite, MLflow on S3, a zoo on S3, a Ray of three nodes."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers.layouts import make_dataset
from helpers.local_stack import run_script, script_module

pytestmark = pytest.mark.timeout(1200)
needs_postgresql = pytest.mark.skipif(shutil.which("initdb") is None, reason="PostgreSQL's programs are not here")

LOAD = """
import json, mlflow, sys
(judged,) = mlflow.pyfunc.load_model("models:/kdzoo.rd.parts.bottle@champion").predict([sys.argv[1]])
print(json.dumps(judged))
"""


def exported(text):
    pairs = [shlex.split(line)[1].split("=", 1) for line in text.splitlines()]
    return dict(pairs)


def kdzoo(environment, *arguments, may_fail=False):
    command = [sys.executable, "-m", "kdzoo", *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert may_fail or done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def runs_by_level(variables):
    """How many runs there are of each level, as MLflow's server says."""
    ask = urllib.request.Request(
        f"{variables['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/runs/search",
        data=json.dumps({"experiment_ids": ["1"]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(ask, timeout=30) as answer:
        found = json.load(answer)["runs"]
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in found]
    return Counter(of_run["kdzoo.level"] for of_run in tags)


def asked_of_postgresql(stack, query):
    """What the database behind the MLflow server says, with the server's own address and password."""
    processes = json.loads((stack / "stack.json").read_text())["started"]
    (server,) = (one["pid"] for one in processes if one["name"] == "mlflow")
    variables = dict(line.split("=", 1) for line in Path(f"/proc/{server}/environ").read_text().split("\0") if line)
    uri = variables["MLFLOW_BACKEND_STORE_URI"].replace("+psycopg2", "")
    ask = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", query, uri]
    right = os.environ | {"PGPASSWORD": variables["PGPASSWORD"]}
    return subprocess.run(ask, env=right, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def swept_through_all(folder, database):
    """Starts the stack, sweeps on it and looks for what a sweep leaves, everywhere."""
    make_dataset(folder / "parts", ("bottle",))
    stack = folder / "stack"
    try:
        variables = exported(run_script(stack, "--database", database).stdout)
        environment = os.environ | variables
        assert variables["KDZOO_ZOO"].startswith("s3://") and variables["RAY_AUTH_MODE"] == "token"

        given = ["rd", "-d", folder / "parts", "--teacher", "random-resnet18", "--image-size", "64"]
        told = kdzoo(environment, "sweep", *given, "--protocol", "holdout", "--epochs", 1, "--trials", 2, "--json")
        (outcome,) = json.loads(told)["categories"]
        assert outcome["published"]["promoted"]

        board = json.loads(kdzoo(environment, "leaderboard", "--json"))
        assert [row["category"] for row in board["tables"][0]["rows"]] == ["bottle"]
        assert runs_by_level(variables) == {"sweep": 1, "category": 1, "trial": 2}
        if database == "postgresql":
            assert asked_of_postgresql(stack, "SELECT count(*) FROM runs") == "4"
        assert "bottle" in kdzoo(environment, "zoo", "--json")
        image = next((folder / "parts").rglob("test/good/*.png"))
        asked = [sys.executable, "-c", LOAD, str(image)]
        loaded = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
        assert loaded.returncode == 0, loaded.stderr[-3000:]
        assert json.loads(loaded.stdout)["threshold"] > 0
        yield environment
    finally:
        run_script(stack, "--stop")
    assert not (stack / "stack.json").exists()


@pytest.mark.long
@needs_postgresql
def test_a_sweep_through_all_of_it(tmp_path, isolated):
    with swept_through_all(tmp_path, "postgresql") as environment:
        assert environment["MLFLOW_TRACKING_URI"].startswith("http://127.0.0.1:")


@pytest.mark.long
def test_a_sweep_and_a_doctor_without_postgresql(tmp_path, isolated):
    with swept_through_all(tmp_path, "sqlite") as environment:
        asked = ("doctor", "-d", tmp_path / "parts", "--teacher", "random-resnet18", "--json")
        told = kdzoo(environment, *asked, may_fail=True)  # this machine's disk may be too small
        found = json.loads(told)["findings"]
        assert [one for one in found if one["state"] == "fail" and one["check"] != "disk"] == []
        assert len([one for one in found if one["check"] == "data set" and one["state"] == "ok"]) == 4


@needs_postgresql
def test_postgresql_starts_is_asked_and_ends(tmp_path):
    script = script_module()
    stack = script.Stack(tmp_path)
    variables = script.start_postgres(stack)
    try:
        uri = variables["MLFLOW_BACKEND_STORE_URI"].replace("+psycopg2", "")
        ask = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--command", "SELECT current_user", uri]
        right = os.environ | {"PGPASSWORD": variables["PGPASSWORD"]}
        done = subprocess.run(ask, env=right, capture_output=True, text=True, check=True)
        assert done.stdout == "mlflow\n"
        wrong = os.environ | {"PGPASSWORD": "guessed"}
        assert subprocess.run(ask, env=wrong, capture_output=True, check=False).returncode != 0
    finally:
        script.stop(tmp_path)
        assert stack.processes["postgres"].wait(10) == 0
    assert not [path for path in stack.scratch if os.path.exists(path)]  # noqa: PTH110
