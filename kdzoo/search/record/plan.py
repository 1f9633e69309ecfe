"""What a sweep is to do, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kdzoo.data.catalog import Dataset
from kdzoo.methods.config import MethodConfig
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.finals import FinalTrial
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.warm_start import Loan
from kdzoo.settings import Settings
from kdzoo.training.spec import LARGEST_SEED, RunOptions, TrialSpec

CHECKPOINT_MINUTES: Final = 10.0
"""What a trial loses at most with its worker, against the traffic of hundreds of trials to one file system."""


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """One command's sweep.

    Attributes:
        name: unique; names its folder and its runs.
        method: what is swept.
        dataset: the opened data set.
        spaces: category to its effective space; the categories of the sweep, in order.
        options: how every trial runs, apart from what a category's space says.
        trials: a category.
        settings: where things are.
        strategy: how the search goes.
        loans: what earlier sweeps lend, as it was when this one was planned.
        portfolio: the configurations of theirs that all categories try first.
        max_concurrent: trials at once; None for as many as fit.
        cpus_per_trial: CPU cores a trial holds.
        gpus_per_trial: GPUs, or the share of one, a trial holds; None for one where the cluster has any.
        time_budget: seconds after which no more is trained; what is finished by then is measured and published.
        keep: checkpoints of ended trials that a category keeps, the best ones'; at least 1.
        checkpoint_minutes: between two checkpoints of a trial that goes on; 0 makes one after each epoch.
        download: whether a machine without the data set may fetch it.
        gpu_hours: GPU time of all trials together after which none begins any more; None for no limit.
        command: that began it, as it was typed; empty where none did.
        group: the group of sweeps that it is one of; empty where it stands alone.
        group_id: which group of that name; empty where it stands alone, or an earlier kdzoo began it.
    """

    name: str
    method: str
    dataset: Dataset
    spaces: Mapping[str, SearchSpace]
    options: RunOptions
    trials: int
    settings: Settings
    strategy: Strategy = field(default_factory=Strategy)
    loans: tuple[Loan, ...] = ()
    portfolio: tuple[Mapping[str, Any], ...] = ()
    max_concurrent: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | None = None
    time_budget: float | None = None
    keep: int = 1
    gpu_hours: float | None = None
    checkpoint_minutes: float = CHECKPOINT_MINUTES
    download: bool = False
    command: str = ""
    group: str = ""
    group_id: str = ""

    @property
    def folder(self) -> Path:
        """Studies, trial checkpoints, and the journal of what goes to MLflow."""
        return self.settings.sweeps / self.name

    @property
    def total_trials(self) -> int:
        """Over all categories."""
        return self.trials * len(self.spaces)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Under which the best configurations are compared in the end; the first is every trial's."""
        return tuple((self.options.seed + more) % (LARGEST_SEED + 1) for more in range(self.strategy.seeds))

    @property
    def most_finals(self) -> int:
        """The most trainings that the final round of a category takes."""
        seeds, finalists = self.strategy.seeds, min(self.strategy.finalists, self.trials)
        return finalists * (seeds - 1) + seeds if seeds > 1 else 0

    @property
    def kept(self) -> int:
        """Checkpoints of ended trials that a category keeps while it is trained."""
        return max(self.keep, self.strategy.finalists) if self.strategy.seeds > 1 else self.keep

    def spec(self, category: str, values: Mapping[str, object]) -> TrialSpec:
        """The trial of a suggestion."""
        return self._spec(category, self.spaces[category].config(values))

    def spec_of(self, category: str, config: Mapping[str, object]) -> TrialSpec:
        """The trial of a whole configuration, as `TrialSpec.as_dict` gives it."""
        return self._spec(category, type(self.spaces[category].defaults).from_mapping(config))

    def _spec(self, category: str, config: MethodConfig) -> TrialSpec:
        return TrialSpec(
            method=self.method,
            config=config,
            dataset=self.dataset.name,
            category=category,
            options=self.options_of(category),
        )

    def final_spec(self, category: str, final: FinalTrial) -> TrialSpec:
        """The trial of the final round."""
        spec = self.spec_of(category, final.config)
        return replace(spec, options=spec.options.replace(seed=final.seed))

    def options_of(self, category: str) -> RunOptions:
        """How the trials of a category run: its space may say where its foreground comes from."""
        foreground = self.spaces[category].foreground
        return self.options if foreground is None else self.options.replace(foreground=foreground)

    def longest_selection(self) -> int:
        """Epochs of the detecting stages of the longest trial: the end of the clock that trials are compared by."""
        return max(1, *map(self.selection_end, self.spaces))

    def selection_end(self, category: str) -> int:
        """The same of the trials of one category."""
        space = self.spaces[category]
        # The last stage is the one that detects in every method; an earlier one that does counts as well.
        last, epochs = space.defaults.last_epochs()
        dimension = None if last is None else space.dimensions.get(last)
        return int(dimension.ends[1]) if dimension else epochs
