"""Early stopping: a race a category, so that no category is compared with another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from kdzoo.search.study.race import Race
from kdzoo.search.workers.measuring import is_measuring
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.reasons import reason
from kdzoo.search.workers.trial_error import node_of, trial_error

_PAUSES: Final = (0.0, 4.0, 16.0)
"""Seconds that a trial's tries after the first wait: a lost worker is replaced at once, a disk may need a moment."""


class CategoryScheduler(FIFOScheduler):
    """Asynchronous successive halving within each category.

    The clock is the number of detecting epochs: a stage that cannot be measured yet is never compared.

    Args:
        longest: detecting epochs of the longest trial.
        places: where trials may run.
        ends: the same for each category by itself; default ``longest`` for all.
    """

    def __init__(self, longest: int, *, places: Places, ends: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self._places, self._asked = places, dict[str, PlacementGroupFactory]()
        self._longest, self._ends = max(longest, 1), ends or {}
        self._races: dict[str, Race] = {}

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Enters a trial in its category's race."""
        if not is_measuring(trial):
            self.race(str(trial.config["category"]))
        # One that failed was sent elsewhere by `on_trial_error`; by now Ray has filed it under what it asks for.
        if trial.trial_id not in self._asked:
            self._asked[trial.trial_id] = trial.placement_group_factory
            self._send(trial)

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """A try failed; the next one, if there is one, runs on another machine where that can be."""
        error = trial_error(trial) if trial.storage is not None else None
        self._places.failed(trial.trial_id, node_of(error), reason(error))
        if trial.status != Trial.RUNNING:
            self._send(trial)
        trial.config["pause"] = _PAUSES[min(trial.num_failures, len(_PAUSES)) - 1] if trial.num_failures else 0.0

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Whether the trial goes on."""
        if result.get("node"):
            self._places.worked(str(result["node"]))
        return str(TrialScheduler.CONTINUE if self._goes_on(trial, result) else TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """A trial came to its end."""
        self._places.over(trial.trial_id)
        if not is_measuring(trial):
            self._goes_on(trial, result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """A trial was taken out before it ran; the race has nothing of it."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The next trial that waits for a worker.

        Ray asks after every event, and its own answer looks at every trial there ever was; only living ones can wait.
        """
        living = tune_controller.get_live_trials()
        for status in (Trial.PENDING, Trial.PAUSED):
            waiting = [trial for trial in living if trial.status == status]
            if waiting:
                # What is to be measured has the number -1: it comes first, and ends a category.
                return min(waiting, key=lambda trial: (int(trial.config["number"]), str(trial.config["category"])))
        return None

    def remember(self, category: str, trial_id: str, measurements: Sequence[Sequence[float]]) -> None:
        """Enters a trial of an earlier driver in its category's race, so that new ones are compared with it.

        Args:
            category: whose race.
            trial_id: unique in it.
            measurements: detecting epoch and best objective so far, at each of its measurements.
        """
        race = self.race(category)
        for epoch, objective in measurements:
            race.goes_on(trial_id, int(epoch), objective)

    def race(self, category: str) -> Race:
        """The race of a category."""
        if category not in self._races:
            self._races[category] = Race(self._ends.get(category, self._longest))
        return self._races[category]

    def debug_string(self) -> str:
        """One line for Ray's log."""
        return f"ASHA in {len(self._races)} categories"

    def _send(self, trial: Trial) -> None:
        """Says where a trial that does not run may run next."""
        trial.update_resources(self._places.resources(trial.trial_id, self._asked[trial.trial_id]))

    def _goes_on(self, trial: Trial, result: Mapping[str, Any]) -> bool:
        """Whether a trial is worth going on with; what cannot be measured yet is not compared."""
        if "objective" not in result or "final" in trial.config:
            return True
        race = self.race(str(trial.config["category"]))
        return race.goes_on(trial.trial_id, int(result["selection_epoch"]), float(result["objective"]))
