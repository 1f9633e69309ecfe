"""Modules built for weights to come: nothing random is drawn, all else is as ever."""

import torch
from torch import nn

from kdzoo.training.without_init import WithoutRandomInit


def test_no_random_number_is_drawn_for_weights():
    before = torch.get_rng_state()
    with WithoutRandomInit():
        nn.Conv2d(3, 8, 3)
        nn.Linear(4, 4)
        nn.init.kaiming_normal_(torch.empty(4, 4))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_filled_with_constants_is():
    with WithoutRandomInit():
        norm = nn.BatchNorm2d(8)
        filled = torch.full((4,), 7.0)
        assert filled.uniform_(0, 1) is filled
    assert torch.equal(filled, torch.full((4,), 7.0))
    assert torch.equal(norm.weight, torch.ones(8)) and torch.equal(norm.running_var, torch.ones(8))


def test_afterwards_weights_are_drawn_again():
    with WithoutRandomInit():
        pass
    before = torch.get_rng_state()
    assert nn.Linear(4, 4).weight.std() > 0
    assert not torch.equal(torch.get_rng_state(), before)
