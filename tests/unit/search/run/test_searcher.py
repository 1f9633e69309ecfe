"""The searcher: trials of all categories in turn, each result to its own study."""

import dataclasses
from collections import Counter

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher
from ray import cloudpickle

from kdzoo.data.catalog import open_dataset
from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.searcher import CategorySearcher
from kdzoo.search.run.training import SweepTraining
from kdzoo.search.run.training_time import TrainingTime
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.measuring import Measuring
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.search.workers.slots import Room, Slots
from kdzoo.search.workers.trainable import WorkerContext
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
def folder(plan):
    return SweepFolder(plan.folder)


@pytest.fixture
def studies(plan, tmp_path):
    made = CategoryStudies(plan.spaces, storage=tmp_path / "studies.db", trials=plan.trials, seed=0)
    yield made
    made.close()


def test_categories_take_turns_until_all_have_their_trials(plan, studies, folder):
    searcher = CategorySearcher(plan, studies, folder)
    suggested = [searcher.suggest(f"trial{number}") for number in range(6)]
    assert [one["category"] for one in suggested] == ["bottle", "cable", "screw"] * 2
    assert [one["number"] for one in suggested] == [0, 0, 0, 1, 1, 1]
    first = TrialSpec.from_dict(suggested[0]["spec"])
    assert (first.config, first.category_name) == (AANDConfig(distil_epochs=7), "parts/bottle")
    assert searcher.suggest("trial6") == CategorySearcher.FINISHED


class Measured:
    """What waits to be measured."""

    def __init__(self, *waiting):
        self.waiting = list(waiting)

    def hand_out(self):
        return self.waiting.pop(0) if self.waiting else None


def test_what_is_to_be_measured_comes_before_any_trial_and_ends_the_search(plan, studies, folder):
    measured = Measured()
    searcher = CategorySearcher(plan, studies, folder, measurements=measured)
    for number in range(6):
        searcher.suggest(f"trial{number}")
    assert searcher.suggest("trial6") is None, "trials that run may be followed by something to measure"
    measured.waiting.append(Measuring(category="cable", spec={}, state="state.pt", folder="measured/cable"))
    asked = searcher.suggest("trial6")
    assert (asked["category"], asked["measuring"]["state"]) == ("cable", "state.pt")
    for number in range(6):
        searcher.on_trial_complete(f"trial{number}", {})
    assert searcher.suggest("trial7") is None
    searcher.on_trial_complete("trial6", {"measured": True})
    assert searcher.suggest("trial7") == CategorySearcher.FINISHED


def test_measuring_is_one_of_those_that_may_run_at_once(plan, studies, folder):
    waiting = [Measuring(category=name, spec={}, state="state.pt", folder="measured") for name in ("bottle", "cable")]
    two = dataclasses.replace(plan, max_concurrent=2)
    slots = Slots(lambda: 2, lambda: Room(whole=8, free=8), most=2)
    searcher = CategorySearcher(two, studies, folder, slots=slots, measurements=Measured(*waiting))
    assert "measuring" in searcher.suggest("trial0") and "measuring" in searcher.suggest("trial1")
    searcher._measurements.waiting += waiting[:1]
    assert searcher.suggest("trial2") is None
    searcher.on_trial_complete("trial0", {"measured": True})
    assert "measuring" in searcher.suggest("trial2")
    searcher._measurements.waiting += waiting[:1]
    assert searcher.suggest("trial3") is None
    for ended in ("trial1", "trial2"):
        searcher.on_trial_complete(ended, {"measured": True})
    assert "measuring" in searcher.suggest("trial3"), "where nothing lives, one always may"


def test_of_a_category_that_is_given_up_one_trial_says_why(plan, studies, folder):
    given_up = set()
    searcher = CategorySearcher(plan, studies, folder, unusable=lambda: given_up)
    assert searcher.suggest("trial0")["category"] == "bottle"
    given_up |= {"bottle", "screw"}
    asked = [searcher.suggest(f"trial{number}") for number in range(1, 4)]
    assert [one["category"] for one in asked] == ["cable", "screw", "cable"]
    assert searcher.suggest("trial4") == CategorySearcher.FINISHED


def test_what_earlier_drivers_ran_counts(plan, studies, folder):
    searcher = CategorySearcher(plan, studies, folder, done={"bottle": 2, "cable": 1})
    assert [searcher.suggest(f"trial{number}")["category"] for number in range(3)] == ["screw", "cable", "screw"]
    assert searcher.suggest("trial3") == CategorySearcher.FINISHED


def test_no_trial_begins_once_the_gpu_hours_are_used_up(plan, studies, folder):
    used = [0.0]
    limited = dataclasses.replace(plan, gpu_hours=2.0)
    searcher = CategorySearcher(limited, studies, folder, gpu_seconds=lambda: used[0])
    assert searcher.suggest("trial0")["category"] == "bottle"
    used[0] = 7199.0
    assert searcher.suggest("trial1")["category"] == "cable"
    used[0] = 7200.0
    assert searcher.suggest("trial2") == CategorySearcher.FINISHED
    more = CategorySearcher(dataclasses.replace(plan, gpu_hours=3.0), studies, folder, gpu_seconds=lambda: used[0])
    assert more.suggest("trial3")["category"] == "bottle"


def test_worst_first_over_twelve_categories(plan, tmp_path, folder):
    names = [f"part{number:02d}" for number in range(12)]
    spaces = dict.fromkeys(names, plan.spaces["bottle"])
    twelve = dataclasses.replace(plan, spaces=spaces, trials=8, strategy=Strategy(priority="worst-first"))
    made = CategoryStudies(spaces, storage=tmp_path / "twelve.db", trials=8, seed=0, strategy=twelve.strategy)
    try:
        searcher, order = CategorySearcher(twelve, made, folder), []
        for number in range(12 * 8):
            asked = searcher.suggest(f"trial{number}")
            category = asked["category"]
            order.append(category)
            reached = {"objective": int(category[-2:]) / 20, "selection_epoch": 1}
            searcher.on_trial_complete(f"trial{number}", reached)
            made.tell(category, asked["number"], objective=reached["objective"], stopped=False)
        assert searcher.suggest("trial96") == CategorySearcher.FINISHED
    finally:
        made.close()
    assert Counter(order) == dict.fromkeys(names, 8)
    assert order[:36] == names * 3
    # The worst two have had all their trials when the best one has had no more than its first three.
    assert Counter(order[:46])["part00"] == Counter(order[:54])["part01"] == 8
    assert Counter(order[:54])["part11"] == 3


def test_an_interrupted_trial_goes_on_from_its_latest_checkpoint(plan, studies, folder):
    asked = studies.ask("bottle")
    for name in ("checkpoint_000000", "checkpoint_000001", "checkpoint_000002"):
        (folder.path / "trials" / "bottle-0000" / name).mkdir(parents=True)
    for name in ("checkpoint_000000", "checkpoint_000001"):
        (folder.path / "trials" / "bottle-0000" / name / "state.pt").write_bytes(b"")
    for _ in range(2):
        studies.interrupt("bottle", asked.number)
    repeated = CategorySearcher(plan, studies, folder).suggest("trial0")
    assert (repeated["number"], repeated["again"]) == (1, ["bottle-0000"])
    assert [path.split("/")[-2] for path in repeated["states"]] == ["checkpoint_000001", "checkpoint_000000"]
    assert studies.ask("bottle").again == ()


def test_the_last_value_of_a_trial_reaches_its_study(plan, studies, folder):
    searcher = CategorySearcher(plan, studies, folder)
    searcher.suggest("trial0")
    searcher.on_trial_complete("trial0", {"objective": 0.5, "selection_epoch": 2, "finished": True})
    searcher.on_trial_complete("unknown", {"objective": 1.0})
    studies.tell("bottle", 0, objective=0.5, stopped=False, outcome={"status": "finished"})
    (past,) = studies.past("bottle")
    assert past.outcome == {"status": "finished"}
    assert studies._study("bottle").trials[0].intermediate_values == {2: 0.5}


def test_ray_keeps_nothing_of_it(plan, studies, folder, tmp_path):
    """What a resumed sweep goes on from are the studies."""
    searcher = CategorySearcher(plan, studies, folder)
    for number in range(4):
        searcher.suggest(f"trial{number}")
    searcher.save(str(tmp_path / "searcher.json"))
    assert (tmp_path / "searcher.json").read_bytes() == b"{}"
    with pytest.raises(NotImplementedError):
        CategorySearcher(plan, studies, folder).restore(str(tmp_path / "searcher.json"))


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
    monitor = SweepMonitor(
        secret, board, tracker=None, studies=made, checkpoints=None, conclusions=None, view=Watcher()
    )
    try:
        time = TrainingTime(SweepFolder(secret.folder), 60.0)
        folder, places = SweepFolder(secret.folder), Places([].append, living=list)
        training = SweepTraining(secret, board, studies=made, folder=folder, monitor=monitor, places=places, time=time)
        training.tuner(context)
        assert b"hunter2" not in cloudpickle.dumps(CategorySearcher(secret, made, SweepFolder(secret.folder)))
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
