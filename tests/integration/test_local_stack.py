"""A sweep through everything at once: PostgreSQL or SQLite, MLflow on S3, a zoo on S3, a Ray of three nodes."""

import importlib.util
import json
import os
import shlex
import subprocess
import sys

import pytest
from helpers.layouts import make_dataset
from helpers.local_stack import run_script, script_module

DATABASES = ["sqlite", *(["postgresql"] if importlib.util.find_spec("psycopg2") else [])]
"""MLflow needs a driver for PostgreSQL; the database itself is tested without."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


def exported(text):
    pairs = [shlex.split(line)[1].split("=", 1) for line in text.splitlines()]
    return dict(pairs)


def kdzoo(environment, *arguments):
    command = [sys.executable, "-m", "kdzoo", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("database", DATABASES)
def test_a_sweep_through_all_of_it(tmp_path, isolated, database):
    make_dataset(tmp_path / "parts", ("bottle",))
    stack = tmp_path / "stack"
    try:
        variables = exported(run_script(stack, "--database", database).stdout)
        environment = os.environ | variables
        assert variables["KDZOO_ZOO"].startswith("s3://") and variables["RAY_AUTH_MODE"] == "token"

        done = kdzoo(environment, "doctor", "-d", tmp_path / "parts", "--teacher", "random-resnet18", "--json")
        found = json.loads(done.stdout)["findings"]
        failed = [one for one in found if one["state"] == "fail" and one["check"] != "disk"]
        assert failed == [], done.stdout
        assert len([one for one in found if one["check"] == "data set" and one["state"] == "ok"]) == 4

        given = ["rd", "-d", tmp_path / "parts", "--teacher", "random-resnet18", "--image-size", "64"]
        done = kdzoo(environment, "sweep", *given, "--protocol", "holdout", "--epochs", 1, "--trials", 2, "--json")
        assert done.returncode == 0, done.stderr[-3000:]
        (outcome,) = json.loads(done.stdout)["categories"]
        assert outcome["published"]["promoted"]

        board = json.loads(kdzoo(environment, "leaderboard", "--json").stdout)
        assert [row["category"] for row in board["tables"][0]["rows"]] == ["bottle"]
        assert "bottle" in kdzoo(environment, "zoo", "--json").stdout
    finally:
        run_script(stack, "--stop")
    assert not (stack / "stack.json").exists()


def test_postgresql_starts_is_asked_and_ends(tmp_path):
    script = script_module()
    stack = script.Stack(tmp_path)
    variables = script.start_postgres(stack)
    try:
        uri = variables["MLFLOW_BACKEND_STORE_URI"]
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
