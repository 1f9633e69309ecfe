"""What a trial does when something is wrong: with itself, or with the machine that it is on."""

import dataclasses
import errno
import socket
from dataclasses import dataclass
from unittest.mock import Mock

import pytest
import torch
from helpers.layouts import make_dataset
from helpers.trials import TEACHER, small_spec, toy

from kdzoo.data.cache.store import stored_entries
from kdzoo.errors import KdzooError, StorageError, TeacherError, WorkerError
from kdzoo.search.workers.finished import Finished
from kdzoo.search.workers.measuring import Measuring
from kdzoo.search.workers.trainable import STATE_FILE, TrialTrainable, WorkerContext
from kdzoo.teachers.backbone import Teacher, load_teacher
from kdzoo.training.checkpoint import load_state, save_state, tensor_bytes
from kdzoo.training.footprint import timed_on
from kdzoo.training.trainer import Trainer


@dataclass(frozen=True)
class AtHand:
    """A teacher that need not be sent; an error instead where none can be had."""

    teacher: Teacher | KdzooError
    sha256: str = ""

    def build(self):
        if isinstance(self.teacher, KdzooError):
            raise self.teacher
        return self.teacher


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


@pytest.fixture
def context(tmp_path, teacher):
    return WorkerContext(
        dataset=toy(tmp_path), cache=tmp_path / "cache", threads=1, device="cpu", teacher=AtHand(teacher)
    )


def trial(context, config):
    """A trainable as Ray makes it, in this process."""

    class Bound(TrialTrainable):
        def setup(self, config):
            super().setup(config, context)

    return Bound(config)


def config_of(**config):
    return {"spec": small_spec("rd", epochs=1, protocol="holdout", config=config).as_dict()}


def test_a_trial_trains_and_another_takes_its_place(context):
    actor = trial(context, config_of())
    ended = actor.step()
    assert ended["finished"]
    own = ended["train_seconds"] + ended["measure_seconds"]
    assert ended["held_seconds"] > own + 0.5, "the first trial of a worker waits for its imports"
    assert actor.reset_config(config_of())
    again = actor.step()
    assert again["epoch"] == 1
    assert again["train_seconds"] + again["measure_seconds"] < again["held_seconds"] < ended["held_seconds"]


def measuring(spec, state, folder):
    asked = Measuring(category="bottle", spec=spec["spec"], state=str(state), folder=str(folder))
    return asked.as_config()


def test_between_two_trials_it_measures_and_leaves_what_an_actor_of_its_own_would(context, tmp_path):
    context = dataclasses.replace(context, teacher=dataclasses.replace(context.teacher, sha256="another"))
    actor, states = trial(context, config_of()), []
    for number, config in enumerate((config_of(), config_of(learning_rate=0.001))):
        actor.reset_config(config)
        actor.step()
        (tmp_path / str(number)).mkdir()
        actor.save_checkpoint(str(tmp_path / str(number)))
        states.append(tmp_path / str(number) / STATE_FILE)
    actor.reset_config(measuring(config_of(), states[0], tmp_path / "warm"))
    assert actor.step() == {"measured": True, "node": None, "done": True}
    actor.save_checkpoint(str(tmp_path))
    assert not (tmp_path / STATE_FILE).exists()
    actor.reset_config(config_of())
    assert actor.step()["finished"]
    cold = trial(context, measuring(config_of(), states[0], tmp_path / "cold"))
    cold.step()
    warm, alone = (Finished.taken(tmp_path / name, b"") for name in ("warm", "cold"))
    assert warm.metrics == alone.metrics and "test_image_auroc" in warm.metrics
    assert dict(warm.files) == dict(alone.files)
    assert warm.files["weights"] != b"" and warm.files["teacher"] == context.teacher.build().weights()
    assert warm.document["weights"] == alone.document["weights"]


def test_a_damaged_checkpoint_is_the_categorys_own_fault_and_a_lost_disk_the_machines(context, tmp_path, monkeypatch):
    (tmp_path / STATE_FILE).write_bytes(b"no state")
    actor = trial(context, measuring(config_of(), tmp_path / STATE_FILE, tmp_path / "out"))
    assert actor.step()["measured"]
    assert "resume state" in Finished.taken(tmp_path / "out", b"").failure
    monkeypatch.setattr("kdzoo.search.workers.finished.write_file", Mock(side_effect=StorageError("disk full")))
    with pytest.raises(WorkerError, match="disk full"):
        actor.step()


def test_trials_of_a_node_share_features_and_leave_none_of_their_own(context):
    """Two actors that take turns, one of which gives up a trial before its end."""

    def kept():
        return {entry.folder: entry.passing for entry in stored_entries(context.cache / "features")}

    first, second = trial(context, config_of()), trial(context, config_of(learning_rate=0.001))
    first.step()
    made = kept()
    assert sorted(made.values()) == [False, False]
    second.step()
    assert kept() == made
    two_stages = {"spec": small_spec("aand", epochs=3, protocol="holdout").as_dict()}
    first.reset_config(two_stages)
    for _ in range(4):
        first.step()
    assert sorted(kept().values()) == [False, False, True, True]
    first.reset_config(config_of())
    assert kept() == made


def test_further_objectives_are_measured_once_at_the_end(context, tmp_path):
    wanted = {"also": ["pixel_ap", "latency_ms", "parameters", "checkpoint_mb"]}
    two_epochs = {"spec": small_spec("rd", epochs=2, protocol="holdout").as_dict()} | wanted
    actor = trial(context, two_epochs)
    assert actor.step()["also"] == {}
    ended = actor.step()
    assert list(ended["also"]) == wanted["also"]
    assert ended["also"]["latency_ms"] > 0
    assert ended["timed_on"] == timed_on(torch.device("cpu")) != ""
    method = actor._trainer.method
    assert ended["also"]["parameters"] == sum(parameter.numel() for parameter in method.parameters())
    assert ended["also"]["checkpoint_mb"] == sum(each.nbytes for each in method.learned_state().values()) / 1e6
    assert ended["also"]["pixel_ap"] == actor._trainer.best.metrics["pixel_ap"]
    assert not any(module.training for module in method.teacher.modules())
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    actor.save_checkpoint(str(folder))
    again = trial(context, {**two_epochs, "states": [str(folder / STATE_FILE)]}).step()
    assert again["also"]["pixel_ap"] == ended["also"]["pixel_ap"]
    assert list(again["also"]) == wanted["also"]


def test_what_is_wrong_with_the_trial_ends_it_with_its_reason(context):
    actor = trial(context, {"spec": {**config_of()["spec"], "method": "rdd"}})
    found = actor.step()
    assert "rdd" in found["failure"]
    assert (found["done"], found["finished"]) == (True, False)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"teacher": AtHand(TeacherError("the weights did not arrive"))}, "the weights did not arrive"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not there"),
    ],
)
def test_what_is_wrong_with_the_machine_is_raised(context, changes, problem):
    actor = trial(dataclasses.replace(context, **changes), config_of())
    for _ in range(2):
        with pytest.raises(WorkerError) as caught:
            actor.step()
        assert str(caught.value).startswith(f"on node '{socket.gethostname()}': {problem}")
        assert actor.reset_config(config_of())


def test_a_machine_without_the_data_set_can_be_mended(context, tmp_path):
    (tmp_path / "toy").rename(tmp_path / "elsewhere")
    actor = trial(context, config_of())
    with pytest.raises(WorkerError, match="toy"):
        actor.step()
    make_dataset(tmp_path / "toy", ("bottle",))
    actor.reset_config(config_of())
    assert actor.step()["finished"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), StorageError("disk full")])
def test_a_disk_that_fails_in_the_middle(context, monkeypatch, error):
    def broken(self):
        raise error

    actor = trial(context, config_of())
    monkeypatch.setattr(Trainer, "step", broken)
    with pytest.raises(WorkerError, match=r"disk full|Input/output error"):
        actor.step()


def test_a_gpu_without_room_ends_the_trial_with_reason_and_hint(context):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    actor = trial(context, config_of())
    actor._trainer.stages = [dataclasses.replace(stage, loss=full) for stage in actor._trainer.stages]
    found = actor.step()
    assert "batches of 2 images in 2 parts: CUDA out of memory (lower batch_size" in found["failure"]
    assert (found["done"], found["finished"]) == (True, False)
    # The actor is as good as new for a trial that fits.
    actor.reset_config(config_of())
    assert actor.step()["parts"] == 1


def test_a_trial_goes_on_from_the_first_state_that_is_whole(context, tmp_path):
    longer = {"spec": small_spec("rd", epochs=3, protocol="holdout").as_dict()}
    before = trial(dataclasses.replace(context, checkpoint_seconds=0.0), longer)
    before.step()
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    for folder in (whole, torn):
        folder.mkdir()
        before.save_checkpoint(str(folder))
    (torn / STATE_FILE).write_bytes((torn / STATE_FILE).read_bytes()[:-100])
    states = [str(folder / STATE_FILE) for folder in (tmp_path / "gone", torn, whole)]
    assert trial(context, {**longer, "states": states}).step()["epoch"] == 2
    assert trial(context, {**longer, "states": states[:2]}).step()["epoch"] == 1


def test_a_trial_that_was_at_its_end_trains_no_more(context, tmp_path):
    before = trial(context, config_of())
    ended = before.step()
    before.save_checkpoint(str(tmp_path))
    again = trial(context, {**config_of(), "states": [str(tmp_path / STATE_FILE)]}).step()
    assert (again["finished"], again["done"], again["epoch"]) == (True, True, 1)
    for key in ("objective", "selection_epoch", "total_epochs", "train_seconds", "stage"):
        assert again[key] == ended[key]


class Clock:
    """The worker's clock, which a test moves, and saving as well."""

    def __init__(self, monkeypatch, *, saving=0.0):
        self.now, self._saving = 1000.0, saving
        monkeypatch.setattr("kdzoo.search.workers.trainable.time.monotonic", lambda: self.now)
        monkeypatch.setattr("kdzoo.search.workers.trainable.save_state", self._save)

    def _save(self, path, state):
        self.now += self._saving
        save_state(path, state)


def saved(actor, folder):
    folder.mkdir()
    actor.save(str(folder))
    return load_state(folder / STATE_FILE)


def long_trial(number=0, **config):
    return {"spec": small_spec("rd", epochs=9, protocol="holdout").as_dict(), "number": number, **config}


def test_a_trial_asks_for_checkpoints_by_the_clock_and_those_alone_are_gone_on_from(context, tmp_path, monkeypatch):
    clock = Clock(monkeypatch, saving=30.0)  # too much to save every new best
    actor, asked = trial(dataclasses.replace(context, checkpoint_seconds=600.0), long_trial()), []
    for epoch in range(1, 7):
        clock.now += 250.0
        if actor.step()["should_checkpoint"]:
            asked.append(epoch)
            state = saved(actor, tmp_path / str(epoch))
            assert state["weights"] and state["optimizer"] and state["best_weights"]
    assert asked == [1, 3, 6], "and first what is worth anything at all"
    # Ray makes one of its own when the trial is stopped early: nobody goes on from it.
    clock.now += 10.0
    assert not actor.step()["should_checkpoint"]
    over = saved(actor, tmp_path / "over")
    assert (over["weights"], over["optimizer"], over["average"]) == ({}, None, None)
    whole, rest = ((tmp_path / name / STATE_FILE).stat().st_size for name in ("6", "over"))
    assert rest < 0.3 * whole
    fresh = trial(context, long_trial(states=[str(tmp_path / "over" / STATE_FILE)]))
    assert fresh.step()["epoch"] == 1, "there is nothing to go on from"
    further = trial(context, long_trial(states=[str(tmp_path / "6" / STATE_FILE)]))
    assert further.step()["epoch"] == 7


@pytest.mark.parametrize(("saving", "expected"), [(0.2, [1, 2, 4, 5]), (0.5, [1, 4, 5]), (30.0, [1])])
def test_each_new_best_is_saved_while_that_is_cheap(context, tmp_path, monkeypatch, saving, expected):
    """A budget or Ctrl-C may cut a trial off before its first ten minutes are over; it counts by what was saved."""
    clock, asked = Clock(monkeypatch, saving=saving), []
    actor = trial(dataclasses.replace(context, checkpoint_seconds=600.0), long_trial())
    actor.reset_config(long_trial())  # the first one also counts what this process has worked
    for epoch in range(1, 8):
        clock.now += 40.0
        actor._trainer.best.objective = -1.0 if epoch in (1, 2, 4, 5) else 2.0
        result = actor.step()
        if result["should_checkpoint"]:
            asked.append(epoch)
            state = saved(actor, tmp_path / str(epoch))
            assert (state["best_epoch"], bool(state["weights"])) == (epoch, True)
            assert result["saved_objective"] == state["best_objective"]
    assert asked == expected


def test_what_was_stopped_early_is_measured_from_its_best_weights(context, tmp_path):
    context = dataclasses.replace(context, teacher=dataclasses.replace(context.teacher, sha256="another"))
    actor = trial(context, long_trial())
    for _ in range(2):
        actor.step()
    over, best = saved(actor, tmp_path / "over"), actor._trainer.best
    actor.reset_config(measuring(long_trial(), tmp_path / "over" / STATE_FILE, tmp_path / "out"))
    actor.step()
    taken = Finished.taken(tmp_path / "out", b"")
    assert taken.document["epochs"] == {"trained": 2, "best": best.epoch, "planned": 9}
    assert taken.files["weights"] == tensor_bytes(over["best_weights"])


def test_trials_that_begin_together_do_not_write_together(context, monkeypatch):
    clock, first = Clock(monkeypatch), []
    for number in range(8):
        actor = trial(dataclasses.replace(context, checkpoint_seconds=800.0), {**config_of(), "number": number})
        first.append(actor._save_at - clock.now)
    assert first == [800.0 - 50.0 * number for number in range(8)]


def test_a_checkpoint_after_each_epoch(context):
    actor = trial(dataclasses.replace(context, checkpoint_seconds=0.0), long_trial(number=3))
    assert all(actor.step()["should_checkpoint"] for _ in range(2))
