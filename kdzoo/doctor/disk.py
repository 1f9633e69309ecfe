"""Is there room, and the right to write, where kdzoo keeps its files?"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from kdzoo.doctor.finding import HERE, Asked, Finding, State
from kdzoo.settings import Settings

LEAST_BYTES = 10**9
"""Less than this does not hold the checkpoints of a few trials."""
LOW_BYTES = 10**10
"""Less than this may not hold the decoded images of a data set."""


def check(asked: Asked, settings: Settings) -> list[Finding]:
    """Looks at home and at the cache."""
    del asked
    places = (("home", settings.home, "KDZOO_HOME"), ("cache", settings.cache, "KDZOO_CACHE"))
    return [look_at_folder(what, folder, variable) for what, folder, variable in places]


def look_at_folder(what: str, folder: Path, variable: str, *, node: str = HERE) -> Finding:
    """Free space of a folder, which need not be there yet, and whether a file can be written.

    Args:
        what: its name for people.
        folder: where.
        variable: the environment variable that moves it.
        node: the machine that this runs on, for the finding.
    """
    there = folder
    while not there.exists():
        there = there.parent
    try:
        free = shutil.disk_usage(there).free
        # Even root may not write to a read-only disk, so that rights alone would say too little.
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"x" * 4096)
            probe.flush()
    except OSError as error:
        return Finding(
            check="disk",
            node=node,
            state="fail",
            what=f"{what} {folder} cannot be written: {error.strerror or error}",
            hint=f"set {variable} to a folder of your own",
        )
    state: State = "fail" if free < LEAST_BYTES else "warn" if free < LOW_BYTES else "ok"
    return Finding(
        check="disk",
        node=node,
        state=state,
        what=f"{what} {folder} has {free / 1e9:.1f} GB free",
        hint="" if state == "ok" else f"free some space (kdzoo cache clear), or set {variable} to another disk",
    )
