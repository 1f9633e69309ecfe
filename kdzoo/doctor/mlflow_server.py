"""Does MLflow answer, to us, and in a version that kdzoo knows?"""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from kdzoo.addresses import sqlite_path
from kdzoo.doctor.finding import Asked, Finding
from kdzoo.errors import TrackingError
from kdzoo.settings import Settings
from kdzoo.tracking.database import check_upgrade, half_made, in_work, known_revisions, look_at
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.tracking.hints import is_web_page, no_mlflow
from zoo_registry.addresses import without_credentials

LEAST_SERVER = (3, 12)
_SECONDS = 5.0
_MOST_BYTES = 64
_MOST_TRIED = 2**28
"""Bytes of a file that is copied to see whether it can be brought up to date; a larger one would take too long."""
_START = "start one (infra/local-stack does, for trying out), or unset MLFLOW_TRACKING_URI for a file under KDZOO_HOME"


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Asks for one experiment; writes nothing.

    Raises:
        TrackingError: it cannot be reached, or refuses.
    """
    del asked
    prepare_mlflow()
    from kdzoo.tracking.store import open_client

    uri, shown = settings.mlflow_uri, without_credentials(settings.mlflow_uri)
    path = sqlite_path(uri)
    if path is not None:
        return [_file(path)]
    version = None
    if uri.startswith(("http://", "https://")):
        version = _version(uri, shown)
    try:
        open_client(uri).search_experiments(max_results=1)
    except Exception as error:  # MLflow lets through whatever its database or its HTTP library raises
        if is_web_page(error):
            raise no_mlflow(uri) from error
        raise TrackingError(f"MLflow at {shown} refuses: {_line(error)}", hint=_START) from error
    return [_judged(shown, version)]


def _judged(shown: str, version: str | None) -> Finding:
    if version is None:
        return Finding(check="mlflow", state="ok", what=f"{shown} answers")
    if _numbers(version) < LEAST_SERVER:
        least = ".".join(map(str, LEAST_SERVER))
        return Finding(
            check="mlflow",
            state="warn",
            what=f"{shown} runs MLflow {version}, which is older than {least}",
            hint="update the server; older ones were not tested and have known holes",
        )
    return Finding(check="mlflow", state="ok", what=f"{shown} answers, MLflow {version}")


def _version(uri: str, shown: str) -> str | None:
    """The server's version; None where it keeps it to itself.

    Raises:
        TrackingError: nothing answers.
    """
    parts = urlsplit(uri)
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/") + "/version", "", ""))
    try:
        with urllib.request.urlopen(bare, timeout=_SECONDS) as answer:
            text = answer.read(_MOST_BYTES).decode("ascii", "replace").strip()
    except urllib.error.HTTPError:
        return None  # something is there; whether it takes our name and password, the next request tells
    except (OSError, ValueError) as error:
        raise TrackingError(f"no MLflow answers at {shown}: {_line(error)}", hint=_START) from error
    return text if _numbers(text) else None


def _numbers(version: str) -> tuple[int, ...]:
    """Major and minor number; empty for what is no version."""
    numbers = version.split(".")[:2]
    return tuple(map(int, numbers)) if len(numbers) == 2 and all(map(str.isdecimal, numbers)) else ()


def _file(path: Path) -> Finding:
    """A database in a file: read without MLflow, which would bring an older one up to date."""
    if not path.exists():
        return Finding(check="mlflow", state="ok", what=f"{path} is made at its first use")
    seen = look_at(path, known_revisions())
    if seen.state == "empty":
        return Finding(check="mlflow", state="ok", what=f"{path} is empty, and made at its first use")
    if seen.state == "half":
        if in_work(path):
            return Finding(
                check="mlflow", state="warn", what=f"{path} is being brought up to date", hint="ask again in a minute"
            )
        raise half_made(path, seen)
    if seen.state == "old":
        return _old(path)
    return Finding(check="mlflow", state="ok", what=f"{path}: {seen.experiments} experiments")


def _old(path: Path) -> Finding:
    """One of an older MLflow, which the next command that opens it brings up to date.

    Raises:
        TrackingError: it cannot be.
    """
    what = f"{path} is an older MLflow's, and is brought up to date at its next use"
    if path.stat().st_size <= _MOST_TRIED:
        check_upgrade(path)
        what += ": a copy of it could be"
    return Finding(
        check="mlflow", state="warn", what=what, hint="from then on other programs need this MLflow to open it, too"
    )


def _line(error: BaseException) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return (without_credentials(str(cause)).strip().splitlines() or [type(error).__name__])[0][:300]
