"""The searcher that Ray Tune asks: it hands out trials of all categories' studies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from ray.tune.search import Searcher

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.study.turns import Turns
from kdzoo.search.workers.checkpoints import states_of, trial_name
from kdzoo.search.workers.measuring import Measuring
from kdzoo.search.workers.slots import Slots
from kdzoo.storage import write_file


class CategorySearcher(Searcher):
    """Gives the next trial to the category whose turn it is by the plan's priority, while the GPU hours last.

    Args:
        plan: the sweep.
        studies: its studies.
        folder: the sweep's, for trials that go on from a checkpoint of an earlier driver's.
        done: category to its trials that earlier drivers ran to their end; default none.
        gpu_seconds: tells how long all trials of the sweep have held GPUs; needed where the plan limits it.
        slots: says when there is room for one more trial; default always.
        measurements: what workers measure between trials; default nothing.
        finals: category to trials of its final round, as they are planned; default none.
        unusable: tells the categories of which images cannot be read; default none.
    """

    def __init__(
        self,
        plan: SweepPlan,
        studies: CategoryStudies,
        folder: SweepFolder,
        *,
        done: Mapping[str, int] | None = None,
        gpu_seconds: Callable[[], float] = float,
        slots: Slots | None = None,
        measurements: Measurements | None = None,
        finals: Mapping[str, int] | None = None,
        unusable: Callable[[], Collection[str]] = tuple,
    ) -> None:
        super().__init__(metric="objective", mode="max")
        self._plan, self._studies, self._folder = plan, studies, folder
        self._turns = Turns(plan.spaces, trials=plan.trials, priority=plan.strategy.priority, done=done, more=finals)
        self._gpu_seconds, self._slots, self._measurements = gpu_seconds, slots, measurements
        self._unusable = unusable
        self._living: set[str] = set()
        self._trials: dict[str, tuple[str, int]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Ray writes the searcher into the run's folder, which many may read.

        The plan stays out: its settings know addresses with passwords in them. The studies have their own storage.
        """
        left_out = ("_plan", "_studies", "_folder", "_gpu_seconds", "_slots", "_measurements", "_unusable")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """What is to be measured, else the next trial's configuration; FINISHED, or None: nothing as yet."""
        asked = self._to_measure()
        if asked is not None:
            self._living.add(trial_id)
            return asked.as_config()
        if self._slots is not None and not self._slots.one_more(len(self._living)):
            return None
        for unusable in self._unusable():
            # One trial comes to the same end, and is where people and a resumed sweep find the reason.
            if self._turns.asked[unusable]:
                self._turns.give_up(unusable)
        category = None if self._spent() else self._turns.next(self._studies.best)
        if category is None:
            # Trials that run may be followed by something to measure.
            return None if self._measurements is not None and self._living else str(Searcher.FINISHED)
        suggestion = self._studies.ask(category)
        self._turns.began(category)
        self._trials[trial_id] = (category, suggestion.number)
        self._living.add(trial_id)
        plan, final = self._plan, suggestion.final
        spec = plan.spec(category, suggestion.values) if final is None else plan.final_spec(category, final)
        config: dict[str, Any] = {"category": category, "number": suggestion.number, "spec": spec.as_dict()}
        if final is not None:
            config["final"] = final.as_dict()
        if self._plan.strategy.also:
            config["also"] = list(self._plan.strategy.also)
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
        self._living.discard(trial_id)
        if trial_id in self._trials:
            self._turns.ended(self._trials[trial_id][0])

    def save(self, checkpoint_path: str) -> None:
        """Writes the file that Ray asks for, with nothing in it: a resumed sweep reads the studies alone."""
        write_file(Path(checkpoint_path), b"{}")

    def _to_measure(self) -> Measuring | None:
        """What a worker is to measure next: it is one of those that `max_concurrent` allows, like any trial."""
        most, living = self._plan.max_concurrent, len(self._living)
        if self._measurements is None or (living and most is not None and living >= most):
            return None
        return self._measurements.hand_out()

    def _spent(self) -> bool:
        """Whether the GPU hours of the sweep are used up."""
        hours = self._plan.gpu_hours
        return hours is not None and self._gpu_seconds() >= hours * 3600
