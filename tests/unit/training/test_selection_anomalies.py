"""Anomalies that select: on every image with room, and the kinds in turn."""

import pytest
import torch

from kdzoo.data.synthesis.perlin import Perlin, PerlinConfig
from kdzoo.data.synthesis.registry import SYNTHESES
from kdzoo.training.selection_anomalies import SelectionAnomalies


@pytest.fixture
def images():
    return torch.rand((7, 3, 48, 48), generator=torch.Generator().manual_seed(3))


def test_alone_it_plants_what_that_kind_plants(images):
    """To the bit: what was selected by before there was a choice still compares."""
    room = torch.ones((7, 1, 48, 48), dtype=torch.bool)
    mine = SelectionAnomalies()(images, room, torch.Generator().manual_seed(1))
    perlin = Perlin(PerlinConfig(probability=1.0))(images, room, torch.Generator().manual_seed(1))
    assert torch.equal(mine.images, perlin.images) and torch.equal(mine.masks, perlin.masks)


def test_kinds_take_turns_and_images_without_room_stay(images):
    room = torch.ones((7, 1, 48, 48), dtype=torch.bool)
    room[4] = False
    before = images.clone()
    made = SelectionAnomalies(tuple(sorted(SYNTHESES)))(images, room, torch.Generator().manual_seed(1))
    assert torch.equal(images, before)
    assert made.masks.flatten(1).any(dim=1).tolist() == [True] * 4 + [False] + [True] * 2
    outside = (made.masks == 0).expand_as(images)
    assert torch.equal(made.images[outside], images[outside])
    alone = SelectionAnomalies(("cutpaste",))(images[::3], room[::3], torch.Generator().manual_seed(1))
    assert torch.equal(made.images[::3], alone.images), "the first kind's images are those of its turn"


def test_one_image_and_several_kinds(images):
    room = torch.ones((1, 1, 48, 48), dtype=torch.bool)
    made = SelectionAnomalies(("nsa", "perlin"))(images[:1], room, torch.Generator().manual_seed(1))
    assert made.images.shape == (1, 3, 48, 48) and made.masks.any()
