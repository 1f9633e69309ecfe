"""Early stopping: an ASHA a category, so that no category is compared with another."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, TrialScheduler

_REDUCTION = 3


class CategoryScheduler(FIFOScheduler):
    """Asynchronous successive halving within each category.

    The clock is the number of detecting epochs: a stage that cannot be measured yet is never compared.

    Args:
        longest: detecting epochs of the longest trial.
    """

    def __init__(self, longest: int) -> None:
        super().__init__()
        self._longest = max(longest, 1)
        self._grace = max(1, self._longest // (_REDUCTION * _REDUCTION) or 1)
        self._halvers: dict[str, AsyncHyperBandScheduler] = {}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Enters a trial in its category's race."""
        self._halver(trial).on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        if "objective" not in result:
            return str(TrialScheduler.CONTINUE)
        return str(self._halver(trial).on_trial_result(tune_controller, trial, result))

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial came to its end."""
        self._halver(trial).on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial was taken out before it ran."""
        self._halver(trial).on_trial_remove(tune_controller, trial)

    def debug_string(self) -> str:
        """One line for Ray's log."""
        return f"ASHA in {len(self._halvers)} categories"

    def _halver(self, trial: Trial) -> AsyncHyperBandScheduler:
        category = str(trial.config["category"])
        if category not in self._halvers:
            self._halvers[category] = AsyncHyperBandScheduler(
                time_attr="selection_epoch",
                metric="objective",
                mode="max",
                max_t=self._longest,
                grace_period=self._grace,
                reduction_factor=_REDUCTION,
                stop_last_trials=False,
            )
        return self._halvers[category]
