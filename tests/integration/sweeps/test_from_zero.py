"""A cluster that has no node for a trial yet: it is asked for them, and waited for, and never taken for one of CPUs."""

import dataclasses
import os
import time

import pytest
import ray
from helpers.autoscaling import autoscaling
from helpers.layouts import make_dataset
from helpers.sweeps import Watcher, small_plan

from kdzoo.errors import UsageError
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.workers.resources import room_for_trials

KINDS = {"cpu": ({"CPU": 2}, 2), "gpu": ({"CPU": 2, "GPU": 2}, 1)}


@pytest.fixture(scope="module")
def growing(tmp_path_factory):
    """The address of a cluster that scales from nothing; this process has joined it."""
    ray.shutdown()  # this process may be with another
    with pytest.MonkeyPatch.context() as patch, autoscaling(tmp_path_factory.mktemp("growing"), KINDS) as address:
        if "RAY_AUTH_MODE" not in os.environ:
            patch.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        yield address
        ray.shutdown()


@pytest.fixture
def plan(tmp_path, growing):
    make_dataset(tmp_path / "parts", ("bottle", "cable"))
    return small_plan(tmp_path, name="growing", trials=2, environ={"RAY_ADDRESS": growing})


def cores():
    return sum(node["Resources"].get("CPU", 0.0) for node in ray.nodes() if node["Alive"])


def test_without_a_word_nobody_guesses(plan):
    assert cores() == 0
    with pytest.raises(UsageError, match="no machine yet that runs trials"):
        run_sweep(plan, Watcher())
    assert cores() == 0


def test_nodes_come_and_all_of_them_train(plan):
    watcher, at_once = Watcher(), []
    watcher._on_update = lambda board: at_once.append(len(board.running()))
    board = run_sweep(dataclasses.replace(plan, gpus_per_trial=0.0), watcher)
    assert board.count("finished") + board.count("stopped_early") == 4
    assert {outcome.published.note for outcome in board.outcomes.values()} == {"first champion"}
    assert watcher.notes[0].startswith("no node of the cluster has the 1 CPUs of a trial yet: it was asked for them")
    assert watcher.notes[1].startswith("a node with 1 CPUs is there after ")
    assert cores() == 4 and max(at_once) >= 3, "room for one trial after the other was asked for"


def test_with_nodes_of_cpus_alone_a_gpu_is_waited_for(plan):
    assert cores() >= 2
    notes, began = [], time.monotonic()
    with room_for_trials(dataclasses.replace(plan, gpus_per_trial=1.0), notes.append) as (settled, capacity):
        assert settled.gpus_per_trial == 1.0 and capacity is not None
        assert ray.cluster_resources()["GPU"] == 2
    assert [note.partition(":")[0] for note in notes] == [
        "no node of the cluster has the 1 CPUs and 1 GPUs of a trial yet",
        notes[-1],
    ]
    assert time.monotonic() - began < 60
    with room_for_trials(plan, notes.append) as (settled, _):
        assert settled.gpus_per_trial == 1.0
