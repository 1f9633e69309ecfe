"""The searcher: trials of all categories in turn, each result to its own study."""

import dataclasses
import math

import optuna
import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher
from ray import cloudpickle

from kdzoo.data.catalog import open_dataset
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.board import SweepBoard
from kdzoo.search.dimension import Dimension
from kdzoo.search.monitor import SweepMonitor
from kdzoo.search.plan import SweepPlan
from kdzoo.search.searcher import CategorySearcher
from kdzoo.search.sent_teacher import SentTeacher
from kdzoo.search.space import SearchSpace
from kdzoo.search.studies import CategoryStudies
from kdzoo.search.sweep import _tuner
from kdzoo.search.trainable import WorkerContext
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions, TrialSpec

MARGIN = {"margin": Dimension(kind="float", low=0.05, high=1.0)}


@pytest.fixture
def plan(tmp_path):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})
    spaces = {
        category: SearchSpace(method="aand", defaults=AANDConfig(distil_epochs=7), dimensions=MARGIN)
        for category in ("bottle", "cable", "screw")
    }
    return SweepPlan(
        name="sweep",
        method="aand",
        dataset=open_dataset(str(make_dataset(tmp_path / "parts")), settings),
        spaces=spaces,
        options=RunOptions(),
        trials=2,
        settings=settings,
    )


@pytest.fixture
def studies(plan, tmp_path):
    made = CategoryStudies(plan.spaces, storage=tmp_path / "studies.db", trials=plan.trials, seed=0)
    yield made
    made.close()


def states(tmp_path, category):
    storage = optuna.storages.RDBStorage(f"sqlite:///{tmp_path / 'studies.db'}")
    try:
        trials = optuna.load_study(study_name=category, storage=storage).trials
        return [(trial.state.name, trial.value) for trial in trials]
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_categories_take_turns_until_all_have_their_trials(plan, studies):
    searcher = CategorySearcher(plan, studies)
    suggested = [searcher.suggest(f"trial{number}") for number in range(6)]
    assert [one["category"] for one in suggested] == ["bottle", "cable", "screw"] * 2
    assert [one["number"] for one in suggested] == [0, 0, 0, 1, 1, 1]
    first = TrialSpec.from_dict(suggested[0]["spec"])
    assert (first.config, first.category_name) == (AANDConfig(distil_epochs=7), "parts/bottle")
    assert searcher.suggest("trial6") == CategorySearcher.FINISHED


def test_each_ending_reaches_its_study(plan, studies, tmp_path):
    searcher = CategorySearcher(plan, studies)
    for number in range(6):
        searcher.suggest(f"trial{number}")
    searcher.on_trial_result("trial0", {"objective": 0.4, "selection_epoch": 1})
    searcher.on_trial_complete("trial0", {"objective": 0.5, "selection_epoch": 2, "finished": True})
    searcher.on_trial_complete("trial3", {"objective": 0.3, "selection_epoch": 1, "finished": False})
    searcher.on_trial_complete("trial1", {"failure": "the loss became nan", "finished": False})
    searcher.on_trial_complete("trial4", None, error=True)
    searcher.on_trial_complete("trial2", {"objective": math.nan, "selection_epoch": 1, "finished": True})
    searcher.on_trial_complete("unknown", {"objective": 1.0})
    assert states(tmp_path, "bottle") == [("COMPLETE", 0.5), ("PRUNED", 0.3)]
    assert states(tmp_path, "cable") == [("FAIL", None), ("FAIL", None)]
    assert states(tmp_path, "screw") == [("FAIL", None), ("RUNNING", None)]


def test_its_state_goes_through_a_file(plan, studies, tmp_path):
    searcher = CategorySearcher(plan, studies)
    for number in range(4):
        searcher.suggest(f"trial{number}")
    searcher.save(str(tmp_path / "searcher.json"))
    restored = CategorySearcher(plan, studies)
    restored.restore(str(tmp_path / "searcher.json"))
    assert restored.suggest("trial4")["category"] == "cable"
    restored.on_trial_complete("trial0", {"objective": 0.5, "selection_epoch": 1, "finished": True})
    assert states(tmp_path, "bottle")[0] == ("COMPLETE", 0.5)


def test_no_password_gets_into_the_run_folder(plan, tmp_path):
    uri = "mysql://me:hunter2@host/mlflow"
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": uri})
    secret = dataclasses.replace(plan, settings=settings)
    assert b"hunter2" in cloudpickle.dumps(secret)
    made = CategoryStudies(plan.spaces, storage=tmp_path / "secret.db", trials=plan.trials, seed=0)
    context = WorkerContext(
        dataset=plan.dataset, cache=settings.cache, threads=1, device="cpu", teacher=SentTeacher.__new__(SentTeacher)
    )
    board = SweepBoard(plan.spaces, trials=plan.trials, objective="image_auroc")
    monitor = SweepMonitor(secret, board, tracker=None, line=None, publish=None, teacher=b"", view=Watcher())
    try:
        _tuner(secret, context, monitor, made)
        assert b"hunter2" not in cloudpickle.dumps(CategorySearcher(secret, made))
    finally:
        made.close()
    written = [path for path in secret.folder.rglob("*") if path.is_file()]
    assert [path.name for path in written if path.suffix == ".pkl"] == ["tuner.pkl"]
    assert not any(b"hunter2" in path.read_bytes() for path in written)


@pytest.mark.parametrize(
    ("dimension", "longest"),
    [
        (None, 7),
        (Dimension(kind="int", low=3, high=90), 90),
        (Dimension(kind="categorical", choices=(50, 100, 20)), 100),
    ],
)
def test_the_clock_of_early_stopping_ends_with_the_longest_trial(plan, dimension, longest):
    dimensions = MARGIN if dimension is None else {**MARGIN, "distil_epochs": dimension}
    space = SearchSpace(method="aand", defaults=AANDConfig(distil_epochs=7), dimensions=dimensions)
    assert dataclasses.replace(plan, spaces={**plan.spaces, "cable": space}).longest_selection() == longest
