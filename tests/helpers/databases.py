"""MLflow databases in files: processes that open them at the same moment, and files that were left on the way.

As a script: opens the file that each line of stdin names, and says what came of it.
"""

import contextlib
import signal
import sqlite3
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from helpers.processes import environ_of_python

OLDER = "acf3f17fdcc7"
"""A revision of the schema of some MLflow 2."""
_KILLED = """
import os, signal, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
for order in ("PRAGMA cache_size = 1", "BEGIN IMMEDIATE", sys.argv[2]):
    database.execute(order)
os.kill(os.getpid(), signal.SIGKILL)
"""


@contextlib.contextmanager
def openers(count):
    """Processes that have loaded MLflow; each is told a file by `opened`."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "helpers.databases"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environ_of_python(),
                )
            )
            stack.callback(process.kill)
            found.append(process)
        assert [process.stdout.readline() for process in found] == ["loaded\n"] * count
        yield found


def opened(processes, path):
    """What each process says of a file that all are told of at once."""
    for process in processes:
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
    return [process.stdout.readline().strip() for process in processes]


def upgrade_to(path, revision):
    """Brings a database to a revision of MLflow's schema."""
    from alembic import command
    from mlflow.store.db.utils import _get_alembic_config, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    config = _get_alembic_config(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def make_old(path):
    """A database as an older MLflow left it, with one run in it."""
    _put(path, _old())


def make_whole(path):
    """A database as this MLflow needs it, with nothing in it, where there is none. Each takes MLflow over a second."""
    if not path.exists():
        _put(path, _whole())


def _put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@cache
def _old():
    with tempfile.TemporaryDirectory() as folder:
        _build_old(Path(folder, "old.db"))
        return Path(folder, "old.db").read_bytes()


@cache
def _whole():
    from kdzoo.tracking.database import prepare_database
    from kdzoo.tracking.environment import prepare_mlflow

    prepare_mlflow()
    with tempfile.TemporaryDirectory() as folder:
        prepare_database(Path(folder, "whole.db"))
        return Path(folder, "whole.db").read_bytes()


def _build_old(path):
    from mlflow.store.db.utils import InitialBase, create_sqlalchemy_engine

    engine = create_sqlalchemy_engine(f"sqlite:///{path}")
    InitialBase.metadata.create_all(engine)
    engine.dispose()
    upgrade_to(path, OLDER)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'kept', 'active')")
        database.execute("INSERT INTO runs (run_uuid, experiment_id, lifecycle_stage) VALUES ('abc', 7, 'active')")


def leave_half(path, *, table="runs"):
    """A table of a database is being rewritten, and nobody is at it any more."""
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE _alembic_tmp_{table} (a INTEGER)")


def leave_hot(path, table, names):
    """A process was killed while it wrote: pages are changed already, and what they were lies in a file beside.

    Args:
        path: the database.
        table: to which it added thousands of rows.
        names: of a column of text.
    """
    rows = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
    change = f"{rows} INSERT INTO {table} ({names}) SELECT 'half ' || i FROM n"
    done = subprocess.run([sys.executable, "-c", _KILLED, str(path), change], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.with_name(f"{path.name}-journal").read_bytes()[:1] > b"\0", "nothing to be taken back"


def main():
    from kdzoo.tracking.environment import prepare_mlflow

    prepare_mlflow()
    from kdzoo.tracking.store import open_client

    print("loaded", flush=True)
    for line in sys.stdin:
        try:
            names = sorted(one.name for one in open_client(f"sqlite:///{line.strip()}").search_experiments())
            print("opened", *names, flush=True)
        except Exception as error:
            print(type(error).__name__, str(error).splitlines()[0], flush=True)


if __name__ == "__main__":
    main()
