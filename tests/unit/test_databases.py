"""SQLite files of others are read as they are, also after one who wrote was killed on the way."""

import sqlite3
from contextlib import closing

import pytest
from helpers.databases import leave_hot

from kdzoo.databases import reading


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a folder" / "things.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE things (what TEXT); INSERT INTO things VALUES ('kept')")
    return path


def things(path):
    with reading(path, seconds=5) as database:
        return [what for (what,) in database.execute("SELECT what FROM things")]


def test_nothing_is_written(path):
    before = path.read_bytes()
    assert things(path) == ["kept"]
    with reading(path, seconds=5) as database, pytest.raises(sqlite3.OperationalError, match="readonly"):
        database.execute("INSERT INTO things VALUES ('more')")
    assert path.read_bytes() == before


def test_what_a_killed_process_began_to_write_is_taken_back(path):
    leave_hot(path, "things", "what")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
        with pytest.raises(sqlite3.OperationalError, match="readonly") as caught:
            database.execute("SELECT what FROM things")
        assert caught.value.sqlite_errorname == "SQLITE_READONLY_ROLLBACK"
    assert things(path) == ["kept"]
    assert [one.name for one in path.parent.iterdir()] == ["things.db"]


def test_one_that_writes_meanwhile_is_left_alone(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE things SET what = 'new'")
        assert things(path) == ["kept"]
        writer.execute("COMMIT")
    assert things(path) == ["new"]


def test_what_is_not_there_is_not_made(path):
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        things(path.with_name("other.db"))
    assert [one.name for one in path.parent.iterdir()] == ["things.db"]
