"""One Optuna study a category, by ask and tell. Knows nothing of Ray.

Studies live in the sweep's SQLite file, so what finished is kept whatever happens to the process.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.finals import FinalTrial
from kdzoo.search.study.pool import Pool, pool_size
from kdzoo.search.study.samplers import make_sampler
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.study_file import close_study_file, open_study_file
from kdzoo.search.study.suggesting import suggested
from kdzoo.search.study.warm_start import Loan, WarmStart

_OUTCOME, _INTERRUPTED, _AGAIN, _BORROWED, _FINAL = "outcome", "interrupted", "again", "borrowed", "final"
_POOLED = "pooled"
"""What kdzoo notes of a trial in its user attributes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suggestion:
    """What a study wants tried next.

    Attributes:
        category: whose study.
        number: of the trial in the study, from 0.
        values: knob to value.
        again: numbers of interrupted trials with the same values, the latest last; empty for a new one.
        final: what it is, where it belongs to the final round, which has no values of its own.
    """

    category: str
    number: int
    values: Mapping[str, Any]
    again: tuple[int, ...] = ()
    final: FinalTrial | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PastTrial:
    """A trial that an earlier driver left.

    Attributes:
        number: of the trial in the study.
        values: knob to value.
        outcome: what was told of it when it ended; None of one that was under way.
        final: what it is, where it belongs to the final round.
    """

    number: int
    values: Mapping[str, Any]
    outcome: Mapping[str, Any] | None
    final: FinalTrial | None = None


@dataclass
class _Open:
    """A trial that was asked for and has not ended, with the last value it reported."""

    trial: optuna.trial.Trial
    values: Mapping[str, Any]
    step: int = -1
    objective: float = math.nan


class CategoryStudies:
    """The studies of one sweep.

    The first trial of each study is the space's defaults; some come from other categories
    (`kdzoo.search.study.warm_start`), the rest from the strategy's sampler, seeded per category so that, without a warm
    start, the order in which categories are asked changes nothing.

    Args:
        spaces: category to its effective space.
        storage: SQLite file; made if absent.
        trials: planned a category; decides how many are random before a sampler's model takes over.
        seed: of the samplers.
        strategy: how to search.
        loans: what earlier sweeps lend.
        portfolio: whole configurations that all categories try first.

    Raises:
        StorageError: the file cannot be made or opened.
    """

    def __init__(
        self,
        spaces: Mapping[str, SearchSpace],
        *,
        storage: Path,
        trials: int,
        seed: int,
        strategy: Strategy | None = None,
        loans: Iterable[Loan] = (),
        portfolio: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._spaces, self._trials, self._seed = spaces, trials, seed
        self._strategy = strategy or Strategy()
        self._warm = WarmStart(spaces, trials=trials, loans=loans)
        self._pool = self._make_pool(portfolio)
        self._waiting: dict[str, int] = {}
        self._best: dict[str, float] = {}
        self._backend = open_study_file(storage)
        self._studies: dict[str, optuna.Study] = {}
        self._open: dict[tuple[str, int], _Open] = {}

    def ask(self, category: str) -> Suggestion:
        """The next trial of a category; it has values for the knobs that matter in it, and for no others."""
        study = self._study(category)
        self._line_up(category, study)
        trial = study.ask()
        told = trial.user_attrs
        if (final := _final(told)) is not None:
            self._waiting[category] = max(0, self._waiting[category] - 1)
            self._open[category, trial.number] = _Open(trial, {})
            again = tuple(told.get(_AGAIN, ()))
            return Suggestion(category=category, number=trial.number, values={}, again=again, final=final)
        values = suggested(trial, self._spaces[category])
        self._waiting[category] = max(0, self._waiting[category] - 1)
        self._open[category, trial.number] = _Open(trial, values)
        again = tuple(told.get(_AGAIN, ()))
        if not again:
            self._warm.asked(category, values, borrowed=_BORROWED in told)
        self._note_pooled(category, trial.number, told)
        return Suggestion(category=category, number=trial.number, values=values, again=again)

    def past(self, category: str) -> list[PastTrial]:
        """The trials of earlier drivers: those that ended, and those that were under way when their driver died."""
        found = []
        for trial in self._study(category).get_trials(deepcopy=False):
            repeated = trial.state.is_finished() and _INTERRUPTED in trial.user_attrs
            if repeated or trial.state == TrialState.WAITING:
                continue
            outcome = None if trial.state == TrialState.RUNNING else trial.user_attrs.get(_OUTCOME, {})
            final = _final(trial.user_attrs)
            found.append(PastTrial(number=trial.number, values=trial_values(trial), outcome=outcome, final=final))
        return found

    def enqueue_finals(self, category: str, finals: Iterable[FinalTrial]) -> None:
        """Has trials of the final round asked for next; they teach the sampler nothing, which has had its trials."""
        study = self._study(category)
        for final in finals:
            study.enqueue_trial({}, user_attrs={_FINAL: final.as_dict()})
            self._waiting[category] += 1

    def finals(self, category: str) -> list[FinalTrial]:
        """The trials of the final round that were ever asked for, each once."""
        trials = self._study(category).get_trials(deepcopy=False)
        found = [_final(trial.user_attrs) for trial in trials if _INTERRUPTED not in trial.user_attrs]
        return [final for final in found if final is not None]

    def interrupt(self, category: str, number: int) -> None:
        """Ends a trial of an earlier driver as failed, and has its values asked for again. Doing so twice is harmless.

        Args:
            category: whose study.
            number: of a trial that `past` shows without an outcome.
        """
        study = self._study(category)
        trials = study.get_trials(deepcopy=False)
        trial = trials[number]
        if trial.state.is_finished():
            return
        chain = [*trial.user_attrs.get(_AGAIN, ()), number]
        if not any(other.user_attrs.get(_AGAIN) == chain for other in trials):
            kept = {key: value for key, value in trial.user_attrs.items() if key in (_BORROWED, _FINAL, _POOLED)}
            study.enqueue_trial(trial_values(trial), user_attrs={_AGAIN: chain, **kept})
            self._waiting[category] += 1
        # A study tells no trial of another process's anything; its storage does.
        self._backend.set_trial_user_attr(trial._trial_id, _INTERRUPTED, True)
        study.tell(number, state=TrialState.FAIL)

    def report(self, category: str, number: int, step: int, objective: float) -> None:
        """An intermediate value of a running trial; a step that was there before is passed over.

        The last one is written when the trial ends: it is the one that the sampler looks at.
        """
        open_trial = self._open.get((category, number))
        if open_trial is not None and step > open_trial.step and math.isfinite(objective):
            open_trial.step, open_trial.objective = step, objective

    def tell(
        self,
        category: str,
        number: int,
        *,
        objective: float | None,
        stopped: bool,
        also: Sequence[float] = (),
        reason: str = "",
        outcome: Mapping[str, Any] | None = None,
    ) -> None:
        """A trial ended.

        With several objectives, a trial that was stopped early has no values in its study: what it would have reached
        is not known, and Optuna knows no intermediate values there. The sampler sees it as worse than all others.

        Args:
            category: whose study.
            number: of the trial.
            objective: the best value it reached; None or a value that is not finite makes it a failed trial.
            stopped: whether it was stopped early, so that its value does not stand for a full training.
            also: values of the strategy's other objectives, in their order; not needed of a trial that was stopped.
            reason: why it failed.
            outcome: what a resumed sweep is to know of it, as JSON values.
        """
        open_trial = self._open.pop((category, number), None)
        if open_trial is None:
            return
        trial, study = open_trial.trial, self._studies[category]
        if reason:
            trial.set_user_attr("reason", reason[:2000])
        if outcome is not None:
            trial.set_user_attr(_OUTCOME, dict(outcome))
        if _FINAL in trial.user_attrs:
            study.tell(trial, state=TrialState.FAIL)  # it has no values of the space
            return
        several = bool(self._strategy.also)
        if open_trial.step >= 0 and not several:
            trial.report(open_trial.objective, open_trial.step)
        values = [math.nan if objective is None else objective, *(() if stopped else also)]
        whole = stopped or len(values) == len(self._strategy.directions())
        if not whole or not all(map(math.isfinite, values)):
            study.tell(trial, state=TrialState.FAIL)
            objective = None
        elif stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, values)
        self._ended(category, open_trial.values, objective, stopped=stopped)
        self._note_reached(category, trial.user_attrs, None if stopped or objective is None else values)

    def borrowed(self, category: str) -> int:
        """How many trials of a category tried what another one lent."""
        return self._warm.borrowed(category)

    def pooled_best(self, category: str) -> int | None:
        """The trial of a category that tried what did best over all categories; None where there is no pool."""
        return None if self._pool is None else self._pool.best(category)

    def best(self, category: str) -> float | None:
        """The highest objective that an ended trial of a category reached; None before there is one."""
        return self._best.get(category)

    def close(self) -> None:
        """Lets go of the file."""
        close_study_file(self._backend)

    def _ended(self, category: str, values: Mapping[str, Any], objective: float | None, *, stopped: bool) -> None:
        """Remembers what an ended trial reached."""
        if objective is not None:
            self._best[category] = max(objective, self._best.get(category, objective))
        self._warm.ended(category, values, None if stopped else objective)

    def _make_pool(self, portfolio: Sequence[Mapping[str, Any]]) -> Pool | None:
        """What all categories try; None where there is nothing that they could share."""
        strategy = self._strategy
        draws = strategy.pool and len(self._spaces) > 1
        share = pool_size(self._trials)
        first = tuple(portfolio)[: max(1, share // 2)]
        if not draws and not first:
            return None
        return Pool(
            self._spaces,
            size=share if draws else 1 + len(first),
            seed=self._seed,
            sampler=strategy.sampler,
            objectives=len(strategy.directions()),
            portfolio=first,
            draws=draws,
        )

    def _line_up(self, category: str, study: optuna.Study) -> None:
        """Enqueues what all categories try, else what another one lends, where nothing else waits to be tried."""
        if self._waiting[category]:
            return
        pooled = None if self._pool is None else self._pool.offer(category, self._warm.tried(category))
        if pooled is not None:
            told = {"entry": pooled.entry, "shared": dict(pooled.shared)}
            study.enqueue_trial(dict(pooled.values), user_attrs={_POOLED: told})
            self._waiting[category] += 1
            return
        offer = self._warm.offer(category) if self._strategy.warm_start else None
        if offer is not None:
            lender, values = offer
            study.enqueue_trial(values, user_attrs={_BORROWED: lender})
            self._waiting[category] += 1

    def _note_pooled(self, category: str, number: int, told: Mapping[str, Any]) -> None:
        """Tells the pool that one of its configurations was handed out."""
        if self._pool is not None and _POOLED in told:
            self._pool.asked(category, number, told[_POOLED]["entry"], told[_POOLED]["shared"])

    def _note_reached(self, category: str, told: Mapping[str, Any], values: Sequence[float] | None) -> None:
        """Tells the pool what a trial of one of its configurations reached; None where it did not come to its end."""
        if self._pool is not None and _POOLED in told:
            signs = [1.0 if each == "maximize" else -1.0 for each in self._strategy.directions()]
            reached = None if values is None else tuple(sign * value for sign, value in zip(signs, values, strict=True))
            self._pool.ended(category, told[_POOLED]["entry"], reached)

    def _remember(self, category: str, study: optuna.Study) -> None:
        """Takes in what earlier drivers left of a study."""
        trials = study.get_trials(deepcopy=False)
        self._waiting[category] = sum(trial.state == TrialState.WAITING for trial in trials)
        for trial in trials:
            if _FINAL in trial.user_attrs:
                continue
            self._note_pooled(category, trial.number, trial.user_attrs)  # one that waits has its entry, too
            if trial.state == TrialState.WAITING:
                continue
            values = trial_values(trial)
            if _AGAIN not in trial.user_attrs:
                self._warm.asked(category, values, borrowed=_BORROWED in trial.user_attrs)
            if trial.state.is_finished() and _INTERRUPTED not in trial.user_attrs:
                stopped = trial.state == TrialState.PRUNED
                # With several objectives a stopped trial has no values of its own.
                told = trial.user_attrs.get(_OUTCOME, {}).get("objective") if stopped else None
                objective = trial.values[0] if trial.state == TrialState.COMPLETE else told
                self._ended(category, values, objective, stopped=stopped)
                ended = trial.values if trial.state == TrialState.COMPLETE else None
                self._note_reached(category, trial.user_attrs, ended)

    def _known(self, category: str) -> int:
        """Trials that are there already: a sampler with the first one's seed would draw the same values once more."""
        try:
            return int(self._backend.get_n_trials(self._backend.get_study_id_from_name(category)))
        except KeyError:
            return 0

    def _study(self, category: str) -> optuna.Study:
        """A category's study, made when it is first asked: a thousand of them take a while."""
        if category in self._studies:
            return self._studies[category]
        seed = _seed(self._seed, category, self._known(category))
        study = optuna.create_study(
            study_name=category,
            storage=self._backend,
            directions=list(self._strategy.directions()),
            sampler=make_sampler(self._strategy.sampler, seed=seed, trials=self._trials),
            load_if_exists=True,
        )
        if not study.get_trials(deepcopy=False):
            start = self._spaces[category].start()
            study.enqueue_trial(start, user_attrs={_POOLED: {"entry": 0, "shared": start}})
        self._remember(category, study)
        self._studies[category] = study
        return study


def _final(told: Mapping[str, Any]) -> FinalTrial | None:
    """Which trial of the final round the attributes of a trial are of."""
    return FinalTrial.from_dict(told[_FINAL]) if _FINAL in told else None


def is_of_final_round(trial: optuna.trial.FrozenTrial) -> bool:
    """Whether a trial is of the final round, and so has no values of the space."""
    return _FINAL in trial.user_attrs


def trial_values(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    """Knob to value. One that was killed while its values were drawn has the rest from what it was to try."""
    return {**trial.system_attrs.get("fixed_params", {}), **trial.params}


def _seed(seed: int, category: str, known: int) -> int:
    text = f"{seed}/{category}/{known}" if known else f"{seed}/{category}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
