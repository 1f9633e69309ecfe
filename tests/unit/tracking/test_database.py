"""MLflow's database in a file is made whole or not at all, by one process; a half-made one is explained."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from helpers.command import run
from helpers.databases import OLDER, leave_half, leave_hot, make_old, make_whole, opened, openers, upgrade_to
from helpers.processes import environ_of_python

from kdzoo.doctor.child import run_check
from kdzoo.doctor.finding import Asked
from kdzoo.errors import TrackingError
from kdzoo.tracking import database as database_module
from kdzoo.tracking.database import known_revisions, look_at, prepare_database
from kdzoo.tracking.environment import prepare_mlflow

prepare_mlflow()
WHOLE = "opened Default"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "mlflow" / "mlflow.db"


@pytest.mark.timeout(300)
def test_processes_that_open_a_new_file_at_once_all_find_it_whole(tmp_path):
    with openers(3) as processes:
        for attempt in range(6):
            path = tmp_path / str(attempt) / "mlflow.db"
            assert opened(processes, path) == [WHOLE] * 3
            assert look_at(path).state == "ready"
            assert sorted(one.name for one in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
        old = tmp_path / "old" / "mlflow.db"
        make_old(old)
        assert opened(processes, old) == [f"{WHOLE} kept"] * 3
        assert sorted(one.name for one in old.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]
        assert look_at(old).runs == 1


@pytest.mark.timeout(300)
def test_one_that_is_killed_while_it_makes_a_file_leaves_none(path):
    program = (
        "from kdzoo.tracking import database; from pathlib import Path\n"
        "from kdzoo.tracking.environment import prepare_mlflow; prepare_mlflow()\n"
        f"database.prepare_database(Path({str(path)!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", program], env=environ_of_python()) as process:
        try:
            until = time.monotonic() + 120
            while not list(path.parent.glob(".mlflow.db.*.new")) and time.monotonic() < until:
                time.sleep(0.005)
        finally:
            os.kill(process.pid, signal.SIGKILL)
    assert not path.exists() and list(path.parent.glob(".mlflow.db.*.new"))
    prepare_database(path)
    assert look_at(path).state == "ready"
    assert sorted(one.name for one in path.parent.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


def test_one_whose_writer_was_killed_is_read_and_written_again(path):
    make_whole(path)
    leave_hot(path, "experiments", "name")
    assert look_at(path).state == "ready"
    leave_hot(path, "experiments", "name")
    prepare_database(path)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM experiments").fetchall() == []
    assert sorted(one.name for one in path.parent.iterdir()) == ["mlflow.db"]


def test_an_empty_file_is_made_a_database(path):
    path.parent.mkdir()
    path.touch()
    assert look_at(path).state == "empty"
    prepare_database(path)
    assert look_at(path).state == "ready"


def test_a_half_migrated_file_is_explained_by_whoever_opens_it(path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    make_old(path)
    leave_half(path)
    with pytest.raises(TrackingError, match=r"is half made: the table 'runs' was being rewritten") as caught:
        prepare_database(path)
    next_step = f"mv '{path}' '{path}.broken' && kdzoo mlflow sync; the 1 runs in the old file stay there"
    assert next_step in caught.value.hint
    (found,) = run_check("mlflow", Asked())
    assert found.state == "fail" and "is half made" in found.what and next_step in found.hint
    for command in (("leaderboard",), ("mlflow", "sync")):
        done = run(capsys, *command)
        said = " ".join(done.err.split())
        assert done.status == 1 and "is half made" in said and f"mv '{path}'" in said
    path.rename(f"{path}.broken")
    (found,) = run_check("mlflow", Asked())
    assert found.state == "ok"


def test_what_was_kept_before_a_migration_is_put_back(path, monkeypatch):
    """As it is after a power cut in the middle of one."""
    import kdzoo.tracking.database as database

    make_old(path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{path}")
    with monkeypatch.context() as cut:
        cut.setattr(database, "_upgrade", lambda _: (leave_half(path), (_ for _ in ()).throw(KeyboardInterrupt)))
        with pytest.raises(KeyboardInterrupt):
            prepare_database(path)
    (found,) = run_check("mlflow", Asked())
    kept = f"{path}.before-upgrade"
    assert found.state == "fail" and f"mv '{kept}' '{path}'" in found.hint
    Path(kept).replace(path)
    prepare_database(path)
    assert (look_at(path).state, look_at(path).runs) == ("ready", 1)


def revision(path):
    with closing(sqlite3.connect(path)) as database:
        return [one for (one,) in database.execute("SELECT version_num FROM alembic_version")]


def test_each_older_revision_is_brought_up_to_date_whatever_tables_it_has(path):
    """Some of MLflow's newest steps add a column or an index alone."""
    newest, *older = known_revisions()
    make_old(path)
    for step in reversed(older[:4]):
        upgrade_to(path, step)
        assert revision(path) == [step] and look_at(path, known_revisions()).state == "old"
        copy = path.with_name(f"{step}.db")
        shutil.copy(path, copy)
        prepare_database(copy)
        assert (revision(copy), look_at(copy, known_revisions()).state, look_at(copy).runs) == ([newest], "ready", 1)


def test_a_migration_that_was_killed_between_two_steps_begins_again_from_what_was_kept(path, monkeypatch):
    make_old(path)
    newest, before_it, *_ = known_revisions()

    def killed(file):
        upgrade_to(file, before_it)  # step after step, each for good
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE alembic_version SET version_num = ?", (OLDER,))  # its steps cannot be taken again
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(database_module, "_upgrade", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_database(path)
    kept = Path(f"{path}.before-upgrade")
    before = kept.read_bytes()
    with monkeypatch.context() as cut:
        cut.setattr(database_module, "_upgrade", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_database(path)
    assert kept.read_bytes() == before  # the good copy is never replaced by a worse one
    prepare_database(path)
    assert (revision(path), look_at(path).runs, kept.exists()) == ([newest], 1, False)


def test_one_that_fails_leaves_the_file_as_it_was(path, monkeypatch):
    make_old(path)

    def fails(file):
        upgrade_to(file, known_revisions()[1])
        raise TrackingError("no room")

    with monkeypatch.context() as cut:
        cut.setattr(database_module, "_upgrade", fails)
        with pytest.raises(TrackingError, match="no room"):
            prepare_database(path)
    assert revision(path) == [OLDER] and not Path(f"{path}.before-upgrade").exists()
    prepare_database(path)
    assert look_at(path, known_revisions()).state == "ready"


def test_what_was_written_since_is_not_thrown_away(path):
    make_old(path)
    shutil.copy(path, f"{path}.before-upgrade")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage) VALUES ('later', 7, 'active')")
    with pytest.raises(TrackingError, match="holds runs from after that") as caught:
        prepare_database(path)
    assert "mlflow db upgrade" in caught.value.hint and look_at(path).runs == 2


def test_a_copy_that_is_needed_no_more_goes_and_is_never_put_back(path):
    make_whole(path)
    Path(f"{path}.before-upgrade").write_bytes(b"of long ago")
    prepare_database(path)
    assert not Path(f"{path}.before-upgrade").exists() and look_at(path).state == "ready"


def test_a_newer_mlflows_file_is_left_alone(path):
    make_whole(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffffffffffff'")
    before = path.read_bytes()
    with pytest.raises(TrackingError, match="written by a newer MLflow"):
        prepare_database(path)
    assert path.read_bytes() == before and not Path(f"{path}.before-upgrade").exists()


def test_one_that_is_being_migrated_is_no_failure(path):
    """The doctor looks while another process holds the lock."""
    from kdzoo.data.file_lock import advisory_lock

    make_old(path)
    leave_half(path)
    with advisory_lock(path.with_name("mlflow.db.lock"), patience_s=1) as held:
        assert held
        environ = {"MLFLOW_TRACKING_URI": f"sqlite:///{path}"}
        program = (
            "from kdzoo.doctor.child import run_check; from kdzoo.doctor.finding import Asked\n"
            "print(run_check('mlflow', Asked())[0])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environ_of_python(**environ),
            capture_output=True,
            text=True,
            check=True,
        )
    assert "state='warn'" in done.stdout and "being brought up to date" in done.stdout


def test_what_is_no_database_is_left_alone(path):
    path.parent.mkdir()
    path.write_bytes(b"not a database at all, but a text of some length")
    with pytest.raises(TrackingError, match="is no MLflow database"):
        prepare_database(path)
    assert path.read_bytes().startswith(b"not a database")
