"""The studies' file: durable without waiting at each commit, and readable by others."""

import os
import sqlite3
from contextlib import closing

import optuna
import pytest

from kdzoo.errors import StorageError
from kdzoo.search.study import study_file
from kdzoo.search.study.study_file import close_study_file, on_network, open_study_file


def ask(backend):
    study = optuna.create_study(storage=backend, study_name="bottle", load_if_exists=True)
    study.ask().suggest_float("lr", 0, 1)


def trials(path):
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        return database.execute("SELECT COUNT(*) FROM trials").fetchone()[0]


def pragma(backend, name):
    with backend.engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_commits_go_to_a_log_and_survive_a_power_cut_as_a_whole(tmp_path):
    backend = open_study_file(tmp_path / "studies.db")
    assert (pragma(backend, "journal_mode"), pragma(backend, "synchronous")) == ("wal", 1)
    ask(backend)
    assert trials(tmp_path / "studies.db") == 1, "another process sees what is in the log alone"
    close_study_file(backend)


def test_nothing_lies_beside_the_file_once_it_is_closed(tmp_path):
    backend = open_study_file(tmp_path / "studies.db")
    ask(backend)
    close_study_file(backend)
    assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]
    assert trials(tmp_path / "studies.db") == 1


def test_a_log_that_a_killed_driver_left_is_taken_in(tmp_path):
    child = os.fork()
    if child == 0:
        ask(open_study_file(tmp_path / "studies.db"))
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "studies.db-wal").stat().st_size > 0
    backend = open_study_file(tmp_path / "studies.db")
    ask(backend)
    close_study_file(backend)
    assert trials(tmp_path / "studies.db") == 2


def test_on_a_file_system_of_many_machines_each_commit_waits_instead(tmp_path, monkeypatch):
    monkeypatch.setattr(study_file, "on_network", lambda folder: True)
    backend = open_study_file(tmp_path / "studies.db")
    ask(backend)
    assert (pragma(backend, "journal_mode"), pragma(backend, "synchronous")) == ("delete", 1)
    close_study_file(backend)


@pytest.mark.parametrize(
    ("kind", "shared"), [("nfs4", True), ("fuse.gcsfuse", True), ("ext4", False), ("tmpfs", False)]
)
def test_the_kind_of_file_system_is_that_of_the_innermost_mount(tmp_path, kind, shared):
    (tmp_path / "with space" / "sweep").mkdir(parents=True)
    table = tmp_path / "mounts"
    inner = str(tmp_path / "with space").replace(" ", "\\040")
    table.write_text(f"root / nfs rw 0 0\nserver:/x {inner} {kind} rw 0 0\nnear {tmp_path}/with nfs rw 0 0\n")
    assert on_network(tmp_path / "with space" / "sweep", table) is shared
    assert on_network(tmp_path, table) is True
    assert on_network(tmp_path, tmp_path / "no table") is False


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write the studies"):
        open_study_file(tmp_path / "file" / "studies.db")
