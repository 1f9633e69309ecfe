"""What to do when MLflow fails: commands that run as they stand, and no file called bad that is only in use."""

import os
import shlex
import sqlite3
import subprocess
from contextlib import closing

import pytest
from helpers.command import run

from kdzoo.addresses import sqlite_address
from kdzoo.doctor.child import run_check
from kdzoo.doctor.finding import Asked
from kdzoo.errors import TrackingError
from kdzoo.settings import Settings
from kdzoo.tracking import database as database_module
from kdzoo.tracking.database import known_revisions, look_at, prepare_database
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.hints import restore_command, what_to_do


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A database under a home whose name a shell takes for more than a name."""
    home = tmp_path / "it's 50%41?"
    monkeypatch.setenv("KDZOO_HOME", str(home))
    path = home / "mlflow" / "mlflow.db"
    prepare_database(path)
    return path


def test_the_command_of_a_deleted_experiment_restores_it(path, tmp_path):
    prepare_mlflow()
    from kdzoo.tracking.store import MlflowStore, open_client

    settings = Settings.from_environment()
    number = MlflowStore(settings.mlflow_uri, settings.mlflow_artifacts)._experiment("kdzoo/rd/parts")
    client = open_client(settings.mlflow_uri)
    client.delete_experiment(number)
    with pytest.raises(TrackingError, match="is deleted") as failed:
        MlflowStore(settings.mlflow_uri, settings.mlflow_artifacts)._experiment("kdzoo/rd/parts")
    (tmp_path / "elsewhere").mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    command = failed.value.hint.partition(": ")[2]
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path / "elsewhere",
        env=environment,
        capture_output=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert client.get_experiment(number).lifecycle_stage == "active"
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_password_is_in_a_command():
    assert restore_command("http://ann:secret@host:5000", "3") == "mlflow experiments restore --experiment-id 3"
    old = Exception("Detected out-of-date database schema (found version a, but expected b)")
    assert what_to_do("postgresql://ann:secret@host/x", old).endswith('mlflow db upgrade "$MLFLOW_TRACKING_URI"')
    assert what_to_do("postgresql://host/x", old).endswith("mlflow db upgrade postgresql://host/x")


@pytest.mark.parametrize(
    ("uri", "word"),
    [("http://host:5000", "server"), ("postgresql://host/x", "database"), ("sqlite:////x.db", "doctor")],
)
def test_what_is_asked_for_is_what_is_there(uri, word):
    assert word in what_to_do(uri, OSError("no answer"))


def test_a_locked_file_is_not_to_be_thrown_away(path, monkeypatch, capsys):
    monkeypatch.setattr(database_module, "_READ_SECONDS", 0.2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        done = run(capsys, "leaderboard")
        (found,) = run_check("mlflow", Asked())
    said = " ".join(done.err.split())
    assert done.status == 1 and "is locked: another process" in said
    assert "server" not in said and "move it away" not in said
    assert (found.state, "is locked" in found.what, "wait" in found.hint) == ("fail", True, True)


def set_back(path):
    """As it is where another variety of MLflow has made the tables, and this one's next step cannot be taken."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (known_revisions()[1],))


def content(path):
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


def test_a_file_that_cannot_be_brought_up_to_date_is_called_so_by_the_doctor_too(path, capsys):
    set_back(path)
    before = content(path)
    (found,) = run_check("mlflow", Asked())
    assert found.state == "fail" and "made by another version of MLflow" in found.what
    done = run(capsys, "leaderboard")
    assert done.status == 1 and "made by another version of MLflow" in " ".join(done.err.split())
    assert f"mlflow db upgrade {shlex.quote(sqlite_address(path))}" in found.hint
    assert f"mv {shlex.quote(str(path))}" in found.hint
    assert content(path) == before and look_at(path, known_revisions()).state == "old"


def test_a_newer_mlflows_file_is_called_so_by_the_doctor(path):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    (found,) = run_check("mlflow", Asked())
    assert found.state == "fail" and "newer MLflow" in found.what and "pip install --upgrade mlflow" in found.hint


def test_the_doctor_leaves_an_older_file_as_it_is(tmp_path, monkeypatch):
    from helpers.databases import OLDER, make_old

    old = tmp_path / "old" / "mlflow.db"
    make_old(old)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", sqlite_address(old))
    (found,) = run_check("mlflow", Asked())
    assert found.state == "warn" and "a copy of it could be" in found.what
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(OLDER,)]
