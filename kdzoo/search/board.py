"""The state of a running sweep as people watch it: trials by category, the best so far, the time left."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from kdzoo.zoo import Published

TrialStatus = Literal["running", "finished", "stopped_early", "failed"]


@dataclass
class TrialRow:
    """One trial.

    Attributes:
        trial_id: Ray's.
        category: what it trains on.
        number: in its study, from 0.
        config: its configuration.
        status: how it stands.
        epoch: epochs done.
        total_epochs: epochs planned.
        objective: the best value so far.
        metrics: of the last measured epoch, ``val_*``.
        seconds: of training and measuring.
        gpu_seconds: the same times the GPUs held.
        reason: why it failed.
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
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether the trial is over, however it ended."""
        return self.status != "running"


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
    """

    category: str
    best: TrialRow | None
    metrics: dict[str, float]
    published: Published | None
    seconds: float
    gpu_seconds: float
    reason: str = ""
    undefined: dict[str, str] = field(default_factory=dict)


class SweepBoard:
    """Rows of all trials, and what follows from them.

    Args:
        categories: of the sweep, in order.
        trials: planned a category.
        objective: name of the metric that is maximised.
    """

    def __init__(self, categories: Iterable[str], *, trials: int, objective: str) -> None:
        self.categories, self.trials, self.objective = tuple(categories), trials, objective
        self.rows: dict[str, TrialRow] = {}
        self.outcomes: dict[str, CategoryOutcome] = {}
        self.started = time.monotonic()

    @property
    def total(self) -> int:
        """Trials planned over all categories."""
        return self.trials * len(self.categories)

    def of(self, category: str) -> list[TrialRow]:
        """A category's trials so far."""
        return [row for row in self.rows.values() if row.category == category]

    def count(self, status: TrialStatus, category: str | None = None) -> int:
        """How many trials stand like this."""
        return sum(row.status == status and category in (None, row.category) for row in self.rows.values())

    def ended(self, category: str | None = None) -> int:
        """How many trials have ended, however they did."""
        return sum(row.ended and category in (None, row.category) for row in self.rows.values())

    def best(self, category: str) -> TrialRow | None:
        """The ended trial of the highest objective; the earlier of equals."""
        usable = [row for row in self.of(category) if row.objective is not None and row.status in ("finished", "stopped_early")]
        return max(usable, key=lambda row: (row.objective, -row.number), default=None)

    def best_value(self, category: str) -> float | None:
        """The highest objective of any trial, running ones included."""
        return max((row.objective for row in self.of(category) if row.objective is not None), default=None)

    def elapsed(self) -> float:
        """Seconds since the sweep began."""
        return time.monotonic() - self.started

    def time_left(self) -> float | None:
        """Seconds until the last trial ends at the pace so far; None until a trial has ended."""
        done = self.ended() + sum(
            min(row.epoch / row.total_epochs, 1.0)
            for row in self.rows.values()
            if row.status == "running" and row.total_epochs
        )
        if not self.ended():
            return None
        return self.elapsed() / done * (self.total - done)
