"""Machines that are not fit for a trial are found before one is sent there; a cluster that is busy says so."""

import dataclasses
import re
import time

import pytest
import ray
from helpers.layouts import make_dataset
from helpers.ray_nodes import ray_nodes
from helpers.sweeps import Watcher, small_plan

from kdzoo.errors import SweepError
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.workers import node_checks
from kdzoo.search.workers.node_checks import Fitness, NodeChecks
from kdzoo.search.workers.places import Places


@pytest.fixture(scope="module")
def nodes():
    """A head without cores and two workers, joined by this process."""
    ray.shutdown()  # this process may be with another
    with ray_nodes(2) as made:
        ray.init(address=made.address, log_to_driver=False, logging_level="ERROR")
        yield made
        ray.shutdown()


@pytest.fixture
def plan(tmp_path, nodes):
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = small_plan(tmp_path, name="blind", trials=1, environ={"RAY_ADDRESS": nodes.address})
    return dataclasses.replace(plan, gpus_per_trial=0.0)


def on(node, fitness):
    """A look that finds one machine wanting."""

    def look(marker, dataset):
        import ray

        from kdzoo.search.workers.node_checks import Fitness

        here = ray.get_runtime_context().get_node_id()
        return fitness if here == node else Fitness(sees_home=marker.is_file(), has_data=True)

    return look


@pytest.mark.parametrize(
    ("fitness", "problem"),
    [
        (Fitness(sees_home=False, has_data=True), "1 of 3 nodes do not see the driver's KDZOO_HOME"),
        (Fitness(sees_home=True, has_data=False), "1 of 3 nodes have no data set 'parts'"),
    ],
)
def test_a_machine_that_lacks_something_is_named_before_any_trial(plan, nodes, monkeypatch, fitness, problem):
    monkeypatch.setattr(node_checks, "look", on(nodes.nodes[0].node_id, fitness))
    with pytest.raises(SweepError, match=problem) as caught:
        run_sweep(plan, Watcher())
    assert "mount" in caught.value.hint
    assert not (plan.folder / "trials").exists()


def test_machines_that_see_it_are_fit_and_one_that_joins_later_is_asked_then(plan, nodes, tmp_path, monkeypatch):
    marker = tmp_path / "driver.json"
    marker.touch()
    notes, now = [], [0.0]
    checks = NodeChecks(plan.dataset, None, marker, notes.append, needs={"CPU": 1.0}, clock=lambda: now[0])
    checks.check()
    # On a busy machine their first workers take a while to start, which is told.
    assert all(re.match("waiting 60 s at most for (1 node|2 nodes) to answer: ", note) for note in notes)
    notes.clear()
    late = nodes.add()
    try:
        monkeypatch.setattr(node_checks, "look", on(late.node_id, Fitness(sees_home=False, has_data=True)))
        checks._task = ray.remote(node_checks.look)
        places, deadline = Places(notes.append), time.monotonic() + 240
        while not notes and time.monotonic() < deadline:
            now[0] += 5.0
            checks.see_new(places)
            time.sleep(0.2)
        (note,) = notes
        assert note.startswith("trials keep away from node ")
        assert note.endswith("it does not see the driver's KDZOO_HOME, where trials keep their checkpoints")
        assert late.node_id in places.kept_from_tasks({"CPU": 1.0})
    finally:
        nodes._cluster.remove_node(late)


@ray.remote(num_cpus=1)
class Other:
    """Somebody else's work."""

    def ready(self):
        return True


def test_a_sweep_says_that_it_waits_for_others(plan):
    others = [Other.remote() for _ in range(2)]
    ray.get([other.ready.remote() for other in others])
    watcher = Watcher()
    told = []

    def note(text):
        told.append(text)
        if "busy" in text:
            for other in others:
                ray.kill(other)

    watcher.note = note
    board = run_sweep(dataclasses.replace(plan, name="patient"), watcher)
    assert board.count("finished") == 1
    busy = "the cluster is busy with other work: 2 of 2 CPUs are taken; the sweep waits for room for a trial"
    assert next(note for note in told if not note.startswith("waiting ")) == busy
