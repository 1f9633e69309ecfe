"""What a trial asks for, against what single machines have."""

import dataclasses

import pytest
import torch
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.errors import SweepError, UsageError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers import resources
from kdzoo.search.workers.cluster import Node
from kdzoo.search.workers.resources import (
    at_once,
    check_this_machine,
    room_for_trials,
    with_gpus,
    with_resources,
)

SMALL, LARGE, GPU = Node(cpus=2, gpus=0), Node(cpus=16, gpus=0), Node(cpus=4, gpus=2)


@pytest.fixture
def plan(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    return small_plan(tmp_path, name="asking", trials=1)


@pytest.mark.parametrize(("nodes", "gpus"), [([SMALL, LARGE], 0.0), ([SMALL, GPU], 1.0)])
def test_a_trial_takes_a_gpu_where_there_is_one(plan, nodes, gpus):
    assert with_resources(plan, nodes).gpus_per_trial == gpus


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "problem"),
    [
        ([LARGE, LARGE], 20.0, 0.0, "asks for 20 CPUs, but the largest node that Ray sees has 16"),
        ([GPU, GPU], 1.0, 3.0, "asks for 3 GPUs, but the largest node that Ray sees has 2"),
        ([LARGE, GPU], 8.0, 1.0, "no single node has both the 8 CPUs and the 1 GPUs"),
        ([LARGE, GPU], 8.0, None, "no single node has both the 8 CPUs and the 1 GPUs"),
        ([], 1.0, 0.0, "has 0"),
    ],
)
def test_what_fits_no_single_node_is_refused(plan, nodes, cpus, gpus, problem):
    asked = dataclasses.replace(plan, cpus_per_trial=cpus, gpus_per_trial=gpus)
    with pytest.raises(SweepError, match=problem):
        with_resources(asked, nodes)


def test_what_fits_exactly_is_taken(plan):
    asked = dataclasses.replace(plan, cpus_per_trial=4.0, gpus_per_trial=2.0)
    assert with_resources(asked, [SMALL, GPU]) == asked


def test_gpu_hours_without_gpus_are_refused(plan):
    limited = dataclasses.replace(plan, gpu_hours=1.0)
    with pytest.raises(UsageError, match="hold no GPU") as caught:
        with_resources(limited, [Node(cpus=8, gpus=0)])
    assert "--time-budget" in caught.value.hint
    assert with_resources(limited, [Node(cpus=8, gpus=1)]).gpus_per_trial == 1.0


def test_too_few_gpus_on_this_machine_are_found_before_ray_starts(plan, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_this_machine(dataclasses.replace(plan, gpus_per_trial=1.0, gpu_hours=1.0, cpus_per_trial=4096.0))
    greedy = dataclasses.replace(plan, gpus_per_trial=2.0)
    with pytest.raises(SweepError, match="has 1"):
        check_this_machine(greedy)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="hold no GPU"):
        check_this_machine(dataclasses.replace(plan, gpu_hours=1.0))
    elsewhere = dataclasses.replace(greedy.settings, ray_address="10.0.0.5:6379")
    check_this_machine(dataclasses.replace(greedy, settings=elsewhere))


def test_what_trials_of_a_cluster_hold_is_settled_by_what_is_there_or_by_a_person(plan):
    notes, head = [], Node(cpus=0, gpus=0)
    assert with_gpus(plan, [head, SMALL, GPU], notes.append).gpus_per_trial == 1.0
    assert notes == []
    assert with_gpus(plan, [head, SMALL], notes.append).gpus_per_trial == 0.0
    (note,) = notes
    assert "trials train on CPUs" in note and "--device cuda" in note
    for empty in ([head], []):
        with pytest.raises(UsageError, match="no machine yet that runs trials") as caught:
            with_gpus(plan, empty, notes.append)
        assert "--device cuda" in caught.value.hint and "--device cpu" in caught.value.hint
        for gpus in (0.0, 0.5):
            asked = dataclasses.replace(plan, gpus_per_trial=gpus)
            assert with_gpus(asked, empty, notes.append) == asked
    assert len(notes) == 1


def test_how_many_trials_run_at_once_where_there_is_room(plan):
    assert [at_once(plan, left) for left in (64, 1, 0)] == [64, 1, 1]
    assert [at_once(dataclasses.replace(plan, max_concurrent=8), left) for left in (64, 4)] == [8, 4]


class Asked:
    """Takes note of what a cluster is asked for."""

    def __init__(self, needs, note, keeper):
        self.trials = []

    def ask(self, trials):
        self.trials.append(trials)

    def wait(self):
        """Nothing to wait for."""

    release = wait


def test_a_resumed_sweep_asks_for_room_for_what_is_left_alone(plan, monkeypatch):
    plan = dataclasses.replace(
        plan,
        trials=9,
        gpus_per_trial=0.0,
        settings=dataclasses.replace(plan.settings, ray_address="10.0.0.5:6379"),
    )
    monkeypatch.setattr(resources, "Capacity", Asked)
    monkeypatch.setattr(resources, "nodes", lambda: [LARGE])
    with room_for_trials(plan, print) as (_, capacity):
        assert capacity.trials == [9]
    plan.folder.mkdir(parents=True)
    studies = CategoryStudies(plan.spaces, storage=SweepFolder(plan.folder).studies, trials=9, seed=0)
    try:
        for number in range(8):
            asked = studies.ask("bottle")
            if number < 6:
                studies.tell("bottle", asked.number, objective=0.5, stopped=False, outcome={"status": "finished"})
        studies.interrupt("bottle", 6)
        with room_for_trials(plan, print) as (_, capacity):
            assert capacity.trials == [3 + 1], "trials that did not end, and the measuring of the category"
    finally:
        studies.close()
