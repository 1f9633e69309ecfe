"""The state of a running sweep as people watch it: trials by category, the best so far, the time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kdzoo.search.study.finals import FinalTrial, Verdict
from kdzoo.zoo import Published

Ended = Literal["finished", "stopped_early", "failed", "interrupted"]
"""How a trial ended; an interrupted one was cut off by the end of the sweep, and a resumed sweep runs it again."""
TrialStatus = Literal["running"] | Ended

Phase = Literal["measuring", "publishing"]
"""Where a category is whose trials are over and whose outcome is not known yet."""

_OUTCOME = (
    "status", "epoch", "total_epochs", "objective", "metrics", "seconds", "gpu_seconds", "reason", "parts", "also",
    "measurements", "reused_seconds", "tie", "precision", "timed_on", "aside", "best_epoch"
)  # fmt: skip


@dataclass
class TrialRow:
    """One trial.

    Attributes:
        trial_id: category and number; the same whichever driver runs the trial.
        category: what it trains on.
        number: in its study, from 0.
        config: its configuration.
        status: how it stands.
        epoch: epochs done.
        total_epochs: epochs planned.
        objective: the best value so far.
        metrics: of the last measured epoch, ``val_*``.
        seconds: of training and measuring.
        gpu_seconds: how long it held its place, start-up included, times the GPUs held.
        lost_seconds: how long it held the places of workers that were lost.
        reason: why it failed, or was cut short.
        also: values of the sweep's further objectives, once finished.
        measurements: detecting epoch and best objective so far, at each measurement.
        parts: in how many parts its batches were taken; more than one after the GPU's memory ran out.
        reused_seconds: of training that the first stage of another trial saved it.
        precision: what it trained in, such as ``bfloat16``; empty before its first epoch.
        timed_on: what its latency was measured on; empty where none was.
        aside: whether its study was told nothing of its objectives, since others were timed on another kind of device.
        tie: what decides between trials of the same objective; see `kdzoo.metrics.ties`.
        best_epoch: the epoch whose weights are kept, from 1; 0 before one was measured.
        final: what it is, where it belongs to the final round.
    """

    trial_id: str
    category: str
    number: int
    config: dict[str, Any]
    status: TrialStatus = "running"
    epoch: int = 0
    total_epochs: int = 0
    objective: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    lost_seconds: float = 0.0
    reason: str = ""
    parts: int = 1
    also: dict[str, float] = field(default_factory=dict)
    measurements: list[list[float]] = field(default_factory=list)
    reused_seconds: float = 0.0
    tie: float = 0.0
    best_epoch: int = 0
    precision: str = ""
    timed_on: str = ""
    aside: bool = False
    final: FinalTrial | None = None

    def reached(self, detecting_epoch: int, objective: float) -> None:
        """A detecting epoch was measured, and the best value so far is this."""
        self.objective = objective
        self.measurements.append([detecting_epoch, objective])

    @property
    def ended(self) -> bool:
        """Whether the trial is over, however it ended."""
        return self.status != "running"

    @property
    def failed(self) -> bool:
        """Whether the trial ended without a result."""
        return self.status == "failed"

    def as_outcome(self) -> dict[str, Any]:
        """What a resumed sweep is to know of the trial, as JSON values; see `from_outcome`."""
        return {name: getattr(self, name) for name in _OUTCOME}

    @classmethod
    def from_outcome(
        cls, trial_id: str, category: str, number: int, config: dict[str, Any], outcome: Mapping[str, Any]
    ) -> TrialRow:
        """The row of a trial that an earlier driver ran, its status still to be told to the board."""
        told = {name: outcome[name] for name in _OUTCOME if name in outcome and name != "status"}
        return cls(trial_id=trial_id, category=category, number=number, config=config, **told)


@dataclass(frozen=True, kw_only=True)
class ParetoTrial:
    """A trial than which none is at least as good in all objectives and better in one.

    Attributes:
        number: of the trial in its study.
        objectives: name to value, in the order in which they were asked for.
        config: its configuration.
        timed_on: what its latency was measured on; empty where that is no objective.
    """

    number: int
    objectives: Mapping[str, float]
    config: Mapping[str, Any]
    timed_on: str = ""


@dataclass(frozen=True, kw_only=True)
class CategoryOutcome:
    """What a category's study came to.

    Attributes:
        category: its name.
        best: the trial that was measured; None when none was usable.
        metrics: ``val_*`` and ``test_*`` of it.
        published: what the zoo did with it; None when nothing reached it.
        seconds: of all trials together.
        gpu_seconds: likewise.
        reason: why there is no result.
        undefined: metrics without a value and why.
        operating_point: as in the document: what the threshold decides on each part; empty when nothing was measured.
        baseline: as in the document: what nearest neighbours came to on the same images; empty when not measured.
        pareto: with several objectives, the trials that no other one beats in all of them.
    """

    category: str
    best: TrialRow | None
    metrics: dict[str, float]
    published: Published | None
    seconds: float
    gpu_seconds: float
    reason: str = ""
    undefined: dict[str, str] = field(default_factory=dict)
    operating_point: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)
    pareto: tuple[ParetoTrial, ...] = ()


class SweepBoard:
    """Rows of all trials, and what follows from them. Cheap to ask, however many categories there are.

    ``finals`` says of each category how many trials its final round has, once that is planned, and ``verdicts`` how it
    ended; ``given_up`` are categories of which images cannot be read, so that no more trials of them begin.

    Args:
        categories: of the sweep, in order.
        trials: planned a category.
        objective: name of the metric that is maximised.
    """

    def __init__(self, categories: Iterable[str], *, trials: int, objective: str) -> None:
        self.categories, self.trials, self.objective = tuple(categories), trials, objective
        self.rows: dict[str, TrialRow] = {}
        self.outcomes: dict[str, CategoryOutcome] = {}
        self.phases: dict[str, Phase] = {}
        self.finals: dict[str, int] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.given_up: set[str] = set()
        self.started = time.monotonic()
        self._of: dict[str, list[TrialRow]] = {category: [] for category in self.categories}
        self._running: dict[str, TrialRow] = {}
        self._counts: Counter[TrialStatus] = Counter()
        self._restored = 0
        self._gpu_seconds_ended = 0.0
        self._concluding: dict[str, float] = {}
        self._took: list[float] = []

    def concludes(self, category: str, phase: Phase) -> None:
        """A category is being measured or published."""
        self._concluding.setdefault(category, time.monotonic())
        self.phases[category] = phase

    def concluded(self, outcome: CategoryOutcome) -> None:
        """What a category came to is known."""
        self.outcomes[outcome.category] = outcome
        if self.phases.pop(outcome.category, None) is not None:
            self._took.append(time.monotonic() - self._concluding.pop(outcome.category))

    def restore(self, row: TrialRow, status: Ended) -> None:
        """A trial that an earlier driver of the sweep ran to its end."""
        self.start(row)
        self.end(row, status)
        self._restored += 1

    def start(self, row: TrialRow) -> None:
        """A trial starts."""
        self.rows[row.trial_id] = self._running[row.trial_id] = row
        self._of[row.category].append(row)
        self._counts[row.status] += 1

    def end(self, row: TrialRow, status: Ended) -> None:
        """A running trial ended."""
        del self._running[row.trial_id]
        self._counts[row.status] -= 1
        self._counts[status] += 1
        row.status = status
        self._gpu_seconds_ended += row.gpu_seconds

    def gpu_seconds(self) -> float:
        """How long all trials have held GPUs, those of earlier drivers included."""
        return self._gpu_seconds_ended + sum(row.gpu_seconds for row in self._running.values())

    @property
    def total(self) -> int:
        """Trials planned over all categories."""
        return self.trials * len(self.categories) + sum(self.finals.values())

    def running(self) -> list[TrialRow]:
        """Trials that have not ended."""
        return list(self._running.values())

    def of(self, category: str) -> list[TrialRow]:
        """A category's trials so far."""
        return list(self._of[category])

    def count(self, status: TrialStatus, category: str | None = None) -> int:
        """How many trials stand like this."""
        if category is None:
            return self._counts[status]
        return sum(row.status == status for row in self._of[category])

    def ended(self, category: str | None = None) -> int:
        """How many trials have ended, however they did."""
        if category is None:
            return len(self.rows) - len(self._running)
        return sum(row.ended for row in self._of[category])

    def done(self, category: str | None = None) -> int:
        """How many of the planned trials are over: those that ended and were not interrupted."""
        return self.ended(category) - self.count("interrupted", category)

    def searched(self, category: str) -> int:
        """How many of a category's trials are over, those of its final round apart."""
        return sum(row.ended and row.status != "interrupted" and row.final is None for row in self._of[category])

    def best(self, category: str) -> TrialRow | None:
        """The winner of the final round; without one the first of `ranked` that was no part of it."""
        verdict = self.verdicts.get(category)
        if verdict is not None:
            return next(row for row in self._of[category] if row.number == verdict.number)
        return next((row for row in self.ranked(category) if row.final is None), None)

    def ranked(self, category: str) -> list[TrialRow]:
        """The ended trials that are worth something, the best first.

        Of those with the same objective the one with the higher pixel AP (AUPRO where that is undefined) at its best
        epoch, then the earlier.
        """
        usable = [row for row in self._of[category] if row.objective is not None and row.ended and not row.failed]
        return sorted(usable, key=lambda row: (-(row.objective or 0.0), -row.tie, row.number))

    def reused(self) -> tuple[int, float]:
        """How many trials took another one's first stage, and the seconds of training that this saved."""
        saved = [row.reused_seconds for row in self.rows.values() if row.ended and row.reused_seconds]
        return len(saved), sum(saved)

    def best_value(self, category: str) -> float | None:
        """The highest objective of any trial that has not failed, running ones included."""
        values = (row.objective for row in self._of[category] if row.objective is not None and not row.failed)
        return max(values, default=None)

    def elapsed(self) -> float:
        """Seconds since the sweep began."""
        return time.monotonic() - self.started

    def time_left(self) -> float | None:
        """Seconds until the last category is published, at the pace so far.

        None until a trial has ended, and where only what has not been done yet is left: nobody knows how long measuring
        takes before a category was measured.
        """
        now = self.ended() - self._restored
        if not now:
            return None
        parts = (min(row.epoch / row.total_epochs, 1.0) for row in self.running() if row.total_epochs)
        done = now + sum(parts)
        training = self.elapsed() / done * max(self.total - self._restored - done, 0)
        if not self._took:
            return None if self.phases and not training else training
        each, left = sum(self._took) / len(self._took), len(self.categories) - len(self.outcomes)
        under_way = sum(min(time.monotonic() - since, each) for since in self._concluding.values())
        at_once = max(1, len(self._running) + len(self.phases))
        return training + (each * left - under_way) / at_once
