"""What earlier sweeps lend to a new one: the best of each of their categories, and a portfolio for all of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from kdzoo.data.catalog import Dataset
from kdzoo.errors import SweepError
from kdzoo.search.record.overview import sweep_folder
from kdzoo.search.record.plan_file import PlanFile
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.pool import LARGEST_PORTFOLIO
from kdzoo.search.study.ranks import portfolio
from kdzoo.search.study.studies import is_of_final_round, trial_values
from kdzoo.search.study.study_file import close_study_file, open_study_file
from kdzoo.search.study.warm_start import Loan
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions

_Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What an earlier sweep knows.

    Attributes:
        loans: the best configuration of each category.
        configs: all whole configurations that it tried, by a key.
        table: category to the keys of what it tried, and the objective that each reached; None where it did not come to
            its end.
    """

    loans: tuple[Loan, ...]
    configs: Mapping[_Key, Mapping[str, Any]]
    table: Mapping[str, Mapping[_Key, float | None]]


def read_earlier(name: str, settings: Settings, *, method: str, dataset: Dataset, options: RunOptions) -> Earlier:
    """Reads an earlier sweep of this home.

    Args:
        name: of the earlier sweep, finished or not.
        settings: where sweeps are.
        method: of the new sweep.
        dataset: of the new sweep.
        options: of the new sweep.

    Raises:
        UnknownNameError: there is no such sweep.
        SweepError: it is of another method, has no trial that ended, or chose by images that the new one reports on.
        StorageError: its studies cannot be read.
    """
    folder = sweep_folder(settings, name)
    before = PlanFile.read(folder.plan, settings)
    if before.plan.method != method:
        raise SweepError(
            f"the sweep '{name}' is of method '{before.plan.method}', not '{method}'",
            hint="warm start from a sweep of the same method",
        )
    _check_leak(before, dataset, options)
    loans, configs = [], dict[_Key, Mapping[str, Any]]()
    table: dict[str, dict[_Key, float | None]] = {}
    storage = open_study_file(folder.studies)
    try:
        for study in optuna.get_all_study_names(storage):
            trials = optuna.load_study(study_name=study, storage=storage).get_trials(deepcopy=False)
            table[study] = _reached(trials, before.plan.spaces[study], configs)
            ended = [trial for trial in trials if trial.state == TrialState.COMPLETE]
            if ended:
                best = max(ended, key=lambda trial: trial.values[0])
                config = before.plan.spaces[study].config(trial_values(best)).as_dict()
                loans.append(Loan(category=study, config=config, trials=len(ended)))
    finally:
        close_study_file(storage)
    if not loans:
        raise SweepError(f"no trial of the sweep '{name}' was trained to its end, so it has nothing to lend")
    return Earlier(loans=tuple(loans), configs=configs, table=table)


def portfolio_of(earlier: Mapping[str, Earlier], spaces: Iterable[SearchSpace]) -> tuple[Mapping[str, Any], ...]:
    """A few configurations of earlier sweeps of which one did well in each of their categories.

    Args:
        earlier: the sweeps by name; what categories of two of them reached is not compared.
        spaces: of the new sweep, whose defaults are tried in any case.
    """
    defaults = {_key(space.config(space.start()).as_dict()) for space in spaces}
    table = {f"{name}/{category}": its for name, each in earlier.items() for category, its in each.table.items()}
    configs = {key: config for each in earlier.values() for key, config in each.configs.items()}
    return tuple(configs[key] for key in portfolio(table, LARGEST_PORTFOLIO, beside=defaults))


def _reached(
    trials: Iterable[FrozenTrial], space: SearchSpace, configs: dict[_Key, Mapping[str, Any]]
) -> dict[_Key, float | None]:
    """What the configurations of a category's search reached; takes them up into `configs`."""
    found: dict[_Key, float | None] = {}
    for trial in trials:
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED) or is_of_final_round(trial):
            continue
        config = space.config(trial_values(trial)).as_dict()
        configs[key := _key(config)] = config
        objective = trial.values[0] if trial.state == TrialState.COMPLETE else None
        before = found.get(key)
        found[key] = objective if before is None or (objective is not None and objective > before) else before
    return found


def _key(config: Mapping[str, Any]) -> _Key:
    return tuple(sorted(config.items()))


def _check_leak(written: PlanFile, dataset: Dataset, options: RunOptions) -> None:
    """Refuses configurations that were chosen by images which the new sweep's final report is measured on.

    Raises:
        SweepError: they were.
    """
    before = written.plan
    earlier, harmless = before.options, options.protocol == "test" or before.options.protocol == "synthetic"
    same_parts = (earlier.protocol, earlier.split_seed) == (options.protocol, options.split_seed)
    if harmless or same_parts or not _share_images(written, dataset):
        return
    raise SweepError(
        f"the sweep '{before.name}' chose by test images of {dataset.name} that this one reports on: "
        f"protocol {earlier.protocol}, split seed {earlier.split_seed}; now {options.protocol}, {options.split_seed}",
        hint="give the same --protocol and --split-seed, or leave --warm-start out",
    )


def _share_images(written: PlanFile, dataset: Dataset) -> bool:
    """Whether a data set is the earlier sweep's, also under another name."""
    if written.plan.dataset.name == dataset.name:
        return True
    known = {digests.fingerprint for digests in written.data.values()}
    return any(dataset.category(category).fingerprint() in known for category in dataset.categories())
