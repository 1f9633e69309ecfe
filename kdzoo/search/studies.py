"""One Optuna study a category, by ask and tell. Knows nothing of Ray.

Studies live in the sweep's SQLite file, so what finished is kept whatever happens to the process.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from kdzoo.search.dimension import Dimension
from kdzoo.search.space import SearchSpace


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """What a study wants tried next.

    Attributes:
        category: whose study.
        number: of the trial in the study, from 0.
        values: knob to value.
    """

    category: str
    number: int
    values: Mapping[str, Any]


class CategoryStudies:
    """The studies of one sweep.

    The first trial of each study is the space's defaults; the rest come from TPE, seeded per category so that the
    order in which categories are asked changes nothing.

    Args:
        spaces: category to its effective space.
        storage: SQLite file; made if absent.
        trials: planned a category; decides how many are random before TPE's model takes over.
        seed: of the samplers.
    """

    def __init__(self, spaces: Mapping[str, SearchSpace], *, storage: Path, trials: int, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage.parent.mkdir(parents=True, exist_ok=True)
        backend = optuna.storages.RDBStorage(f"sqlite:///{storage}")
        self._distributions = {
            category: {key: _distribution(dimension) for key, dimension in space.dimensions.items()}
            for category, space in spaces.items()
        }
        self._studies: dict[str, optuna.Study] = {}
        self._open: dict[tuple[str, int], optuna.trial.Trial] = {}
        for category, space in spaces.items():
            study = optuna.create_study(
                study_name=category,
                storage=backend,
                direction="maximize",
                sampler=optuna.samplers.TPESampler(
                    seed=_seed(seed, category),
                    n_startup_trials=min(10, max(4, trials // 4)),
                    constant_liar=True,
                ),
                load_if_exists=True,
            )
            if not study.get_trials(deepcopy=False):
                study.enqueue_trial(space.start())
            self._studies[category] = study

    def ask(self, category: str) -> Suggestion:
        """The next trial of a category."""
        trial = self._studies[category].ask(self._distributions[category])
        self._open[category, trial.number] = trial
        return Suggestion(category=category, number=trial.number, values=trial.params)

    def report(self, category: str, number: int, step: int, objective: float) -> None:
        """An intermediate value of a running trial; each step counts once."""
        trial = self._open.get((category, number))
        if trial is not None and math.isfinite(objective):
            trial.report(objective, step)

    def tell(self, category: str, number: int, *, objective: float | None, stopped: bool, reason: str = "") -> None:
        """A trial ended.

        Args:
            category: whose study.
            number: of the trial.
            objective: the best value it reached; None or a value that is not finite makes it a failed trial.
            stopped: whether it was stopped early, so that its value does not stand for a full training.
            reason: why it failed.
        """
        trial = self._open.pop((category, number), None)
        if trial is None:
            return
        if reason:
            trial.set_user_attr("reason", reason[:2000])
        study = self._studies[category]
        if objective is None or not math.isfinite(objective):
            study.tell(trial, state=TrialState.FAIL)
        elif stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, objective)


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "categorical":
        return CategoricalDistribution(dimension.choices)
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log, step=step)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log, step=dimension.step)


def _seed(seed: int, category: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{category}".encode()).digest()[:4], "big")
