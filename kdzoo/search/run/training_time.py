"""How long a sweep has trained, over all its drivers: what `--time-budget` is counted by."""

from __future__ import annotations

import time
from typing import Any, Final

from ray.tune import Callback
from ray.tune.experiment import Trial

from kdzoo.errors import StorageError
from kdzoo.search.record.folder import SweepFolder

KEPT_EVERY_SECONDS: Final = 10.0
"""So much is lost of a driver that is killed."""


class TrainingTime(Callback):
    """Counts while Ray runs trials, and keeps the sum in the sweep's folder.

    Args:
        folder: the sweep's.
        budget: seconds in all; None for no limit.
    """

    def __init__(self, folder: SweepFolder, budget: float | None) -> None:
        self._folder, self._budget = folder, budget
        self._before, self._kept = folder.trained_seconds(), 0.0
        self._began: float | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes its callbacks into the run's folder; all of this one belongs to the living driver."""
        return {}

    def left(self) -> float | None:
        """Seconds of the budget that are left, 0 or more; None without one."""
        return None if self._budget is None else max(0.0, self._budget - self.spent())

    def spent(self) -> float:
        """Seconds of training so far, those of earlier drivers included."""
        return self._before + (0.0 if self._began is None else time.monotonic() - self._began)

    def begin(self) -> None:
        """Training begins."""
        self._began = self._kept = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Between two events."""
        if self._began is not None and time.monotonic() - self._kept >= KEPT_EVERY_SECONDS:
            self._keep()

    def end(self) -> None:
        """Training ended."""
        if self._began is not None:
            self._keep()
            self._before, self._began = self.spent(), None

    def _keep(self) -> None:
        self._kept = time.monotonic()
        try:
            self._folder.keep_trained_seconds(self.spent())
        except StorageError:
            return  # the disk may be back later; what ends the sweep says what is wrong with it
