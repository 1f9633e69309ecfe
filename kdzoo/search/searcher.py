"""The searcher that Ray Tune asks: it hands out trials of all categories' studies, in turn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from kdzoo.search.checkpoints import states_of, trial_name
from kdzoo.search.plan import SweepPlan
from kdzoo.search.studies import CategoryStudies
from kdzoo.search.sweep_folder import SweepFolder


class CategorySearcher(Searcher):
    """Gives the next trial to the category that had the fewest so far.

    Args:
        plan: the sweep.
        studies: its studies.
        folder: the sweep's, for trials that go on from a checkpoint of an earlier driver's.
        done: category to its trials that earlier drivers ran to their end; default none.
    """

    def __init__(
        self, plan: SweepPlan, studies: CategoryStudies, folder: SweepFolder, *, done: Mapping[str, int] | None = None
    ) -> None:
        super().__init__(metric="objective", mode="max")
        self._plan, self._studies, self._folder = plan, studies, folder
        self._asked = {**dict.fromkeys(plan.spaces, 0), **(done or {})}
        self._trials: dict[str, tuple[str, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes the searcher into the run's folder, which many may read.

        The plan stays out: its settings know addresses with passwords in them. The studies have their own storage.
        """
        return {name: value for name, value in self.__dict__.items() if name not in ("_plan", "_studies", "_folder")}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The configuration of the next trial, or that there is none."""
        category = min(self._asked, key=lambda name: self._asked[name])
        if self._asked[category] >= self._plan.trials:
            return str(Searcher.FINISHED)
        suggestion = self._studies.ask(category)
        self._asked[category] += 1
        self._trials[trial_id] = (category, suggestion.number)
        spec = self._plan.spec(category, suggestion.values)
        config = {"category": category, "number": suggestion.number, "spec": spec.as_dict()}
        if suggestion.again:
            names = [trial_name(category, number) for number in reversed(suggestion.again)]
            states = [str(path) for name in names for path in states_of(self._folder, name)]
            config |= {"again": names, "states": states}
        return config

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passes an intermediate value on to the trial's study."""
        if trial_id in self._trials and "objective" in result:
            category, number = self._trials[trial_id]
            self._studies.report(category, number, int(result["selection_epoch"]), float(result["objective"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passes the last value on; the monitor tells the study how the trial ended, once MLflow's journal has it."""
        self.on_trial_result(trial_id, result or {})

    def save(self, checkpoint_path: str) -> None:
        """Writes which trial belongs to which study; the studies themselves are in their storage."""
        state = {"asked": self._asked, "trials": self._trials}
        Path(checkpoint_path).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Reads what `save` wrote."""
        state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._asked.update(state["asked"])
        self._trials = {trial: (category, number) for trial, (category, number) in state["trials"].items()}
