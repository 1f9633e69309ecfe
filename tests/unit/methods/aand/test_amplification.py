"""Amplification: masks by level, losses by hand, and the encoding of positions."""

import math

import pytest
import torch
from torch import nn

from kdzoo.methods.aand.amplifier import ResidualAmplifier, position_encoding
from kdzoo.methods.aand.losses import amplification_loss, focal_gate_loss, level_mask
from kdzoo.teachers.backbone import load_teacher


def test_level_mask_needs_more_than_the_threshold():
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2, :2] = 1
    mask[..., 0, 2] = 1
    assert level_mask(mask, (2, 2), threshold=0.25)[0, :, 0].tolist() == [1, 0, 0, 0]
    assert level_mask(mask, (2, 2), threshold=0.2)[0, :, 0].tolist() == [1, 1, 0, 0]


def test_amplification_loss_without_anomalies_is_zero_and_has_a_gradient():
    features = torch.randn(1, 4, 2, 2)
    lifted = features.clone().requires_grad_()
    nothing, everywhere = torch.zeros(1, 4, 1), torch.ones(1, 4, 1)
    loss = amplification_loss([features], [lifted], [nothing], [everywhere], margin=0.3)
    loss.backward()
    assert float(loss) == 0.0
    assert lifted.grad is not None


def test_amplification_loss_of_unmoved_features_is_the_margin():
    features = torch.randn(1, 4, 2, 2)
    truth = torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1)
    loss = amplification_loss([features], [features], [truth], [torch.ones(1, 4, 1)], margin=0.3)
    assert float(loss) == pytest.approx(0.3)


def test_position_encoding_of_channels_not_divisible_by_four():
    assert torch.equal(position_encoding(6, 3, 3), position_encoding(8, 3, 3)[:6])


def test_the_gates_loss_is_summed_over_levels():
    gates, truths = (
        [torch.tensor([[[0.9]]]), torch.tensor([[[0.2], [0.2]]])],
        [torch.ones(1, 1, 1), torch.zeros(1, 2, 1)],
    )
    expected = 0.8 * 0.1**2 * -math.log(0.9) + 0.2 * 0.2**2 * -math.log(0.8)
    assert float(focal_gate_loss(gates, truths, alpha=0.8, gamma=2.0)) == pytest.approx(expected, rel=1e-5)


def test_an_amplifier_starts_as_the_released_one():
    """Kaiming, fan out: the deviation of a 1x1 convolution's weights is sqrt(2 / outputs); prototypes are N(0, 1)."""
    torch.manual_seed(0)
    block = ResidualAmplifier(256, prototypes=50, temperature=0.2)
    layers = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [512, 512, 256] * 2
    for layer in layers:
        assert float(layer.weight.std()) == pytest.approx(math.sqrt(2 / layer.out_channels), rel=0.02)
        assert float(layer.weight.mean()) == pytest.approx(0.0, abs=0.001)
        # Biases as PyTorch draws them: uniform up to 1 / sqrt(inputs).
        assert float(layer.bias.abs().max()) <= 1 / math.sqrt(layer.in_channels)
        assert float(layer.bias.std()) == pytest.approx(1 / math.sqrt(3 * layer.in_channels), rel=0.1)
    assert float(block.prototypes.std()) == pytest.approx(1.0, abs=0.02)


def test_at_the_start_the_residual_is_of_the_size_of_the_features():
    """On a ResNet's features the released code has a mean |s| of .80; PyTorch's own start had .16."""
    teacher = load_teacher("random-resnet18")
    torch.manual_seed(0)
    with torch.no_grad():
        for features in teacher(torch.randn(1, 3, 128, 128)):
            block = ResidualAmplifier(features.shape[1], prototypes=50, temperature=0.2)
            scale = torch.tanh(block.scale(features)).abs().mean()
            assert 0.7 < float(scale) < 0.9
