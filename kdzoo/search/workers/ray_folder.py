"""Where a local Ray keeps its sockets: their whole names must fit 107 bytes, and a batch system's TMPDIR is long."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kdzoo.errors import SweepError

_LONGEST: Final = 103 if sys.platform == "darwin" else 107
_INNER: Final = len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store_0")
"""What Ray puts after its folder in the longest of its sockets' names."""
_SHORT: Final = ("/tmp", "/var/tmp", "/dev/shm")


@contextmanager
def ray_folder(candidates: Sequence[str] = _SHORT) -> Iterator[str | None]:
    """A folder for a Ray that is started here; None where its own choice will do.

    Args:
        candidates: where a short one may be made, the best first.

    Yields:
        A new folder, removed in the end, or None.

    Raises:
        SweepError: Ray's own is too long, and there is no place for a shorter one.
    """
    # As Ray chooses: its variable, then everybody's.
    name = next((one for one in ("RAY_TMPDIR", "TMPDIR") if os.environ.get(one)), None)
    own = os.path.join(os.environ[name] if name else "/tmp", "ray")  # noqa: PTH118
    if _fits(own):
        yield None
        return
    made = _make_short(candidates)
    if made is None:
        raise SweepError(
            f"Ray cannot make its sockets in '{own}': with {len(os.fsencode(own))} bytes the folder's name is too long",
            hint="set RAY_TMPDIR (or TMPDIR) to a short folder that you can write to, such as /tmp",
        )
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _make_short(candidates: Sequence[str]) -> str | None:
    for place in candidates:
        if not _fits(str(Path(place) / "kdzoo-ray-12345678")):
            continue
        try:
            return tempfile.mkdtemp(prefix="kdzoo-ray-", dir=place)
        except OSError:
            continue
    return None


def _fits(folder: str) -> bool:
    return len(os.fsencode(folder)) + _INNER <= _LONGEST
