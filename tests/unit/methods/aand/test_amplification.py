"""Amplification: masks by level, losses by hand, and the encoding of positions."""

import math

import pytest
import torch

from kdzoo.methods.aand.amplifier import position_encoding
from kdzoo.methods.aand.losses import amplification_loss, focal_gate_loss, level_mask


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
