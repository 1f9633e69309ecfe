"""Workers on a local Ray: the teacher that is sent to them, and machines on which nothing works."""

import dataclasses

import pytest
import ray
from helpers.layouts import make_dataset
from helpers.local_ray import CORES
from helpers.sweeps import Watcher, small_plan
from safetensors.torch import save_file

from kdzoo.data.cache.store import stored_entries, unfinished_bytes
from kdzoo.errors import TeacherError
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.space.space import SpaceFile
from kdzoo.search.workers.cluster import Node, nodes
from kdzoo.search.workers.reasons import reason
from kdzoo.search.workers.sent_teacher import SentTeacher
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.teachers.names import TeacherName

pytestmark = pytest.mark.usefixtures("local_ray")


@ray.remote
def built(teacher):
    """What a worker makes of a teacher."""
    made = teacher.build()
    return made.name, made.weights(), made.shape, made.mean


def test_a_teacher_from_a_file_is_built_where_the_file_is_not(tmp_path):
    file = tmp_path / "w.safetensors"
    save_file(build_teacher(TeacherName(architecture="test_resnet", source="random")).backbone.state_dict(), file)
    teacher = load_teacher(f"test_resnet@{file}")
    sent = SentTeacher.send(teacher.name, teacher.weights())
    file.unlink()
    assert ray.get(built.remote(sent)) == (teacher.name, teacher.weights(), teacher.shape, teacher.mean)


def test_a_random_teacher_has_the_drivers_weights_and_not_the_workers(tmp_path):
    teacher = load_teacher("random-test_resnet")
    teacher.backbone.conv1[0].weight.data.fill_(0.5)
    sent = SentTeacher.send(teacher.name, teacher.weights())
    assert ray.get(built.remote(sent))[1] == teacher.weights() != load_teacher("random-test_resnet").weights()


def test_other_bytes_than_were_sent_are_no_teacher():
    teacher = load_teacher("random-test_resnet")
    sent = SentTeacher.send(teacher.name, teacher.weights())
    with pytest.raises(TeacherError, match="did not arrive as they were sent"):
        dataclasses.replace(sent, sha256="0" * 64).build()
    other = TeacherName(architecture="resnet18", source="random")
    with pytest.raises(TeacherError, match="do not fit teacher 'random-resnet18' here") as caught:
        SentTeacher.send(other, teacher.weights()).build()
    assert "timm" in caught.value.hint
    with pytest.raises(TeacherError, match="do not fit"):
        SentTeacher.send(teacher.name, b"no tensors").build()


def test_the_nodes_of_the_cluster():
    assert nodes() == [Node(cpus=float(CORES), gpus=0.0)]


@ray.remote
class Stillborn:
    def __init__(self):
        raise ModuleNotFoundError("No module named 'kdzoo'")

    def ready(self):
        """Never."""


def test_an_actor_that_cannot_start_says_why():
    with pytest.raises(ray.exceptions.ActorDiedError) as caught:
        ray.get(Stillborn.remote().ready.remote())
    assert reason(caught.value) == "ModuleNotFoundError: No module named 'kdzoo'"


class Mending(Watcher):
    """Puts a data set back as soon as a trial has suffered from its absence."""

    def __init__(self, folder, away):
        super().__init__()
        self.folder, self.away = folder, away

    def note(self, text):
        super().note(text)
        if "goes on after a failure" in text and self.away.exists():
            self.away.rename(self.folder)


def sweep_without_data(tmp_path, watcher):
    """A sweep whose data set vanishes between the driver's checks and the first trial."""

    def prepared(category, done, total):
        if done == total:
            (tmp_path / "parts").rename(tmp_path / "away")

    return run_sweep(small_plan(tmp_path, name="vanished", trials=1), watcher, prepared=prepared)


def test_a_machine_without_the_data_set_costs_a_try_and_not_the_trial(tmp_path):
    make_dataset(tmp_path / "parts", ("bottle",))
    watcher = Mending(tmp_path / "parts", tmp_path / "away")
    board = sweep_without_data(tmp_path, watcher)
    (row,) = board.of("bottle")
    assert (row.status, row.reason) == ("finished", "")
    assert watcher.notes[0].startswith("trial 0 of bottle goes on after a failure: on node '")
    assert board.outcomes["bottle"].published.promoted


def test_a_trial_that_no_machine_can_run_ends_with_the_reason(tmp_path, monkeypatch):
    monkeypatch.setattr("kdzoo.search.run.scheduler._PAUSES", (0.0, 0.1, 0.2))
    make_dataset(tmp_path / "parts", ("bottle",))
    watcher = Watcher()
    board = sweep_without_data(tmp_path, watcher)
    (row,) = board.of("bottle")
    assert row.status == "failed"
    assert row.reason.startswith("on node '") and "parts" in row.reason
    assert board.outcomes["bottle"].reason == f"no usable trial: {row.reason}"
    assert sum("goes on after a failure" in note for note in watcher.notes) == 3


def test_trials_at_once_share_features_and_leave_none_of_their_own(tmp_path):
    """Four trials of `rd`, two at a time, then two of `aand`: one entry a part, each made once."""
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = small_plan(tmp_path, name="shared", trials=4)
    changes = {"epochs": 2, "batch_size": 4, "width": 0.25}
    plan = dataclasses.replace(
        plan, method="rd", spaces={"bottle": SpaceFile("rd").space("parts", "bottle", changes=changes)}
    )
    told = []
    board = run_sweep(plan, Watcher(), announce=told.append)
    assert [row.status for row in board.of("bottle")] == ["finished"] * 4
    assert any("trials share them" in line for line in told)
    features = plan.settings.cache / "features"
    entries = stored_entries(features)
    assert sorted(entry.part for entry in entries) == ["selection, random-resnet18", "train, random-resnet18"]
    assert {(entry.name, entry.passing) for entry in entries} == {("parts/bottle", False)}
    made = {entry.folder: entry.folder.stat().st_ino for entry in entries}

    run_sweep(small_plan(tmp_path, name="amplified", trials=2), Watcher())
    assert {entry.folder: entry.folder.stat().st_ino for entry in stored_entries(features)} == made
    assert unfinished_bytes(features) == 0
