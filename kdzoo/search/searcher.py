"""The searcher that Ray Tune asks: it hands out trials of all categories' studies, in turn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from kdzoo.search.plan import SweepPlan
from kdzoo.search.studies import CategoryStudies


class CategorySearcher(Searcher):
    """Gives the next trial to the category that had the fewest so far.

    Args:
        plan: the sweep.
        studies: its studies.
    """

    def __init__(self, plan: SweepPlan, studies: CategoryStudies) -> None:
        super().__init__(metric="objective", mode="max")
        self._plan, self._studies = plan, studies
        self._asked = dict.fromkeys(plan.spaces, 0)
        self._trials: dict[str, tuple[str, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes the searcher into the run's folder, which many may read.

        The plan stays out: its settings know addresses with passwords in them. The studies have their own storage.
        """
        return {name: value for name, value in self.__dict__.items() if name not in ("_plan", "_studies")}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The configuration of the next trial, or that there is none."""
        category = min(self._asked, key=lambda name: self._asked[name])
        if self._asked[category] >= self._plan.trials:
            return str(Searcher.FINISHED)
        suggestion = self._studies.ask(category)
        self._asked[category] += 1
        self._trials[trial_id] = (category, suggestion.number)
        spec = self._plan.spec(category, suggestion.values)
        return {"category": category, "number": suggestion.number, "spec": spec.as_dict()}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Passes an intermediate value on to the trial's study."""
        if trial_id in self._trials and "objective" in result:
            category, number = self._trials[trial_id]
            self._studies.report(category, number, int(result["selection_epoch"]), float(result["objective"]))

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tells the trial's study how it ended."""
        if trial_id not in self._trials:
            return
        last = result or {}
        self.on_trial_result(trial_id, last)
        category, number = self._trials.pop(trial_id)
        failure = str(last.get("failure", "")) or ("the worker failed" if error else "")
        self._studies.tell(
            category,
            number,
            objective=None if failure else last.get("objective"),
            stopped=not last.get("finished", False),
            reason=failure,
        )

    def save(self, checkpoint_path: str) -> None:
        """Writes which trial belongs to which study; the studies themselves are in their storage."""
        state = {"asked": self._asked, "trials": self._trials}
        Path(checkpoint_path).write_text(json.dumps(state), encoding="utf-8")

    def restore(self, checkpoint_path: str) -> None:
        """Reads what `save` wrote."""
        state = json.loads(Path(checkpoint_path).read_text(encoding="utf-8"))
        self._asked.update(state["asked"])
        self._trials = {trial: (category, number) for trial, (category, number) in state["trials"].items()}
