"""What is shown of a training: steps, the time left, the current value beside the best, a word where it takes hours."""

from types import SimpleNamespace

import pytest
import torch

from kdzoo.cli.epoch_log import EpochLog
from kdzoo.training.best import BestEpoch
from kdzoo.training.epoch_result import EpochResult
from kdzoo.training.spec import RunOptions


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def trainer_of(*, epochs=10, steps=20, device="cpu", teacher="wide_resnet50_2.tv_in1k"):
    spec = SimpleNamespace(options=RunOptions(teacher=teacher))
    return SimpleNamespace(
        spec=spec, epoch=0, total_epochs=epochs, steps=[steps], stages=[SimpleNamespace(epochs=epochs)],
        device=torch.device(device), best=BestEpoch(), finished=False,
    )  # fmt: skip


def result_of(epoch, value=None):
    report = None if value is None else SimpleNamespace(image_auroc=value)
    return EpochResult(
        epoch=epoch, stage="distil", selection_epoch=epoch, losses={"loss": 0.5}, report=report, seconds=(1.0, 0.0),
        parts=1,
    )  # fmt: skip


def steps(log, trainer, clock, seconds, count, total=20):
    for done in range(1, count + 1):
        clock.now += seconds
        log.step("steps", done, total)


def test_lines_come_at_intervals_within_a_long_epoch(capsys):
    clock, trainer = Clock(), trainer_of()
    with EpochLog(trainer, "image_auroc", clock=clock) as log:
        steps(log, trainer, clock, 12.0, 20)
    said = capsys.readouterr().err.splitlines()
    shown = [line.split(":")[1].split(",")[0].strip() for line in said]
    assert shown == [f"step {done}/20" for done in (3, 6, 9, 12, 15, 18)]
    assert "0:39:" in said[0], "197 steps of 12 s are left after the third"


def test_the_time_left_is_that_of_the_steps_since_the_first(capsys):
    clock, trainer = Clock(), trainer_of(epochs=2, steps=10)
    log = EpochLog(trainer, "image_auroc", clock=clock)
    clock.now += 500.0  # features of the teacher, and whatever else comes once
    log.step("steps", 1, 10)
    clock.now += 4.0
    log.step("steps", 2, 10)
    assert log.left(clock.now) == pytest.approx(18 * 4.0)


@pytest.mark.parametrize(
    ("seconds", "device", "said"), [(30.0, "cpu", True), (0.2, "cpu", False), (30.0, "meta", False)]
)
def test_hours_on_a_cpu_are_told_once_after_the_first_steps(capsys, seconds, device, said):
    clock, trainer = Clock(), trainer_of(epochs=200, device=device)
    log = EpochLog(trainer, "image_auroc", clock=clock)
    for _ in range(3):
        steps(log, trainer, clock, seconds, 20)
        trainer.epoch += 1
    text = capsys.readouterr().err
    assert text.count("on the CPU") == said
    if said:
        assert "about 33 h on the CPU" in text
        assert "--teacher lite0" in text


def test_a_small_teacher_is_not_advised_where_it_is_used(capsys):
    clock, trainer = Clock(), trainer_of(epochs=200, teacher="lite0")
    steps(EpochLog(trainer, "image_auroc", clock=clock), trainer, clock, 30.0, 20)
    assert "--teacher" not in capsys.readouterr().err


def test_the_current_value_stands_beside_the_best(capsys):
    clock, trainer = Clock(), trainer_of()
    log = EpochLog(trainer, "image_auroc", clock=clock)
    trainer.epoch = 1
    trainer.best = BestEpoch(objective=0.9, epoch=1, weights={"w": torch.zeros(1)})
    log.epoch(result_of(1, 0.9))
    trainer.epoch = 2
    log.epoch(result_of(2, 0.7))
    log.epoch(result_of(3))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "epoch 1/10 distil loss 0.5000, best image_auroc 0.9000"
    assert second == "epoch 2/10 distil loss 0.5000, image_auroc 0.7000, best image_auroc 0.9000 (epoch 1)"
    assert third == "epoch 3/10 distil loss 0.5000, best image_auroc 0.9000 (epoch 1)"


def test_one_that_goes_on_counts_from_where_it_is():
    clock, trainer = Clock(), trainer_of(epochs=4, steps=10)
    trainer.epoch = 3
    log = EpochLog(trainer, "image_auroc", clock=clock)
    steps(log, trainer, clock, 2.0, 5, total=10)
    assert log.left(clock.now) == pytest.approx(5 * 2.0)
