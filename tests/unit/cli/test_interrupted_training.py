"""A training that Ctrl-C or a kill ends: what is kept, and that it goes on as if it had never stopped."""

import json
import shutil
import signal

import pytest
import torch
from helpers.command import run
from helpers.layouts import make_dataset

from kdzoo.cli.epoch_log import EpochLog
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training import unfinished

OPTIONS = (
    "--epochs", "6", "--set", "epoch_steps=2", "--set", "batch_size=4", "--set", "width=0.25", "--image-size", "64",
    "--teacher", "random-resnet18", "--device", "cpu",
)  # fmt: skip


@pytest.fixture(autouse=True)
def ctrl_c_is_heard():
    """Also where a shell has started the tests in the background, with Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def parts(tmp_path, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    make_dataset(tmp_path / "parts", ("bottle",))
    return tmp_path / "parts"


def interrupt_after(monkeypatch, epoch, *, by=lambda: signal.raise_signal(signal.SIGINT)):
    shown = EpochLog.epoch

    def epoch_and_signal(self, result):
        shown(self, result)
        if result.epoch == epoch:
            by()

    monkeypatch.setattr(EpochLog, "epoch", epoch_and_signal)
    return shown


def weights_of(folder):
    return json.loads((folder / "detector.json").read_bytes())["weights"]["sha256"]


def test_ctrl_c_keeps_the_best_and_resume_goes_on_to_the_bit(parts, tmp_path, capsys, monkeypatch):
    whole = run(capsys, "train", "rd", "-d", parts, *OPTIONS, "--out", tmp_path / "whole")
    assert whole.status == 0, whole.err
    assert {path.name for path in (tmp_path / "whole").iterdir()} == {
        "detector.json", "weights.safetensors", "teacher.safetensors", "cases.png",
    }  # fmt: skip
    shown = interrupt_after(monkeypatch, 2)
    cut = run(capsys, "train", "rd", "-d", parts, *OPTIONS, "--out", tmp_path / "cut", "--publish", "--json")
    assert cut.status == 130, cut.err
    told = json.loads(cut.out)
    assert (told["interrupted"], told["published"], told["epochs"]["trained"]) == (True, None, 2)
    assert f"kdzoo train --resume {tmp_path / 'cut'}" in cut.err
    assert run(capsys, "evaluate", "--from", tmp_path / "cut", "-d", parts).status == 0, "it is a usable result"
    monkeypatch.setattr(EpochLog, "epoch", shown)
    settled = run(capsys, "train", "--resume", tmp_path / "cut", "--epochs", "9")
    assert settled.status == 2 and "is settled by the training" in settled.err
    on = run(capsys, "train", "--resume", tmp_path / "cut", "--json")
    assert on.status == 0, on.err
    assert "Going on after epoch 2 of 6" in on.err
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")
    assert json.loads(on.out)["epochs"]["trained"] == 6
    again = run(capsys, "train", "--resume", tmp_path / "cut")
    assert again.status == 1 and "no unfinished training" in again.err


def test_before_anything_was_measured_there_is_nothing_to_keep_and_it_begins_again(
    parts, tmp_path, capsys, monkeypatch
):
    def at_once(self, what, done, total):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(EpochLog, "step", at_once)
        ran = run(capsys, "train", "rd", "-d", parts, *OPTIONS, "--out", tmp_path / "cut")
    assert ran.status == 130
    assert "Interrupted before anything was measured" in ran.err
    assert not (tmp_path / "cut" / "detector.json").exists()
    assert run(capsys, "train", "--resume", tmp_path / "cut").status == 0
    assert (tmp_path / "cut" / "detector.json").exists()


def test_other_images_are_not_gone_on_with(parts, tmp_path, capsys, monkeypatch):
    interrupt_after(monkeypatch, 1)
    assert run(capsys, "train", "rd", "-d", parts, *OPTIONS, "--out", tmp_path / "cut").status == 130
    first = next((parts / "bottle" / "train" / "good").glob("*.png"))
    first.with_name("new.png").write_bytes(first.read_bytes())
    refused = run(capsys, "train", "--resume", tmp_path / "cut")
    assert refused.status == 1
    assert "the images are not those that the training began with" in refused.err


def test_a_state_is_kept_after_the_first_epoch_and_then_once_a_minute(tmp_path, monkeypatch):
    written, now = [], [0.0]
    monkeypatch.setattr(unfinished, "save_state", lambda path, state: written.append(now[0]))

    class Trainer:
        finished = False

        def state(self):
            return {}

    kept = unfinished.KeptState(tmp_path, clock=lambda: now[0])
    for seconds in (1.0, 30.0, 62.0, 100.0, 130.0):
        now[0] = seconds
        kept.keep(Trainer())
    assert written == [1.0, 62.0, 130.0]
    now[0] = 131.0
    kept.keep(Trainer(), now=True)
    assert written[-1] == 131.0


@pytest.mark.parametrize("text", ["{", "[]", '{"schema": "kdzoo-training/9"}', '{"schema": "kdzoo-training/1"}'])
def test_a_damaged_plan_is_named(tmp_path, capsys, text):
    (tmp_path / "training.json").write_text(text)
    ran = run(capsys, "train", "--resume", tmp_path)
    assert ran.status == 1
    assert "training.json" in ran.err


def test_a_run_that_cannot_begin_leaves_no_folder(parts, tmp_path, capsys):
    ran = run(capsys, "train", "rd", "-d", parts, *OPTIONS[:-4], "--teacher", "resnet18@nowhere.safetensors")
    assert ran.status != 0
    assert not list((tmp_path / "home" / "runs").glob("*"))
    (tmp_path / "mine").mkdir()
    run(capsys, "train", "rd", "-d", parts, *OPTIONS[:-4], "--teacher", "no-such", "--out", tmp_path / "mine")
    assert (tmp_path / "mine").is_dir(), "a person made it"


def test_what_is_missing_is_said(capsys):
    ran = run(capsys, "train")
    assert ran.status == 2 and "METHOD is missing" in ran.err
    ran = run(capsys, "train", "rd")
    assert ran.status == 2 and "--dataset is missing" in ran.err


def test_a_folder_that_bears_a_catalog_name_is_found_where_it_was(parts, tmp_path, capsys, monkeypatch):
    place = tmp_path / "elsewhere" / "mvtec"
    make_dataset(place, ("bottle",))
    shown = interrupt_after(monkeypatch, 1)
    assert run(capsys, "train", "rd", "-d", place, *OPTIONS, "--out", tmp_path / "cut").status == 130
    monkeypatch.setattr(EpochLog, "epoch", shown)
    on = run(capsys, "train", "--resume", tmp_path / "cut", "--json")
    assert on.status == 0, on.err
    assert (json.loads(on.out)["dataset"], json.loads(on.out)["epochs"]["trained"]) == ("mvtec", 6)


def test_what_was_moved_is_found_by_its_name(parts, tmp_path, capsys, monkeypatch):
    assert run(capsys, "data", "add", "parts", parts).status == 0
    shown = interrupt_after(monkeypatch, 1)
    assert run(capsys, "train", "rd", "-d", "parts", *OPTIONS, "--out", tmp_path / "cut").status == 130
    monkeypatch.setattr(EpochLog, "epoch", shown)
    parts.rename(tmp_path / "moved")
    assert run(capsys, "data", "add", "parts", tmp_path / "moved").status == 0
    on = run(capsys, "train", "--resume", tmp_path / "cut")
    assert on.status == 0, on.err


def add_teacher(capsys, folder, teacher):
    file = folder / "weights.safetensors"
    file.write_bytes(teacher.weights())
    ran = run(capsys, "teacher", "add", file, "--name", "plant", "--architecture", "resnet18", "--replace")
    assert ran.status == 0, ran.err


def test_a_release_trained_again_goes_on_with_its_own_folder_and_teacher(parts, tmp_path, capsys, monkeypatch):
    assert run(capsys, "data", "add", "parts", parts).status == 0
    teacher = load_teacher("random-resnet18")
    add_teacher(capsys, tmp_path, teacher)
    given = (*OPTIONS, "--teacher", "plant", "--publish")
    first = run(capsys, "train", "rd", "-d", "parts", *given)
    assert first.status == 0, first.err
    shutil.copytree(parts, tmp_path / "newer")
    good = tmp_path / "newer" / "bottle" / "train" / "good"
    shutil.copy(min(good.glob("*.png")), good / "more.png")
    again = ("retrain", "rd/parts/bottle", "-d", tmp_path / "newer", "--device", "cpu", "--no-publish")
    whole = run(capsys, *again, "--out", tmp_path / "whole")
    assert whole.status == 0, whole.err
    shown = interrupt_after(monkeypatch, 2)
    assert run(capsys, *again, "--out", tmp_path / "cut").status == 130
    monkeypatch.setattr(EpochLog, "epoch", shown)
    with torch.no_grad():
        next(teacher.parameters()).mul_(2)
    add_teacher(capsys, tmp_path, teacher)
    on = run(capsys, "train", "--resume", tmp_path / "cut")
    assert on.status == 0, on.err
    assert weights_of(tmp_path / "cut") == weights_of(tmp_path / "whole")
    names = [path.name for path in (tmp_path / "cut").iterdir()]
    assert sorted(names) == ["cases.png", "detector.json", "teacher.safetensors", "weights.safetensors"]


@pytest.mark.parametrize("changed", [{"mean": [0.5]}, {"std": [0, 1, 1]}, {"architecture": None}])
def test_a_damaged_teacher_of_a_plan_is_named(parts, tmp_path, capsys, monkeypatch, changed):
    interrupt_after(monkeypatch, 1)
    assert run(capsys, "train", "rd", "-d", parts, *OPTIONS, "--out", tmp_path / "cut").status == 130
    told = json.loads((tmp_path / "cut" / "training.json").read_text())
    kept = {"architecture": "resnet18", "source": "random", "mean": [0, 0, 0], "std": [1, 1, 1]} | changed
    told["kept_teacher"] = {key: value for key, value in kept.items() if value is not None}
    (tmp_path / "cut" / "training.json").write_text(json.dumps(told))
    ran = run(capsys, "train", "--resume", tmp_path / "cut")
    assert ran.status == 1 and "training.json' is damaged" in ran.err
