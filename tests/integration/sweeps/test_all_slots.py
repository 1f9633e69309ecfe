"""All slots of a cluster work from the first moment, and a node that joins later does as well."""

import dataclasses
import os
import time

import pytest
from helpers.layouts import make_dataset
from helpers.local_ray import CORES
from helpers.sweeps import small_plan
from ray import tune

from kdzoo.search.record.board import SweepBoard, TrialRow
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run.training import SweepTraining
from kdzoo.search.run.training_time import TrainingTime
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.cluster import _SWITCHES
from kdzoo.search.workers.places import Places

SLOTS, TRIALS, START = 2 * CORES, 8, 5.0


def slow_to_start():
    """A trial whose worker takes its time to begin, as importing PyTorch does; made in a function, so that Ray sends
    the class itself to its workers."""
    seconds = START

    class Slow(tune.Trainable):
        def setup(self, config, context):
            time.sleep(seconds)

        def reset_config(self, new_config):
            return True

        def step(self):
            time.sleep(0.5)
            return {"done": self.iteration == 11, "pid": os.getpid()}

        def save_checkpoint(self, checkpoint_dir):
            """Nothing."""

    return Slow


class Starts(tune.Callback):
    """Notes when trials begin and in which process they run, and keeps the board as the sweep's monitor does."""

    def __init__(self, board, studies):
        self.board, self.studies = board, studies
        self.at, self.pids, self.most_waiting = {}, set(), 0

    def __getstate__(self):
        return {}

    def on_trial_start(self, iteration, trials, trial, **info):
        number = trial.config["number"]
        self.at[number] = time.monotonic()
        self.board.start(TrialRow(f"bottle-{number:04d}", "bottle", number, {}))

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.pids.add(result["pid"])

    def on_step_end(self, iteration, trials, **info):
        waiting = sum(trial.status == "PENDING" for trial in trials)
        self.most_waiting = max(self.most_waiting, waiting)

    def on_trial_complete(self, iteration, trials, trial, **info):
        number = trial.config["number"]
        self.board.end(self.board.rows[f"bottle-{number:04d}"], "finished")
        self.studies.tell("bottle", number, objective=0.5, stopped=False, outcome={"status": "finished"})


@pytest.fixture
def training(tmp_path, local_ray, monkeypatch):
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = small_plan(tmp_path, name="slots", trials=TRIALS, cpus_per_trial=CORES / SLOTS)
    plan = dataclasses.replace(plan, gpus_per_trial=0.0)
    for name, value in _SWITCHES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("kdzoo.search.run.training.TrialTrainable", slow_to_start())
    board = SweepBoard(plan.spaces, trials=TRIALS, objective="image_auroc")
    folder = SweepFolder(plan.folder)
    folder.path.mkdir(parents=True)
    studies = CategoryStudies(plan.spaces, storage=folder.studies, trials=TRIALS, seed=0)
    starts = Starts(board, studies)
    places, time = Places([].append), TrainingTime(folder, None)
    yield SweepTraining(plan, board, studies=studies, folder=folder, monitor=starts, places=places, time=time), starts
    studies.close()


def test_trials_begin_in_all_slots_at_once_and_none_is_drawn_before_its_time(training):
    run, starts = training
    assert run.run(None) is None
    assert len(starts.at) == TRIALS
    first = [starts.at[number] for number in range(SLOTS)]
    assert max(first) - min(first) < START, "one worker after the other was started"
    assert len(starts.pids) == SLOTS, "workers were not kept from trial to trial"
    assert starts.most_waiting <= SLOTS, "trials were drawn that had to wait for a slot"
