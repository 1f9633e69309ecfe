"""What to do when MLflow fails: whole commands, which run as they stand, with the address in them."""

from __future__ import annotations

import shlex
from typing import Final

from kdzoo.addresses import sqlite_path
from kdzoo.errors import KdzooError, TrackingError
from zoo_registry.addresses import without_credentials

_OLD_SCHEMA: Final = "out-of-date database schema"
_PAGES: Final = ("<!doctype html", "<html")


def what_to_do(uri: str, error: BaseException) -> str:
    """The next step after an error that a library raised while it talked to MLflow.

    Args:
        uri: tracking URI.
        error: what was raised.
    """
    said = str(error)
    if _OLD_SCHEMA in said:
        return f"keep a copy of the database, and bring it up to date: mlflow db upgrade {_shown(uri)}"
    if sqlite_path(uri) is not None:
        if "locked" in said:
            return "another process writes to the file: wait for it, or end it"
        return "`kdzoo doctor` says what is wrong with the file"
    if uri.startswith(("http://", "https://")):
        return "is the server running? start it, or name another with MLFLOW_TRACKING_URI"
    return "is the database running? start it, or name another with MLFLOW_TRACKING_URI"


def is_web_page(error: BaseException) -> bool:
    """Whether an error of MLflow's client is about a page for people, such as the sign-in page of a proxy."""
    text = str(error).lower()
    return any(word in text for word in _PAGES) and not isinstance(error, KdzooError)


def no_mlflow(uri: str) -> TrackingError:
    """What to say where a web page answers in MLflow's place: it may be gone the next time."""
    return TrackingError(
        f"{without_credentials(uri)} answers with a web page, and not as MLflow does",
        hint="check MLFLOW_TRACKING_URI. A proxy's or a network's sign-in page may be in between: a browser shows it",
    )


def restore_command(uri: str, experiment_id: str) -> str:
    """The command that brings a deleted experiment back, for any shell."""
    return f"{_at(uri)}mlflow experiments restore --experiment-id {shlex.quote(experiment_id)}"


def _at(uri: str) -> str:
    """What goes before a command of MLflow's, so that it asks the same MLflow.

    Nothing where the address holds a password: such a one is in the environment, and is not to be shown.
    """
    return "" if without_credentials(uri) != uri else f"MLFLOW_TRACKING_URI={shlex.quote(uri)} "


def _shown(uri: str) -> str:
    return shlex.quote(uri) if without_credentials(uri) == uri else '"$MLFLOW_TRACKING_URI"'
