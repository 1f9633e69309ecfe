"""Waiting for a node ends where none can come, and nowhere else."""

import pytest
from ray.tune import PlacementGroupFactory
from ray.tune.experiment import Trial

from kdzoo.errors import SweepError
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.places import Places

NEEDS = {"CPU": 1.0, "GPU": 0.0}
ASKED = PlacementGroupFactory([{"CPU": 1.0}])


def node(name, *, alive=True, cpus=2.0):
    return {"NodeID": name, "Alive": alive, "Resources": {"CPU": cpus}, "NodeManagerHostname": f"host-{name}"}


class World:
    """Nodes, trials and a clock that a test moves."""

    def __init__(self, *nodes, patience=60.0):
        self.nodes, self.now = {one["NodeID"]: one for one in nodes}, 0.0
        self.places = Places([].append, living=lambda: list(self.nodes.values()))
        self.notes = []
        self.watch = NodeWatch(
            self.places,
            self.notes.append,
            taken=lambda: "2 of 2 CPUs are taken",
            patience=patience,
            clock=lambda: self.now,
        )

    def trial(self, number, status=Trial.PENDING):
        made = Trial("unused", trial_id=f"t{number}", stub=True)
        made.update_resources(ASKED)
        made.status = status
        return made

    def kill(self, name):
        self.nodes[name]["Alive"] = False

    def watch_for(self, seconds, trials):
        for _ in range(seconds):
            self.now += 1.0
            self.watch.see_trials(trials)

    def measure_for(self, seconds, kept_from):
        for _ in range(seconds):
            self.now += 1.0
            self.watch.see_tasks(NEEDS, kept_from)


def test_trials_that_wait_for_a_busy_node_wait():
    world = World(node("a"))
    world.watch_for(1000, [world.trial(0), world.trial(1, Trial.TERMINATED)])


def test_a_cluster_that_is_busy_is_not_waited_for_in_silence():
    world = World(node("a"))
    waiting = [world.trial(0), world.trial(1)]
    world.watch_for(59, waiting)
    assert world.notes == []
    world.watch_for(241, waiting)
    said = "no trial has begun for 1 min: 2 of 2 CPUs are taken, by others or by workers that start; the sweep waits"
    assert world.notes == [said]
    world.watch_for(1100, waiting)
    assert [note.partition(":")[0] for note in world.notes[1:]] == ["no trial has begun for 5 min"]
    world.watch_for(10, [world.trial(0, Trial.RUNNING), world.trial(1)])
    world.watch_for(70, waiting)
    assert world.notes[2:] == [said]


def test_where_all_nodes_are_gone_the_run_ends_after_a_while_and_they_are_named():
    world = World(node("a"), node("b"), node("head", cpus=0.0))
    world.kill("a")
    world.kill("b")
    world.watch_for(50, [world.trial(0)])
    with pytest.raises(SweepError) as raised:
        world.watch_for(20, [world.trial(0)])
    assert str(raised.value) == "no node is left for a trial: gone: node host-a (a), host-b (b)"


def test_a_person_is_told_once_of_each_long_wait():
    world = World(node("a"), patience=600.0)
    for told in (1, 2):
        world.kill("a")
        world.watch_for(40, [world.trial(0)])
        assert len(world.notes) == told - 1
        world.watch_for(300, [world.trial(0)])
        assert len(world.notes) == told
        world.nodes["a"]["Alive"] = True
        world.watch_for(10, [world.trial(0)])
    assert world.notes[0] == "no node can take a trial; the sweep waits 9 minutes for one: gone: node host-a (a)"


def test_a_node_that_comes_in_time_starts_the_count_anew():
    world = World(node("a"))
    for _ in range(3):
        world.kill("a")
        world.watch_for(50, [world.trial(0)])
        world.nodes["a"]["Alive"] = True
        world.watch_for(10, [world.trial(0)])


def test_a_node_that_the_trial_keeps_away_from_is_none_for_it_and_says_why():
    world = World(node("a"), node("b"))
    waiting = world.trial(0)
    world.places.failed(waiting.trial_id, "a", "ImportError: libgomp")
    world.places.resources(waiting.trial_id, ASKED)
    world.kill("b")
    with pytest.raises(SweepError, match=r"tries failed on node host-a \(a\): ImportError: libgomp; gone: node host-b"):
        world.watch_for(100, [waiting])
    # A trial that may go there can be the next one.
    world = World(node("a"))
    world.watch_for(100, [waiting, world.trial(1)])


@pytest.mark.parametrize("trials", [[], [Trial.TERMINATED], [Trial.PENDING, Trial.RUNNING], [Trial.PAUSED]])
def test_it_does_not_end_what_trains_or_is_over(trials):
    world = World(node("a", alive=False))
    world.watch_for(1000, [world.trial(number, status) for number, status in enumerate(trials)])


def test_measuring_waits_as_long_and_not_once_more():
    world = World(node("a"))
    world.measure_for(1000, [frozenset()])
    world.measure_for(1000, [])
    world.measure_for(50, [frozenset({"a"})])
    world.measure_for(1000, [frozenset({"a"}), frozenset()])
    world.kill("a")
    with pytest.raises(SweepError, match="for a trial"):
        world.watch_for(100, [world.trial(0)])
    with pytest.raises(SweepError, match="no node is left for the measuring of a category: gone: node host-a"):
        world.measure_for(6, [frozenset()])


def test_of_many_nodes_that_are_gone_three_are_named():
    world = World(*(node(f"n{number}", alive=False) for number in range(9)))
    assert world.places.told() == "gone: node host-n0 (n0), host-n1 (n1), host-n2 (n2) and 6 more"
    assert World().places.told() == "Ray has none that is large enough"
