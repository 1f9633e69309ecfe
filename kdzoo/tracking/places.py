"""MLflow's own file in a home that was moved or copied: what it says of places is made true of the home that it is in.

MLflow keeps whole addresses: of each experiment's and run's artifacts, and with them stand the zoo's of the home in
versions and references. After a move nothing would be found there; in a copy, worse, it would be: the original's.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import quote

from kdzoo.addresses import file_address, file_path
from kdzoo.databases import reading
from kdzoo.errors import TrackingError
from kdzoo.storage import write_file
from kdzoo.tracking.reference import MAX_BYTES, MODEL_FOLDER, REFERENCE_FILE, ReleaseRef

_FILE, _FOLDER, _ARTIFACTS, _ZOO_FOLDER = "mlflow.db", "mlflow", "artifacts", "zoo"
"""How a home calls them."""
_SECONDS: Final = 30.0
_OURS: Final = "kdzoo/"
_ADDRESSES: Final = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
)  # fmt: skip
"""Columns that hold the address of artifacts, in one MLflow or another."""
_TAGS: Final = ("registered_model_tags", "model_version_tags")
_TEXTS: Final = (
    ("registered_models", "description", ""), ("model_versions", "description", ""),
    ("tags", "value", "key = 'mlflow.note.content'"),
)  # fmt: skip
"""Columns of text for people, in which the zoo's place stands."""


@dataclass(frozen=True, kw_only=True)
class _Move:
    """A home that was, as its addresses stand in the file."""

    before: str
    now: str
    zoo_before: Path
    zoo_now: Path


def adopt_home(path: Path) -> bool:
    """Makes the addresses in a home's MLflow file those of the home that it lies in; does nothing where they are.

    Of another file than a home's own nothing is touched, and neither is one that was taken out of a home whose
    artifacts are still where they were. A file that may not be written stays as it is.

    Args:
        path: the database, brought up to date.

    Returns:
        Whether anything was changed.

    Raises:
        sqlite3.Error: it cannot be read.
        OSError: a reference cannot be read or written.
    """
    if path.name != _FILE or path.parent.name != _FOLDER:
        return False
    with reading(path, seconds=_SECONDS) as database:
        moves = _moves(database, path)
    if not moves:
        return False
    for move in moves:
        _renew_references(path.parent / _ARTIFACTS, move)
    try:
        with closing(sqlite3.connect(path, timeout=_SECONDS, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for move in _moves(database, path):
                _rewrite(database, move)
            database.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise
        return False
    return True


def _moves(database: sqlite3.Connection, path: Path) -> list[_Move]:
    """The homes other than the present one that experiments of kdzoo keep their artifacts in."""
    present = path.parent.absolute() / _ARTIFACTS
    found: dict[str, _Move] = {}
    for name, location in database.execute("SELECT name, artifact_location FROM experiments"):
        before = _base(str(name), str(location or ""))
        artifacts = None if before is None else file_path(before)
        if before is None or artifacts is None or before == file_address(present):
            continue
        is_a_home = artifacts.name == _ARTIFACTS and artifacts.parent.name == _FOLDER
        if not is_a_home or (artifacts.exists() and not present.exists()):
            continue
        home = artifacts.parent.parent
        found[before] = _Move(
            before=before,
            now=file_address(present),
            zoo_before=home / _ZOO_FOLDER,
            zoo_now=present.parent.parent / _ZOO_FOLDER,
        )
    return list(found.values())


def _base(name: str, location: str) -> str | None:
    """The address of the folder of all artifacts, of that of an experiment's; None of one that is not kdzoo's."""
    if not name.startswith(_OURS):
        return None
    ends = (f"/{written}" for written in (quote(name), name))
    return next((location.removesuffix(end) for end in ends if location.endswith(end)), None)


def _rewrite(database: sqlite3.Connection, move: _Move) -> None:
    columns = {
        table: {str(row[1]) for row in database.execute(f"PRAGMA table_info({table})")}
        for table in {table for table, *_ in (*_ADDRESSES, *_TEXTS)} | set(_TAGS)
    }
    before, now = f"{move.before}/", f"{move.now}/"
    for table, column in _ADDRESSES:
        if column in columns[table]:
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                (now, len(before) + 1, len(before), before),
            )
    zoos = (str(move.zoo_now), str(move.zoo_before))
    for table in _TAGS:
        if columns[table]:
            database.execute(f"UPDATE {table} SET value = ? WHERE key = 'kdzoo.zoo' AND value = ?", zoos)
    for table, column, where in _TEXTS:
        if column in columns[table]:
            # Quoted as it stands in the text: a home whose name begins with this one's is another.
            for mark in ("`", '"'):
                new, old = (f"{mark}{zoo}{mark}" for zoo in zoos)
                database.execute(
                    f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?) > 0"
                    + (f" AND {where}" if where else ""),
                    (old, new, old),
                )


def _renew_references(artifacts: Path, move: _Move) -> None:
    """Has the references that versions point at name the zoo where it is now."""
    for path in artifacts.glob(f"{_OURS}**/{_ARTIFACTS}/{MODEL_FOLDER}*/{REFERENCE_FILE}"):
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        try:
            ref = ReleaseRef.parse(data)
        except TrackingError:  # somebody else's, or damaged: for whoever loads it to say
            continue
        if ref.zoo == str(move.zoo_before):
            write_file(path, replace(ref, zoo=str(move.zoo_now)).to_bytes(), durable=False)
