"""What is asked of a cluster that grows, how long the first node is waited for, and that it is given back."""

import json
from types import SimpleNamespace

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.workers import capacity
from kdzoo.search.workers.capacity import Capacity
from kdzoo.search.workers.slots import Room

NEEDS = {"CPU": 2.0, "GPU": 0.5}


class World:
    """A cluster whose first node comes after some seconds, and a clock that waiting moves."""

    def __init__(self, monkeypatch, *, comes=float("inf"), needs=NEEDS, grows=lambda now: True):
        self.now, self.comes, self.requests, self.notes = 0.0, comes, [], []
        monkeypatch.setattr(capacity.time, "sleep", self._sleep)
        self.capacity = Capacity(
            needs,
            self.notes.append,
            patience=600.0,
            clock=lambda: self.now,
            request=lambda bundles: self.requests.append(bundles),
            room=lambda asked: Room(whole=int(self.now >= self.comes), free=0),
            grows=lambda: grows(self.now),
        )

    def _sleep(self, seconds):
        self.now += seconds

    def ask(self, trials, *, after=10.0):
        self.now += after
        self.capacity.ask(trials)


def test_room_for_all_trials_is_asked_for_and_less_as_the_sweep_ends(monkeypatch):
    world = World(monkeypatch)
    for trials in (12, 12, 14, 11, 3):
        world.ask(trials)
    assert [len(bundles) for bundles in world.requests] == [12, 11, 3]
    assert world.requests[-1] == [{"CPU": 2.0, "GPU": 0.5}] * 3
    world.ask(2, after=1.0)
    world.ask(1, after=1.0)
    assert len(world.requests) == 3, "not at each event"
    world.ask(1)
    world.ask(1, after=60.0)
    assert [len(bundles) for bundles in world.requests[3:]] == [1, 1], "another sweep may have asked since"
    world.capacity.release()
    world.capacity.release()
    assert world.requests[5:] == [[]]


def test_what_is_asked_for_has_an_end(monkeypatch):
    world = World(monkeypatch, needs={"CPU": 1.0, "GPU": 0.0})
    world.ask(64_000)
    assert world.requests == [[{"CPU": 1.0}] * 1000]


def test_nothing_is_said_where_a_node_is_there_and_nothing_given_back_that_was_not_asked_for(monkeypatch):
    world = World(monkeypatch, comes=0.0)
    world.capacity.wait()
    world.capacity.release()
    assert (world.notes, world.requests) == ([], [])


def test_a_node_that_comes_is_waited_for_with_a_word(monkeypatch):
    world = World(monkeypatch, comes=400.0)
    world.capacity.wait()
    assert world.notes == [
        "no node of the cluster has the 2 CPUs and 0.5 GPUs of a trial yet: it was asked for them, and the sweep waits "
        "up to 10 minutes",
        "the sweep has waited 1 min for a node that has 2 CPUs and 0.5 GPUs",
        "the sweep has waited 5 min for a node that has 2 CPUs and 0.5 GPUs",
        "a node with 2 CPUs and 0.5 GPUs is there after 400 s",
    ]


def test_one_that_does_not_come_is_not_waited_for_without_end(monkeypatch):
    world = World(monkeypatch)
    with pytest.raises(SweepError, match="of a trial came within 10 minutes") as caught:
        world.capacity.wait()
    assert world.now == 600.0
    assert "--gpus-per-trial" in caught.value.hint


@pytest.mark.parametrize(("answer", "waited"), [(False, 0.0), (None, 20.0)])
def test_on_a_cluster_of_fixed_size_nothing_is_waited_for(monkeypatch, answer, waited):
    """What a trial asks for is then compared with the nodes there are, and refused."""
    world = World(monkeypatch, grows=lambda now: answer)
    world.capacity.wait()
    assert (world.now, world.notes) == (waited, [])


def just_started(now):
    if now < 5.0:
        raise ConnectionError("no answer")
    return True if now >= 10.0 else None


def test_an_autoscaler_that_has_only_just_started_is_waited_for(monkeypatch):
    world = World(monkeypatch, comes=100.0, grows=just_started)
    world.capacity.wait()
    assert world.now == 100.0


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (None, None),
        ({"load_metrics_report": {}}, None),
        ({"autoscaler_report": {"active_nodes": {"node_aa": 1, "node_bb": 1}}}, False),
        ({"autoscaler_report": {"active_nodes": {"ray.head.default": 1, "node_of_gpus": 2}}}, True),
        ({"autoscaler_report": {"active_nodes": {}}}, True),
    ],
)
def test_a_cluster_grows_where_kinds_of_nodes_are_known_that_are_not_its_nodes_own(monkeypatch, report, expected):
    told = None if report is None else json.dumps(report).encode()
    monkeypatch.setattr(capacity, "is_autoscaler_v2", lambda: False)
    monkeypatch.setattr(capacity, "_internal_kv_get", lambda key: told)
    monkeypatch.setattr(capacity.ray, "nodes", lambda: [{"NodeID": "aa"}, {"NodeID": "bb"}])
    assert capacity.grows() is expected


def test_whoever_takes_it_back_hears_of_the_driver_until_nothing_is_asked_for(monkeypatch):
    world, heard = World(monkeypatch, comes=400.0), []
    world.capacity._keeper = SimpleNamespace(alive=lambda: heard.append(world.now), end=lambda: heard.append("end"))
    world.ask(4)
    world.capacity.wait()
    assert len(heard) >= 6 and max(later - before for later, before in zip(heard[1:], heard, strict=False)) < 65
    assert len(world.requests) == len(heard), "another sweep may have asked since"
    world.capacity.release()
    assert heard[-1] == "end"


def test_a_hint_that_cannot_be_given_ends_no_training(monkeypatch):
    world = World(monkeypatch)

    def lost(**_):
        raise ConnectionError("no answer")

    world.capacity._request = lost
    for trials in (4, 3, 2):
        world.ask(trials)
    assert world.notes == ["the cluster cannot be asked for nodes, and the sweep goes on with those it has: no answer"]
    world.capacity._request = lambda bundles: world.requests.append(bundles)
    world.ask(1)
    assert [len(bundles) for bundles in world.requests] == [1]


def test_a_cluster_that_is_gone_hides_no_other_error(monkeypatch):
    world = World(monkeypatch)
    world.ask(1)

    def lost(**_):
        raise ConnectionError("the cluster is gone")

    world.capacity._request = lost
    world.capacity.release()
