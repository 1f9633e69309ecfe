"""Where a detector was made: by which code, among which packages."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from kdzoo._version import __version__

_ROOT: Final = Path(__file__).resolve().parents[1]
_OURS: Final = ("kdzoo", "kdzoo_anomalib", "zoo_registry", "search_spaces", "pyproject.toml")
_PATIENCE: Final = 20.0
"""Seconds that git is waited for."""


def provenance(root: Path = _ROOT) -> dict[str, Any]:
    """What a detector's document says of where it was made, as JSON values.

    ``code``: version, and where it runs from a checkout its commit and whether its files are others than that one's;
    left out where git cannot tell. ``packages``: how many are installed, and the sha256 of their list.

    Args:
        root: the folder that the packages of this code lie in.
    """
    return {"code": {"version": __version__, **_checkout(root)}, "packages": _packages()}


def installed() -> list[str]:
    """All installed packages as ``name==version``, names in lower case with single dashes, sorted, each once."""
    found = set()
    for each in metadata.distributions():
        try:
            name, version = _name_and_version(each)
        except (OSError, ValueError, LookupError):  # not in UTF-8, nameless, going: no trained model is lost for it
            continue
        if name and version:  # a damaged one lacks them
            found.add(f"{re.sub(r'[-_.]+', '-', name).lower()}=={version}")
    return sorted(found)


def _name_and_version(package: metadata.Distribution) -> tuple[str, str]:
    """From the head of its metadata, each empty where it is not there.

    Python reads them as a letter, twice and with the whole README: a tenth of a second for all packages.
    """
    text = package.read_text("METADATA") or package.read_text("PKG-INFO") or package.read_text("") or ""
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    name, version = (re.search(rf"^{field}:(.*)$", head, re.MULTILINE) for field in ("Name", "Version"))
    return name[1].strip() if name else "", version[1].strip() if version else ""


def _packages() -> dict[str, Any]:
    lines = installed()
    text = "".join(f"{line}\n" for line in lines)
    return {"count": len(lines), "sha256": hashlib.sha256(text.encode()).hexdigest()}


def _checkout(root: Path) -> dict[str, Any]:
    """Commit and state; nothing where the code was installed, also into a folder within somebody's own repository."""
    if not (root / ".git").exists():
        return {}
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    if commit is None or not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit.strip()):
        return {}
    found: dict[str, Any] = {"commit": commit.strip()}
    changes = _git(root, "status", "--porcelain", "--", *(name for name in _OURS if (root / name).exists()))
    return found if changes is None else found | {"changed": bool(changes.strip())}


def _git(root: Path, *arguments: str) -> str | None:
    """What git says; None where it is not installed or refuses."""
    # What a hook sets would lead to another repository.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
