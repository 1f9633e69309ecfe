"""When one more trial may be asked for: all room at once, what comes later as it comes, and nothing that only waits."""

import pytest

from kdzoo.search.workers import slots
from kdzoo.search.workers.slots import Room, Slots, room_for


class Cluster:
    """A cluster, a run on it and a clock, all of which a test moves."""

    def __init__(self, whole, free=None, *, most=None):
        self.room, self.looks, self.now = Room(whole=whole, free=whole if free is None else free), 0, 0.0
        self.running, self.living = 0, 0
        self.slots = Slots(lambda: self.running, self._look, most=most, clock=lambda: self.now)

    def _look(self):
        self.looks += 1
        return self.room

    def fill(self):
        """Asks until there is no more to ask for; gives how many trials that were."""
        asked = 0
        while self.slots.one_more(self.living):
            self.living, asked = self.living + 1, asked + 1
        return asked

    def pass_time(self, *, running, whole, free):
        self.now += 1.0
        self.running, self.room = running, Room(whole=whole, free=free)


def test_all_room_is_taken_at_once_and_nothing_waits():
    cluster = Cluster(4)
    assert cluster.fill() == 4
    cluster.pass_time(running=0, whole=4, free=0)  # their workers start
    assert cluster.fill() == 0
    cluster.pass_time(running=4, whole=4, free=0)
    assert cluster.fill() == 0


def test_what_ends_makes_room_although_its_worker_keeps_what_it_holds():
    cluster = Cluster(4)
    cluster.fill()
    cluster.pass_time(running=4, whole=4, free=0)
    cluster.fill()
    cluster.living, cluster.running = 2, 2
    assert cluster.fill() == 2


def test_a_cluster_that_grows_is_followed():
    cluster = Cluster(0)
    assert cluster.fill() == 1, "what waits is what a cluster that scales from nothing sees"
    cluster.pass_time(running=0, whole=8, free=8)
    assert cluster.fill() == 7
    cluster.pass_time(running=8, whole=24, free=16)
    assert cluster.fill() == 9, "seven may not hold their room yet"
    cluster.pass_time(running=8, whole=24, free=7)
    assert cluster.fill() == 0, "nine may not"
    cluster.pass_time(running=8, whole=24, free=7)
    assert cluster.fill() == 7
    cluster.pass_time(running=24, whole=24, free=0)
    assert (cluster.fill(), cluster.living) == (0, 24)


def test_nothing_is_drawn_that_would_wait_for_the_work_of_others():
    cluster = Cluster(256, free=2)
    assert cluster.fill() == 2
    cluster.pass_time(running=2, whole=256, free=0)
    assert cluster.fill() == 0
    cluster.pass_time(running=2, whole=256, free=3)
    assert cluster.fill() == 3
    for _ in range(3):
        cluster.pass_time(running=4, whole=256, free=0)  # somebody else had the third
        assert cluster.fill() == 0
    assert Cluster(256, free=0).fill() == 1


def test_room_that_is_gone_is_not_counted_on():
    cluster = Cluster(8)
    cluster.fill()
    cluster.pass_time(running=8, whole=8, free=0)
    cluster.fill()
    cluster.living = 3
    cluster.pass_time(running=3, whole=4, free=0)
    assert cluster.fill() == 1
    cluster.pass_time(running=4, whole=8, free=0)  # another node came, and others took it
    assert cluster.fill() == 0


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_than_a_person_asked_for(most):
    assert Cluster(8, most=most).fill() == most


def test_the_cluster_is_asked_once_a_second():
    cluster = Cluster(100)
    cluster.fill()
    assert cluster.looks == 1


def test_workers_start_before_hundreds_of_trials_are_drawn():
    cluster = Cluster(256)
    drawn = 0
    while cluster.slots.one_more(cluster.living):
        cluster.living, cluster.now, drawn = cluster.living + 1, cluster.now + 0.0625, drawn + 1
    assert drawn == 1 + 16
    cluster.pass_time(running=0, whole=256, free=256 - drawn)
    assert cluster.slots.one_more(cluster.living)


def test_room_is_counted_node_by_node(monkeypatch):
    nodes = [
        {"NodeID": "a", "Alive": True, "Resources": {"CPU": 7.0, "GPU": 2.0}},
        {"NodeID": "b", "Alive": True, "Resources": {"CPU": 1.0, "GPU": 8.0}},
        {"NodeID": "c", "Alive": True, "Resources": {"CPU": 64.0}},
        {"NodeID": "d", "Alive": False, "Resources": {"CPU": 64.0, "GPU": 8.0}},
    ]
    monkeypatch.setattr(slots.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(slots.ray, "available_resources", lambda: {"CPU": 70.0, "GPU": 3.0})
    assert room_for({"CPU": 2.0, "GPU": 0.5}) == Room(whole=3, free=6)
    assert room_for({"CPU": 3.0, "GPU": 0.0}) == Room(whole=2 + 21, free=23)
    monkeypatch.setattr(slots.ray, "available_resources", dict)
    assert room_for({"CPU": 2.0, "GPU": 0.5}) == Room(whole=3, free=0)


def test_what_nodes_have_that_trials_keep_away_from_is_no_room(monkeypatch):
    nodes = [{"NodeID": name, "Alive": True, "Resources": {"CPU": 8.0}} for name in "abc"]
    monkeypatch.setattr(slots.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(slots.ray, "available_resources", lambda: {"CPU": 18.0})
    unused = {"a": {"CPU": 8.0}, "b": {"CPU": 8.0}, "c": {"CPU": 2.0}}
    monkeypatch.setattr(slots, "available_resources_per_node", lambda: unused)
    assert room_for({"CPU": 1.0}) == Room(whole=24, free=18)
    assert room_for({"CPU": 1.0}, frozenset({"a"})) == Room(whole=16, free=10)
    del unused["c"]["CPU"]  # all of it is in use
    assert room_for({"CPU": 1.0}, {"c"}) == Room(whole=16, free=18)
