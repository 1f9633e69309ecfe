"""What an earlier sweep lends to a new one: the best configuration of each of its categories."""

from __future__ import annotations

import optuna
from optuna.trial import TrialState

from kdzoo.data.catalog import Dataset
from kdzoo.errors import SweepError
from kdzoo.search.record.overview import sweep_folder
from kdzoo.search.record.plan_file import PlanFile
from kdzoo.search.study.studies import trial_values
from kdzoo.search.study.study_file import close_study_file, open_study_file
from kdzoo.search.study.warm_start import Loan
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions


def loans_of(name: str, settings: Settings, *, method: str, dataset: Dataset, options: RunOptions) -> tuple[Loan, ...]:
    """The loans of an earlier sweep of this home.

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
    loans = []
    storage = open_study_file(folder.studies)
    try:
        for study in optuna.get_all_study_names(storage):
            trials = optuna.load_study(study_name=study, storage=storage).get_trials(
                deepcopy=False, states=(TrialState.COMPLETE,)
            )
            if not trials:
                continue
            best = max(trials, key=lambda trial: trial.values[0])
            config = before.plan.spaces[study].config(trial_values(best)).as_dict()
            loans.append(Loan(category=study, config=config, trials=len(trials)))
    finally:
        close_study_file(storage)
    if not loans:
        raise SweepError(f"no trial of the sweep '{name}' was trained to its end, so it has nothing to lend")
    return tuple(loans)


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
