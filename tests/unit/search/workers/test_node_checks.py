"""What a machine looks for before it gets a trial."""

import ray
from helpers.trials import toy

from kdzoo.search.workers import node_checks
from kdzoo.search.workers.node_checks import Fitness, NodeChecks, look, sees
from kdzoo.search.workers.places import Places


def test_a_file_that_is_late_is_seen_and_one_that_does_not_come_is_not(tmp_path, monkeypatch):
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (tmp_path / "late").touch()

    monkeypatch.setattr(node_checks.time, "sleep", sleep)
    assert sees(tmp_path / "late")
    assert pauses == [0.0, 0.5, 1.0]
    assert not sees(tmp_path / "never")
    assert sum(pauses[3:]) == 3.5


def test_what_a_machine_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(node_checks, "_SEEN_AFTER", (0.0,))
    dataset, marker = toy(tmp_path), tmp_path / "driver.json"
    assert look(marker, dataset) == Fitness(sees_home=False, has_data=True)
    marker.touch()
    (tmp_path / "toy").rename(tmp_path / "away")
    assert look(marker, dataset) == Fitness(sees_home=True, has_data=False)
    assert look(marker, None) == Fitness(sees_home=True, has_data=True)


class World:
    """Nodes that answer at once what a test says, in Ray's place, and a clock that a test moves."""

    def __init__(self, monkeypatch, tmp_path, needs, **nodes):
        self.answers, self.now, self.asked, self.notes = {}, 0.0, [], []
        self.listed = [
            {"NodeID": name, "Alive": True, "Resources": held, "NodeManagerHostname": f"host-{name}"}
            for name, held in nodes.items()
        ]
        monkeypatch.setattr(node_checks, "ray", self)
        monkeypatch.setattr(node_checks, "NodeAffinitySchedulingStrategy", lambda node, soft: node)
        dataset, marker = toy(tmp_path), tmp_path / "driver.json"
        self.checks = NodeChecks(dataset, None, marker, self.notes.append, needs=needs, clock=lambda: self.now)
        self.places = Places(self.notes.append, living=self.nodes)

    exceptions = ray.exceptions

    def nodes(self):
        return self.listed

    def get_runtime_context(self):
        return self

    def get_node_id(self):
        return "driver"

    def remote(self, *given):
        """Ray's, and a task's."""
        if given[0] is look:
            return self
        self.asked.append(self._to)
        return len(self.asked) - 1

    def options(self, *, scheduling_strategy, **_):
        self._to = scheduling_strategy
        return self

    def wait(self, references, **_):
        return references, []

    def get(self, reference):
        answer = self.answers.get(self.asked[reference], FIT)
        if answer is None:
            raise ray.exceptions.WorkerCrashedError
        return answer

    def see_new(self, *, after=5.0):
        self.now += after
        self.checks.see_new(self.places)


FIT, BLIND = Fitness(sees_home=True, has_data=True), Fitness(sees_home=False, has_data=True)


def test_a_machine_that_could_take_no_trial_is_not_asked(tmp_path, monkeypatch):
    held = {"service": {"CPU": 64.0}, "small": {"CPU": 1.0, "GPU": 1.0}, "gpus": {"CPU": 8.0, "GPU": 2.0}}
    world = World(monkeypatch, tmp_path, {"CPU": 2.0, "GPU": 1.0}, **held)
    world.answers = dict.fromkeys(("service", "small"), BLIND)
    world.checks.check()
    world.see_new()
    assert (world.asked, world.notes) == (["gpus"], [])


def test_a_machine_that_is_not_fit_is_asked_again_and_let_back_once_it_is(tmp_path, monkeypatch):
    cpu = {"CPU": 2.0}
    world = World(monkeypatch, tmp_path, {"CPU": 1.0, "GPU": 0.0}, first=cpu)
    world.checks.check()
    world.listed.append({**world.listed[0], "NodeID": "late", "NodeManagerHostname": "host-late"})
    world.answers["late"] = BLIND
    world.see_new()
    assert world.places.kept_from_tasks(cpu) == {"late"} and len(world.notes) == 1
    for _ in range(35):
        world.see_new()
    assert world.asked == ["first", "late"], "not every few seconds"
    world.see_new()
    assert world.asked == ["first", "late", "late"] and len(world.notes) == 1, "a person was told"
    world.answers["late"] = None
    world.see_new(after=180.0)
    assert len(world.asked) == 4 and world.places.kept_from_tasks(cpu) == {"late"}, "no answer is none"
    del world.answers["late"]
    world.see_new(after=180.0)
    assert world.places.kept_from_tasks(cpu) == set()
    assert world.notes[1:] == ["trials go to node host-late (late) again: it has all that they need"]
    world.see_new(after=1000.0)
    assert len(world.asked) == 5
