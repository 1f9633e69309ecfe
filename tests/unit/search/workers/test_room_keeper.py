"""What was asked of a cluster ends with the driver, also where that is killed."""

import time
from types import SimpleNamespace

import pytest
import ray

from kdzoo.search.workers import room_keeper
from kdzoo.search.workers.room_keeper import RoomKeeper, watching


def wait_for(holds):
    deadline = time.monotonic() + 120
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert holds()


@pytest.fixture
def told(monkeypatch):
    """What the process on the head does, here run in this one."""
    told = []
    monkeypatch.setattr(room_keeper.sdk, "request_resources", lambda bundles: told.append(bundles))
    context = SimpleNamespace(current_actor="the process")
    monkeypatch.setattr(room_keeper.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(room_keeper.ray, "kill", told.append)
    return told


def test_after_some_silence_nothing_is_asked_for_any_more(told):
    watching()(0.05)
    wait_for(lambda: len(told) == 2)
    assert told == [[], "the process"]


def test_as_long_as_the_driver_is_heard_of_nothing_happens(told):
    process = watching()(2.0)
    began = time.monotonic()
    while time.monotonic() - began < 3.0:
        process.alive()
        time.sleep(0.05)
    assert told == []
    wait_for(lambda: told)


class Head:
    """A head that starts processes, in Ray's place; what they are told comes back when a test says so."""

    def __init__(self):
        self.options, self.processes, self.killed, self.back = [], [], [], True

    def start(self, kind, given):
        self.options.append(given)
        process = SimpleNamespace(heard=0, dead=False)
        process.alive = SimpleNamespace(remote=lambda: self._tell(process))
        self.processes.append(process)
        return process

    def _tell(self, process):
        process.heard += 1
        return process

    def get(self, ready):
        if any(process.dead for process in ready):
            raise ray.exceptions.ActorDiedError


@pytest.fixture
def head(monkeypatch):
    head = Head()

    def remote(kind):
        return SimpleNamespace(options=lambda **given: SimpleNamespace(remote=lambda silence: head.start(kind, given)))

    monkeypatch.setattr(room_keeper.ray, "remote", remote)
    monkeypatch.setattr(room_keeper.ray, "wait", lambda waiting, timeout: (waiting if head.back else [], []))
    monkeypatch.setattr(room_keeper.ray, "get", head.get)
    monkeypatch.setattr(room_keeper.ray, "kill", head.killed.append)
    return head


def test_one_process_outlives_the_driver_on_the_head_where_it_keeps_no_node_busy(head):
    keeper = RoomKeeper()
    keeper.end()
    for _ in range(3):
        keeper.alive()
    (process,), (options,) = head.processes, head.options
    assert process.heard == 3
    assert (options["lifetime"], options["num_cpus"]) == ("detached", 0)
    assert list(options["resources"]) == ["node:__internal_head__"]
    keeper.end()
    assert head.killed == [process]


def test_one_that_gave_up_on_a_slow_driver_is_replaced(head):
    keeper = RoomKeeper()
    keeper.alive()
    head.processes[0].dead = True
    head.back = False
    keeper.alive()
    assert len(head.processes) == 1, "nothing is waited for"
    head.back = True
    keeper.alive()
    assert [process.heard for process in head.processes] == [2, 1]


def test_a_cluster_that_does_not_answer_ends_nothing(head, monkeypatch, caplog):
    def lost(kind):
        raise ConnectionError("no answer")

    monkeypatch.setattr(room_keeper.ray, "remote", lost)
    RoomKeeper().alive()
    assert "no answer" in caplog.text
