"""Categories are measured by workers that have just trained: none is started for it, and no slot is waited for."""

import os

import ray
from helpers.layouts import make_dataset
from helpers.local_ray import CORES
from helpers.sweeps import Watcher, small_plan

import kdzoo
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.workers.finish import FinishingLine
from kdzoo.search.workers.measuring import is_measuring


def test_every_category_is_measured_by_a_worker_of_the_training(tmp_path, local_ray, monkeypatch):
    make_dataset(tmp_path / "parts", ("bottle", "cable", "screw"))
    trained, measured, tasks = {}, {}, []
    takes_in = SweepMonitor.on_trial_result

    def watched(self, iteration, trials, trial, result, **info):
        (measured if is_measuring(trial) else trained).setdefault(trial.config["category"], set()).add(result["pid"])
        takes_in(self, iteration, trials, trial, result, **info)

    monkeypatch.setattr(SweepMonitor, "on_trial_result", watched)
    monkeypatch.setattr(FinishingLine, "submit", lambda self, asked: tasks.append(asked))
    plan = small_plan(tmp_path, name="warm", trials=2)
    board = run_sweep(plan, Watcher())
    assert not tasks
    workers = set().union(*trained.values())
    assert len(workers) <= CORES and os.getpid() not in workers
    assert measured.keys() == {"bottle", "cable", "screw"}
    assert all(pids <= workers for pids in measured.values())
    assert {outcome.published.note for outcome in board.outcomes.values()} == {"first champion"}
    assert not any((plan.folder / "measured").iterdir())
    monkeypatch.setenv("KDZOO_HOME", str(plan.settings.home))
    assert all(kdzoo.load("aand", f"parts/{name}").document["metrics"] for name in board.outcomes)
    assert ray.is_initialized()
