"""Averaged weights: what they are, that they are what is measured and kept, and that a trial goes on with them."""

import pytest
import torch
from helpers.trials import small_spec, small_trial
from torch import nn

from kdzoo.errors import CheckpointError, ConfigError
from kdzoo.training.averages import WeightAverage
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.evaluation import measure, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.learned import load_learned


def test_it_follows_the_formula_by_hand():
    module = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        module.weight.fill_(0.0)
        average = WeightAverage([module], decay=0.3)
        # Kept shares: 2/11, 3/12, then the decay itself, which is less than 4/13.
        expected = 0.0
        for value, kept in ((11.0, 2 / 11), (4.0, 0.25), (1.0, 0.3)):
            module.weight.fill_(value)
            average.update()
            expected = kept * expected + (1 - kept) * value
    with average.in_place():
        assert module.weight.item() == pytest.approx(expected)
    assert module.weight.item() == 1.0
    average.settle()
    assert module.weight.item() == pytest.approx(expected)


def test_batch_norm_statistics_are_averaged_and_counters_left():
    module = nn.BatchNorm1d(1).train()
    average = WeightAverage([module], decay=0.9)
    module(torch.full((4, 1), 10.0))
    average.update()
    live = module.running_mean.item()
    with average.in_place():
        assert module.running_mean.item() == pytest.approx(live * 9 / 11)
        assert module.num_batches_tracked.item() == 1
    assert module.running_mean.item() == live


def test_state_comes_back_and_another_modules_is_refused():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    average, other = WeightAverage([first], 0.9), WeightAverage([second], 0.9)
    average.update()
    other.load_state(average.state())
    assert other.state()["steps"] == 1
    with other.in_place(), average.in_place():
        assert torch.equal(first.weight, second.weight)
    with pytest.raises(CheckpointError, match="not those of this stage"):
        WeightAverage([nn.Linear(2, 2, bias=False)], 0.9).load_state(average.state())
    broken = {"steps": 1, "tensors": average.state()["tensors"] | {"0.bias": torch.full((2,), float("nan"))}}
    with pytest.raises(CheckpointError, match=r"'0\.bias'"):
        other.load_state(broken)


@pytest.mark.parametrize("method", ["rd", "aand"])
def test_what_is_measured_and_kept_is_the_average(tmp_path, method):
    trainer = small_trial(tmp_path, method, epochs=2, ema=0.9)
    source = ImageSource(trainer.data.selection.images, trainer.device)
    while not trainer.finished:
        result = trainer.step()
        if result.report is None:
            continue
        live = {name: value.clone() for name, value in trainer.method.learned_state().items()}
        if trainer.best.epoch == result.epoch:
            last_of_stage = trainer.finished
            assert all(torch.equal(trainer.best.weights[name], live[name]) for name in live) == last_of_stage
            load_learned(trainer.method, trainer.best.weights)
            again = measure(score_images(trainer.method, source), trainer.data.selection, aupro_limit=0.3)
            assert again == result.report
            load_learned(trainer.method, live)


def test_without_it_the_last_steps_weights_are_kept(tmp_path):
    averaged, plain = (small_trial(tmp_path, "rd", epochs=1, ema=decay) for decay in (0.9, 0.0))
    averaged.run()
    plain.run()
    one, other = averaged.method.learned_state(), plain.method.learned_state()
    assert not torch.equal(
        one["student.decoder.stages.0.0.body.0.weight"], other["student.decoder.stages.0.0.body.0.weight"]
    )
    assert plain.state()["average"] is None


@pytest.mark.parametrize("method", ["rd", "aand"])
def test_going_on_with_an_average_equals_going_through(tmp_path, method):
    through = small_trial(tmp_path, method, epochs=2, ema=0.9)
    files = []
    while not through.finished:
        files.append(tmp_path / f"{through.epoch}.pt")
        save_state(files[-1], through.state())
        through.step()
    for file in files:
        resumed = small_trial(tmp_path, method, epochs=2, ema=0.9)
        resumed.load_state(load_state(file))
        resumed.run()
        assert resumed.best.objective == through.best.objective
        assert all(torch.equal(through.best.weights[key], value) for key, value in resumed.best.weights.items())


def test_a_state_without_an_average_does_not_fit_a_trial_with_one(tmp_path):
    plain = small_trial(tmp_path, "rd", epochs=2)
    plain.step()
    with pytest.raises(CheckpointError, match="does not fit"):
        small_trial(tmp_path, "rd", epochs=2, ema=0.9).load_state(plain.state())


@pytest.mark.parametrize("decay", [-0.1, 1.0, 2.0])
def test_a_decay_out_of_range(decay):
    with pytest.raises(ConfigError, match="ema"):
        small_spec("rd", ema=decay)
