"""Adam in one pass. On a CPU it goes through the memory of weight and gradient side by side, whatever their strides
say, so that both must lie in the same order."""

import pytest
import torch
from helpers.methods import LEARNING
from helpers.trials import small_trial

from kdzoo.methods.registry import METHODS


def in_memory_order(tensor):
    """The values as they follow each other in memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def trained(stage):
    return [parameter for module in stage.modules for parameter in module.parameters()]


@pytest.mark.parametrize("name", METHODS)
def test_gradients_and_moments_lie_in_memory_as_their_weights_do(tmp_path, name):
    trainer = small_trial(tmp_path, name, epochs=1)
    for stage in trainer.stages:
        trainer.step()
        numbered = [torch.arange(each.numel(), dtype=torch.float32).view_as(each) for each in trained(stage)]
        for weight, number in zip(trained(stage), numbered, strict=True):
            moments = trainer._optimizer.state[weight]
            expected = in_memory_order(torch.empty_like(weight).copy_(number))
            for other in (weight.grad, moments["exp_avg"], moments["exp_avg_sq"]):
                assert torch.equal(in_memory_order(torch.empty_like(other).copy_(number)), expected)


@pytest.mark.parametrize("name", LEARNING)
def test_a_step_is_that_of_adam_written_out(tmp_path, name):
    trainer = small_trial(tmp_path, name, epochs=1)
    stage = trainer.stages[0]
    rate, (first, second) = stage.optimizer.rate(0, stage.epochs), stage.optimizer.betas
    optimizer = trainer._enter(stage, 0)
    expected = []
    generator = torch.Generator().manual_seed(0)
    for weight in trained(stage):
        mean, square, value = 0.0, 0.0, weight.detach().double().clone()
        slopes = [torch.randn(weight.shape, generator=generator) for _ in range(3)]
        for step, slope in enumerate(slopes, start=1):
            mean = first * mean + (1 - first) * slope.double()
            square = second * square + (1 - second) * slope.double() ** 2
            value -= rate * (mean / (1 - first**step)) / ((square / (1 - second**step)).sqrt() + 1e-8)
        expected.append((value, slopes))
    for step in range(3):
        for weight, (_, slopes) in zip(trained(stage), expected, strict=True):
            weight.grad = torch.empty_like(weight).copy_(slopes[step])
        optimizer.step()
    for weight, (value, _) in zip(trained(stage), expected, strict=True):
        torch.testing.assert_close(weight.detach().double(), value, rtol=1e-4, atol=1e-5)
