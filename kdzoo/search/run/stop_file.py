"""Ends a run of Ray Tune when a person has asked for it by a file, from whichever machine sees the sweep's folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray.tune import Stopper

_LOOK_SECONDS = 1.0


class StopFile(Stopper):
    """Stops all trials once a file is there.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._looked, self._found = path, 0.0, False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """No single trial is stopped."""
        return False

    def stop_all(self) -> bool:
        """Whether the run is to end."""
        now = time.monotonic()
        if not self._found and now - self._looked >= _LOOK_SECONDS:
            self._looked, self._found = now, self._path.exists()
        return self._found
