"""MLflow's database in a SQLite file: made beside its place, brought up to date by one process at a time.

MLflow makes and migrates a file in small steps that SQLite cannot take back together. Two processes that do so at once,
or one that is killed on the way, leave a file that no MLflow opens again.
"""

from __future__ import annotations

import os
import shlex
import sqlite3
import tempfile
import uuid
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kdzoo.addresses import sqlite_address
from kdzoo.data.file_lock import advisory_lock, claim
from kdzoo.databases import reading
from kdzoo.errors import TrackingError
from kdzoo.tracking.places import adopt_home

State = Literal["absent", "empty", "half", "old", "ready"]
"""``half``: made or migrated in part; ``old``: this MLflow has steps for it that were not taken."""

_PATIENCE_SECONDS: Final = 300.0
_READ_SECONDS: Final = 5.0
_LEFTOVER: Final = "_alembic_tmp_"
"""How a table is called while it is rewritten; one that is there for longer was never finished."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a file looks like, read without MLflow.

    Attributes:
        state: what can be done with it.
        why: what is wrong with a half-made one.
        experiments: how many are in it; 0 where that cannot be read.
        runs: likewise.
    """

    state: State
    why: str = ""
    experiments: int = 0
    runs: int = 0


def prepare_database(path: Path) -> None:
    """Sees to it that a database can be opened by MLflow: makes it, or brings it up to date, where that is needed.

    One in a home that was moved or copied then speaks of that home (`kdzoo.tracking.places`).

    Args:
        path: the file; made, with its folder, if absent.

    Raises:
        TrackingError: it was left half made, or there is no room for it, or it is no MLflow database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    known = known_revisions()
    try:
        if look_at(path, known).state != "ready" or _before(path).exists():
            _make_ready(path, known)
        adopt_home(path)
    except sqlite3.Error as error:
        raise _unread(path, error) from error
    except OSError as error:
        raise TrackingError(f"cannot make the MLflow database '{path}': {error}") from error


def _make_ready(path: Path, known: Sequence[str]) -> None:
    """Makes the database or brings it up to date, one process at a time."""
    with advisory_lock(_lock(path), patience_s=_PATIENCE_SECONDS) as held:
        seen = look_at(path, known)
        if seen.state == "ready" and held:
            _before(path).unlink(missing_ok=True)  # of one that was killed once all was done
        elif seen.state in ("absent", "empty"):
            _make(path, replace=seen.state == "empty", clean=held)
        elif seen.state == "old":
            _migrate(path)
        elif seen.state == "half":
            raise half_made(path, seen, busy=not held)


def look_at(path: Path, known: Sequence[str] = ()) -> Look:
    """Reads what is there; makes and migrates nothing.

    Args:
        path: the file.
        known: the revisions that this MLflow knows, the one that it needs first; none: whatever is there will do.

    Raises:
        TrackingError: it is no MLflow database, or cannot be read, or is a newer MLflow's.
    """
    if not path.exists():
        return Look(state="absent")
    try:
        with reading(path, seconds=_READ_SECONDS) as database:
            there = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if not there:
                return Look(state="empty")
            left = sorted(name for name in there if name.startswith(_LEFTOVER))
            revisions = _revisions(database) if "alembic_version" in there else []
            if "experiments" not in there and not left:
                raise TrackingError(
                    f"'{path}' is no MLflow database that can be read: no such table: experiments",
                    hint="move it away; a new one is made",
                )
            experiments, runs = (_count(database, name) if name in there else 0 for name in ("experiments", "runs"))
    except sqlite3.Error as error:
        raise _unread(path, error) from error
    is_old = bool(known) and revisions != [known[0]]
    if is_old and any(one not in known for one in revisions):
        raise TrackingError(
            f"'{path}' was written by a newer MLflow, or another variety of it: this one does not know its tables",
            hint=f"pip install --upgrade mlflow, or {_begin_anew(path)}",
        )
    state: State = "half" if left or len(revisions) != 1 else "old" if is_old else "ready"
    why = f"the table '{left[0].removeprefix(_LEFTOVER)}' was being rewritten" if left else "its tables were being made"
    return Look(state=state, why=why if state == "half" else "", experiments=experiments, runs=runs)


def in_work(path: Path) -> bool:
    """Whether a process makes the database or brings it up to date at this moment, as far as locks can tell."""
    with claim([_lock(path)]) as answer:
        return answer == "in use"


def half_made(path: Path, seen: Look, *, busy: bool = False) -> TrackingError:
    """What to say of a half-made database, and what to do.

    Args:
        path: the file.
        seen: of the state ``half``.
        busy: whether another process may be at it still.
    """
    if busy:
        return TrackingError(
            f"another process is bringing '{path}' up to date, or stopped on the way: {seen.why}",
            hint="wait for it; `kdzoo doctor` says whether it is at work",
        )
    what = f"'{path}' is half made: {seen.why} when MLflow was killed, or met another process that did the same"
    before = _before(path)
    if before.exists():
        return TrackingError(what, hint=f"put back what was kept of it before: mv {_quoted(before)} {_quoted(path)}")
    kept = f"; the {seen.runs} runs in the old file stay there" if seen.runs else ""
    return TrackingError(
        what,
        hint=f"{_begin_anew(path)}{kept}",
    )


def check_upgrade(path: Path) -> None:
    """Tries on a copy, in a scratch folder, whether a database of an older MLflow can be brought up to date.

    Raises:
        TrackingError: it cannot; says why, and what to do.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / path.name
        try:
            _copy(path, copy)
            _upgrade(copy)
        except (TrackingError, OSError, sqlite3.Error) as error:
            raise _not_upgraded(path, error) from error


def _not_upgraded(path: Path, error: Exception) -> TrackingError:
    why = str(error.__cause__ or error).strip().splitlines() or [type(error).__name__]
    return TrackingError(
        f"'{path}' was made by another version of MLflow, and this one cannot bring it up to date: {why[0][:300]}",
        hint=f"keep a copy, and see what this says: {upgrade_command(path)}; or {_begin_anew(path)}",
    )


def _begin_anew(path: Path) -> str:
    moved = f"mv {_quoted(path)} {_quoted(path.with_name(f'{path.name}.broken'))}"
    return f"move it away, so that a new one is made: {moved} && kdzoo mlflow sync"


def _unread(path: Path, error: sqlite3.Error) -> TrackingError:
    """What to say of a file that SQLite cannot read: one that is in use, or closed to us, is not to be thrown away."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return TrackingError(
            f"'{path}' is locked: another process has been writing to it for {_READ_SECONDS:.0f} s and more",
            hint=f"wait for it, or see which it is and end it: fuser -v {_quoted(path)}",
        )
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
        return TrackingError(f"'{path}' cannot be read: {error}", hint="check its rights, its folder's, and the disk")
    return TrackingError(
        f"'{path}' is no MLflow database that can be read: {error}", hint="move it away; a new one is made"
    )


def _quoted(path: Path) -> str:
    """A path for a shell, always in quotes: a reader sees where it begins and ends."""
    text = shlex.quote(str(path))
    return text if text.startswith("'") else f"'{text}'"


def _make(path: Path, *, replace: bool, clean: bool) -> None:
    """Makes a database beside its place, and puts it there when it is whole."""
    beside = f".{path.name}."
    if clean:  # no other process makes one: what lies here was left by one that was killed
        for left in path.parent.glob(f"{beside}*.new*"):
            left.unlink(missing_ok=True)
    made = path.with_name(f"{beside}{uuid.uuid4().hex}.new")
    try:
        _upgrade(made)
        if replace:
            made.replace(path)
            return
        with suppress(FileExistsError):  # somebody who knows no lock was first
            try:
                os.link(made, path)
            except FileExistsError:
                raise
            except OSError:  # a file system without hard links
                if not path.exists():
                    made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    """Brings an older database up to date, where it lies: others may have it open. A copy is kept meanwhile.

    MLflow's steps end one by one, and are not taken twice. So where a copy is there, which a process left that was
    killed between two of them, all begins again from that, unless somebody has written to the file since.
    """
    before = _before(path)
    if before.exists():
        if look_at(path).runs > look_at(before).runs:
            raise TrackingError(
                f"'{path}' was being brought up to date when MLflow was killed, and holds runs from after that",
                hint=f"bring it up to date by hand: {upgrade_command(path)} && rm {_quoted(before)}",
            )
        _copy(before, path)
    else:
        beside = before.with_name(f".{before.name}.new")
        beside.unlink(missing_ok=True)
        _copy(path, beside)
        beside.replace(before)
    try:
        _upgrade(path)
    except TrackingError as error:
        _copy(before, path)
        before.unlink()  # the file is what it was, and may be written to by the MLflow that it is of
        raise _not_upgraded(path, error) from error
    before.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """The content of a database in place of another's, which may be open."""
    with reading(source, seconds=_READ_SECONDS) as read, closing(sqlite3.connect(target)) as written:
        read.backup(written)


def _upgrade(path: Path) -> None:
    """What ``mlflow db upgrade`` does: all tables, in the newest form that this MLflow knows."""
    from mlflow.db import upgrade

    try:
        upgrade.callback(sqlite_address(path))
    except Exception as error:  # of SQLAlchemy, Alembic or MLflow
        said = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise TrackingError(f"MLflow cannot make '{path}': {said}") from error


def upgrade_command(path: Path) -> str:
    """The command that brings a database up to date by hand, for a shell."""
    return f"mlflow db upgrade {shlex.quote(sqlite_address(path))}"


def known_revisions() -> list[str]:
    """The revisions of a database that this MLflow knows, the newest first, which alone it opens."""
    import mlflow.store.db_migrations
    from alembic.script import ScriptDirectory

    steps = ScriptDirectory(str(Path(mlflow.store.db_migrations.__file__).parent))
    return [str(step.revision) for step in steps.walk_revisions()]


def _revisions(database: sqlite3.Connection) -> list[str]:
    return [str(revision) for (revision,) in database.execute("SELECT version_num FROM alembic_version")]


def _count(database: sqlite3.Connection, table: str) -> int:
    (count,) = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
    return int(count)


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _before(path: Path) -> Path:
    return path.with_name(f"{path.name}.before-upgrade")
