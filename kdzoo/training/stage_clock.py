"""Where a trial stands among its stages: which one an epoch belongs to, what detecting epochs count, what is due.

Epochs are counted over all stages.
"""

from __future__ import annotations

from collections.abc import Sequence

from kdzoo.errors import ConfigError
from kdzoo.methods.base import Phase


class StageClock:
    """Of a method's stages.

    Args:
        stages: in order.
        evaluations: how often a detecting stage is measured at most, evenly spaced.
    """

    def __init__(self, stages: Sequence[Phase], *, evaluations: int) -> None:
        self._stages, self._evaluations = stages, evaluations

    @property
    def total(self) -> int:
        """Epochs over all stages."""
        return sum(stage.epochs for stage in self._stages)

    def position(self, epoch: int) -> tuple[int, int]:
        """The stage that an epoch belongs to, and the epoch within it; all counted from 0.

        Raises:
            ConfigError: every stage is over by then.
        """
        for index, stage in enumerate(self._stages):
            if epoch < stage.epochs:
                return index, epoch
            epoch -= stage.epochs
        raise ConfigError("every stage of this trial is finished")

    def over(self, epochs: int) -> Sequence[Phase]:
        """The stages that are over once so many epochs have been trained."""
        for count, stage in enumerate(self._stages):
            epochs -= stage.epochs
            if epochs < 0:
                return self._stages[:count]
        return self._stages

    def selection_epoch(self, epochs: int) -> int:
        """Of so many trained epochs, those of detecting stages: the clock that trials are compared by."""
        counted = 0
        for stage in self._stages:
            done = min(epochs, stage.epochs)
            counted += done if stage.detects else 0
            epochs -= done
        return counted

    def due(self, stage: Phase, done: int) -> bool:
        """Whether the selection part is measured after so many epochs of a stage."""
        if not stage.detects:
            return False
        wanted = min(self._evaluations, stage.epochs)
        # Where the count of evaluations that are due steps up; the last epoch always is one.
        return done * wanted // stage.epochs > (done - 1) * wanted // stage.epochs
