"""What is normal for each place, by hand."""

import numpy as np
import pytest
import torch

from kdzoo.methods.layers.scales import PlaceScale

SIGMAS = 1.6448536269514722


def fitted(maps, inside=None, *, levels=1):
    scale = PlaceScale(levels)
    scale.take([([maps] * levels, inside)])
    return scale


def whole(scale, levels, size):
    """What a map of these levels becomes: scaled, added, and what is normal taken off."""
    return sum(scale(levels)) - scale.offset(range(len(levels)), size)


def test_it_changes_nothing_before_it_has_seen_normal_images():
    maps = torch.rand(2, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(whole(PlaceScale(1), [maps], (32, 32)), maps)


def test_what_every_normal_image_shows_at_a_place_is_normal_there():
    """A slope that all images have is gone; what is left is by its spread. A slope is what bilinear cells follow."""
    slope = torch.linspace(0, 8, 64).expand(64, 64)
    noise = torch.rand(20, 64, 64, generator=torch.Generator().manual_seed(1)) - 0.5
    scale = fitted(slope + noise)
    left = whole(scale, [slope + noise], (64, 64))[:, 8:-8, 8:-8]
    assert left.mean().abs() < 0.1
    # Uniform: from the median to the 95th percentile it is .45.
    assert float(scale.spread) == pytest.approx(0.45 / SIGMAS, rel=0.1)
    assert left.max() == pytest.approx(0.5 / 0.45 * SIGMAS, rel=0.15)


def test_the_cells_are_means_over_images_and_their_pixels():
    maps = torch.zeros(2, 16, 16)
    maps[0, :2, :2], maps[1, 14:, 14:] = 4.0, 2.0
    told = fitted(maps).centre[0]
    expected = torch.zeros(8, 8)
    expected[0, 0], expected[7, 7] = 2.0, 1.0
    # The median of what is left is added to all cells, and most of it is nothing.
    torch.testing.assert_close(told - told[3, 3], expected, atol=0.05, rtol=0)


def test_what_does_not_count_has_no_say_and_its_places_have_the_mean_of_the_others():
    maps = torch.full((3, 32, 32), 7.0)
    inside = torch.zeros(3, 32, 32, dtype=torch.bool)
    inside[:, :, :16] = True
    maps[:, :, 16:] = 1000.0
    scale = fitted(maps, inside)
    np.testing.assert_allclose(scale.centre.numpy(), 7.0, rtol=1e-5)


def test_levels_that_are_left_out_of_a_map_are_left_out_of_what_is_normal():
    generator = torch.Generator().manual_seed(2)
    first, second = (torch.rand(4, 32, 32, generator=generator) * factor for factor in (1, 10))
    scale = PlaceScale(2)
    scale.take([([first, second], None)])
    alone = scale([first, second])[1] - scale.offset([1], (32, 32))
    assert alone.mean().abs() < 0.2
    assert set(scale.state_dict()) == {"centre", "spread"}
    assert [len(value) for value in scale.told().values()] == [2, 2]
