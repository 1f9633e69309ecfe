"""Simulated trials, and what stands in the place of MLflow and of the studies, for `benchmarks.scale`."""

import math
import random
import statistics
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.study.studies import Suggestion
from kdzoo.search.workers.checkpoints import trial_name

METRICS = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
FAILS, LOSES_ITS_WORKER = 0.01, 0.005
"""Of all trials."""
BACK_SECONDS, REPEATED_EPOCHS = 18.0, 5
"""After a lost worker: until another one goes on, and what it does again at most."""


class Counting:
    """In MLflow's, the conclusions' and the view's place: counts what it is told.

    A sweep's tracker returns as soon as its journal has a line; what that takes is measured by `journal_seconds`.
    """

    busy = False

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def told(*_: Any, **__: Any) -> None:
            self.calls[name] += 1

        return told


class DrawnStudies:
    """In the studies' place where their number would make a run last for hours: random values from memory.

    What the real ones take, as a smaller run has shown, is laid on the driver's clock: ``--ask-ms``, ``--tell-ms``.
    """

    def __init__(self, plan: SweepPlan, seed: int) -> None:
        self._plan, self._dice, self._asked = plan, random.Random(seed), Counter[str]()

    def ask(self, category: str) -> Suggestion:
        space, values = self._plan.spaces[category], dict[str, Any]()
        number = self._asked[category]
        self._asked[category] += 1
        for key, dimension in space.dimensions.items():
            if not space.matters(key, values):
                continue
            if dimension.kind == "categorical":
                values[key] = self._dice.choice(dimension.choices)
            else:
                drawn = dimension.low + self._dice.random() * (dimension.high - dimension.low)
                values[key] = dimension.closest(drawn)
        return Suggestion(category=category, number=number, values=space.start() if number == 0 else values)

    def best(self, category: str) -> None:
        """Nothing is known."""

    def report(self, *_: Any) -> None:
        """Nothing is learnt."""

    def tell(self, *_: Any, **__: Any) -> None:
        """Nothing is learnt."""

    def close(self) -> None:
        """There is no file."""


@dataclass
class World:
    """What trials do in the simulation; everything from the seed and the trial's own name.

    Attributes:
        plan: the sweep.
        epoch_seconds: of the median trial.
        seed: of it all.
    """

    plan: SweepPlan
    epoch_seconds: float
    seed: int

    def life(self, config: dict[str, Any]) -> "Life":
        """How the trial of a suggestion goes."""
        name, category = trial_name(config["category"], config["number"]), str(config["category"])
        dice = random.Random(f"{self.seed}/{name}")
        knobs = config["spec"]["config"]
        keys = type(self.plan.spaces[category].defaults).epoch_keys()
        before, detecting = sum(int(knobs[key]) for key in keys[:-1]), int(knobs[keys[-1]])
        every = max(1, detecting // self.plan.options.evaluations)
        return Life(
            total=before + detecting,
            before=before,
            every=every,
            seconds=self.epoch_seconds * dice.lognormvariate(0.0, 0.25),
            peak=self._peak(category, knobs),
            pace=dice.uniform(0.03, 0.15),
            noise=dice.gauss(0.0, 0.005),
            fails_at=dice.randint(1, before + detecting) if dice.random() < FAILS else None,
            lost_at=dice.randint(1, before + detecting) if dice.random() < LOSES_ITS_WORKER else None,
            again=dice.randint(0, REPEATED_EPOCHS),
        )

    def _peak(self, category: str, knobs: dict[str, Any]) -> float:
        """What a configuration reaches in a category: best at a place of the category's own."""
        place, distance = random.Random(f"{self.seed}/{category}"), []
        for key, dimension in self.plan.spaces[category].dimensions.items():
            best, low, high = place.random(), dimension.low, dimension.high
            if not isinstance(knobs.get(key), int | float) or high == low:
                continue
            value = float(knobs[key])
            if dimension.log:
                value, low, high = math.log(max(value, low)), math.log(low), math.log(high)
            distance.append(((value - low) / (high - low) - best) ** 2)
        return 0.98 - 0.3 * (statistics.fmean(distance) if distance else 0.0)


@dataclass
class Life:
    """How one trial goes: see `World.life`."""

    total: int
    before: int
    every: int
    seconds: float
    peak: float
    pace: float
    noise: float
    fails_at: int | None
    lost_at: int | None
    again: int
    epoch: int = 0
    best: float = 0.0

    def next_seconds(self) -> float:
        """Until the next report: an epoch, and what a lost worker costs."""
        lost = self.epoch + 1 == self.lost_at
        return self.seconds + (BACK_SECONDS + self.again * self.seconds if lost else 0.0)

    def report(self) -> dict[str, Any]:
        """The report of the next epoch, with the keys of `TrialTrainable.step`."""
        self.epoch += 1
        if self.epoch == self.fails_at:
            return {"failure": "the loss is NaN", "finished": False, "done": True}
        seen, done = max(0, self.epoch - self.before), self.epoch >= self.total
        found: dict[str, Any] = {
            "epoch": self.epoch,
            "total_epochs": self.total,
            "selection_epoch": seen,
            "train_seconds": self.epoch * self.seconds,
            "measure_seconds": 0.0,
            "on_gpu": True,
            "losses": {"loss": 1.0 / self.epoch},
            "finished": done,
            "done": done,
        }
        if seen and (seen % self.every == 0 or done):
            self.best = max(self.best, self.peak * (1 - math.exp(-self.pace * (seen + 5))) + self.noise)
            found |= {"objective": self.best, "metrics": {f"val_{name}": self.best for name in METRICS}}
        return found
