"""Pooled masks, focal losses by hand and at their ends, and heads that start at the prior."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.methods.layers.masks import focal_loss, focal_loss_of_logits, pooled_mask, start_at_prior

GAMMAS = (0.0, 0.5, 1.0, 1.5, 4.0)


def test_a_position_counts_when_enough_of_it_is_marked():
    masks = torch.zeros(1, 1, 8, 8)
    masks[..., :4, :2] = 1
    masks[..., 4:, 4:5] = 1
    assert pooled_mask(masks, (2, 2), threshold=0.3).tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]
    assert pooled_mask(masks, (2, 2), threshold=0.2).tolist() == [[[[1.0, 0.0], [0.0, 1.0]]]]


def test_the_threshold_itself_is_not_enough():
    masks = torch.zeros(1, 1, 4, 4)
    masks[..., 0, 0] = 1
    assert not pooled_mask(masks, (2, 2), threshold=0.25).any()


def test_focal_loss_by_hand():
    """Probability 0.9 where it is one, 0.2 where it is none."""
    expected = (0.8 * 0.1**2 * -math.log(0.9) + 0.2 * 0.2**2 * -math.log(0.8)) / 2
    probabilities, truth = torch.tensor([0.9, 0.2]), torch.tensor([1.0, 0.0])
    assert float(focal_loss(probabilities, truth, alpha=0.8, gamma=2.0)) == pytest.approx(expected, rel=1e-5)


def test_focal_loss_of_logits_by_hand():
    """Probability 3/4 of being right on a one, 1/2 on a zero."""
    logits, truth = torch.tensor([math.log(3.0), 0.0]), torch.tensor([1.0, 0.0])
    expected = (0.8 * 0.25**2 * math.log(4 / 3) + 0.2 * 0.5**2 * math.log(2)) / 2
    assert float(focal_loss_of_logits(logits, truth, alpha=0.8, gamma=2.0)) == pytest.approx(expected)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, truth)
    assert float(focal_loss_of_logits(logits, truth, alpha=0.5, gamma=0.0)) == pytest.approx(0.5 * float(cross_entropy))


@given(
    logits=st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=6),
    ones=st.integers(0, 63),
    alpha=st.floats(0, 1),
    gamma=st.floats(0, 5),
)
def test_both_forms_are_one_loss_with_one_gradient(logits, ones, alpha, gamma):
    values = torch.tensor(logits, dtype=torch.float64)
    truth = torch.tensor([float(ones >> place & 1) for place in range(len(logits))], dtype=torch.float64)
    found = []
    for loss, form in ((focal_loss, torch.sigmoid), (focal_loss_of_logits, torch.Tensor.clone)):
        free = values.clone().requires_grad_()
        value = loss(form(free), truth, alpha=alpha, gamma=gamma)
        found.append((value.detach(), torch.autograd.grad(value, free)[0]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("probability", [-2e-7, 0.0, 1.0, 1.0000002])
def test_a_probability_at_or_beyond_its_ends_has_a_finite_loss_and_gradient(gamma, probability):
    probabilities = torch.full((2,), probability, requires_grad=True)
    loss = focal_loss(probabilities, torch.tensor([0.0, 1.0]), alpha=0.8, gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(probabilities.grad).all()


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("logit", [-1e4, -100.0, 0.0, 100.0, 1e4])
def test_a_logit_has_a_finite_loss_and_gradient_however_sure_it_is(gamma, logit):
    logits = torch.full((2,), logit, requires_grad=True)
    loss = focal_loss_of_logits(logits, torch.tensor([0.0, 1.0]), alpha=0.8, gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", [focal_loss, focal_loss_of_logits])
def test_nan_stays_nan(loss):
    assert torch.isnan(loss(torch.tensor([float("nan")]), torch.ones(1), alpha=0.8, gamma=2.0))


def test_a_head_starts_at_the_prior():
    torch.manual_seed(0)
    head = torch.nn.Conv2d(64, 1, 3, padding=1)
    start_at_prior(head)
    with torch.no_grad():
        assert torch.sigmoid(head(torch.zeros(1, 64, 4, 4))).flatten().tolist() == pytest.approx([0.01] * 16)
        assert torch.sigmoid(head(torch.randn(1, 64, 8, 8))).min() > 0.001
    assert float(head.weight.std()) == pytest.approx(0.01, rel=0.15)
