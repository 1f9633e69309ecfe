"""Early stopping among the trials of one category: asynchronous successive halving, late and after enough trials.

What a trial reaches in its first epochs says next to nothing of what it will reach, and of two or three trials none is
known to be poor. So the first rung is at a third of the clock, and a rung stops nobody before `ENOUGH` have been there.
"""

from __future__ import annotations

import math
from typing import Final

REDUCTION: Final = 3
"""One trial of so many goes on at a rung."""
ENOUGH: Final = 5
"""Trials that a rung lets pass whatever they reached."""


class Race:
    """Who goes on, rung by rung.

    A trial is compared at the first of its measurements at or after a rung, with all that came there before it. It goes
    on where it is among the best third, equal ones included.

    Args:
        end: detecting epochs of the longest trial, 1 or more: the end of the clock.
    """

    def __init__(self, end: int) -> None:
        self.rungs = rungs(end)
        """Epochs, in order."""
        self._measured: dict[int, dict[str, float]] = {rung: {} for rung in self.rungs}

    @property
    def measured(self) -> dict[int, dict[str, float]]:
        """Rung to what each trial had reached there."""
        return {rung: dict(reached) for rung, reached in self._measured.items()}

    def goes_on(self, trial: str, epoch: int, objective: float) -> bool:
        """Takes in a measurement, and says whether its trial is worth going on with.

        Args:
            trial: unique in the category.
            epoch: detecting epochs so far.
            objective: the best it reached so far; one that is not finite is worse than all others.
        """
        passed = [rung for rung in self.rungs if rung <= epoch]
        if not passed or trial in self._measured[passed[-1]]:
            return True
        # A trial that goes on from a checkpoint may come to two rungs at once: it stands at the later one alone.
        others = self._measured[passed[-1]]
        reached = objective if math.isfinite(objective) else -math.inf
        better = sum(other > reached for other in others.values())
        enough = len(others) >= ENOUGH
        others[trial] = reached
        return not enough or better < max(1.0, len(others) / REDUCTION)


def rungs(end: int) -> tuple[int, ...]:
    """The epochs at which trials are compared: at one and at two thirds of the clock.

    None is at the end or close to it, where stopping saves nothing and costs a trial its last epochs.

    Args:
        end: of the clock.
    """
    thirds = (math.ceil(end / REDUCTION), math.ceil(2 * end / REDUCTION))
    return tuple(sorted({rung for rung in thirds if rung < 0.9 * end}))
