"""Patch swaps: exact copies, sizes, numbers, and the rules on the object, by hand where a hand can count."""

import pytest
import torch

from kdzoo.data.synthesis.nsa import (
    Nsa,
    NsaConfig,
    Patches,
    covered_pixels,
    draw_patches,
    object_mask,
    shared_pixels,
)
from kdzoo.errors import ConfigError

ANYWHERE = {"min_object_pct": 0.0, "min_overlap_pct": 0.0}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count=4, height=48, width=40):
    """Images whose every pixel tells image, row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    own = torch.arange(count)[:, None, None].expand(count, height, width) / count
    grid = torch.stack([rows / height, columns / width])[:, None].expand(2, count, height, width)
    return torch.cat([own[:, None], grid.movedim(0, 1)], dim=1).contiguous()


def whole(images):
    return torch.ones((len(images), 1, *images.shape[-2:]), dtype=torch.bool)


def square(count, side=64, low=16, high=48):
    room = torch.zeros((count, 1, side, side), dtype=torch.bool)
    room[:, :, low:high, low:high] = True
    return room


def test_a_patch_is_an_exact_copy_of_one_place_of_the_same_image():
    images = numbered(12)
    result = Nsa(NsaConfig(patches=1))(images, whole(images), seeded())
    for number in range(12):
        rows, columns = result.masks[number, 0].nonzero(as_tuple=True)
        pasted = result.images[number, :, rows, columns]
        assert (pasted[0] == images[number, 0, 0, 0]).all()
        down = (pasted[1] * 48).round() - rows
        right = (pasted[2] * 40).round() - columns
        assert len(set(down.tolist())) == len(set(right.tolist())) == 1
        assert down[0] != 0 or right[0] != 0
        assert len(rows) == (rows.max() - rows.min() + 1) * (columns.max() - columns.min() + 1)
        shift = int(down[0]), int(right[0])
        assert torch.equal(pasted, images[number, :, rows + shift[0], columns + shift[1]])


def test_later_patches_are_cut_from_the_clean_image_too():
    images = numbered(40)
    result = Nsa(NsaConfig(patches=8))(images, whole(images), seeded())
    for image, found in zip(images, result.images):
        known = {tuple(pixel) for pixel in image.flatten(1).t().tolist()}
        assert {tuple(pixel) for pixel in found.flatten(1).t().tolist()} <= known


def test_sizes_lie_within_their_bounds_and_reach_both():
    config = NsaConfig(patches=1, rows_low=0.05, rows_high=0.1, columns_low=0.2, columns_high=0.25, **ANYWHERE)
    patches = draw_patches(torch.ones((500, 100, 200), dtype=torch.bool), config, seeded())
    height, width = patches.size[..., 0]
    assert (int(height.min()), int(height.max())) == (10, 20)
    assert (int(width.min()), int(width.max())) == (80, 100)
    assert (height % 2 == 0).all() and (width % 2 == 0).all()


def test_half_sizes_follow_the_offset_gamma_distribution():
    """0.03 + Gamma(2, 0.05): mean 0.13, standard deviation 0.05 * sqrt(2); the bounds are out of the way."""
    free = {"rows_low": 0, "rows_high": 0.5, "columns_low": 0, "columns_high": 0.5}
    config = NsaConfig(patches=16, max_draws=1, **free, **ANYWHERE)
    patches = draw_patches(torch.ones((150, 200, 200), dtype=torch.bool), config, seeded())
    half = patches.size / 400
    assert int(patches.size.min()) >= 2 * 0.03 * 200
    assert float(half.mean()) == pytest.approx(0.13, abs=0.005)
    assert float(half.std()) == pytest.approx(0.05 * 2**0.5, abs=0.005)


def test_the_number_of_patches_is_one_and_a_half_chance_for_each_further_one():
    config = NsaConfig(patches=4, **ANYWHERE)
    used = draw_patches(torch.ones((2000, 32, 32), dtype=torch.bool), config, seeded()).used
    assert used[:, 0].all()
    share = [float((used.sum(dim=1) == number).float().mean()) for number in range(5)]
    assert share == pytest.approx([0, 1 / 8, 3 / 8, 3 / 8, 1 / 8], abs=0.035)


def test_places_lie_within_the_image_and_are_spread_over_it():
    config = NsaConfig(patches=2, rows_high=0.5, columns_high=0.5, **ANYWHERE)
    patches = draw_patches(torch.ones((800, 30, 50), dtype=torch.bool), config, seeded())
    for place in (patches.source, patches.target):
        end = place + patches.size
        assert place.min() >= 0 and end[0].max() <= 30 and end[1].max() <= 50
        assert place[0].min() == place[1].min() == 0 and end[0].max() == 30 and end[1].max() == 50
        middle = (place + patches.size / 2).flatten(1).mean(dim=1)
        assert middle.tolist() == pytest.approx([15, 25], abs=1.0)


def test_a_patch_covers_enough_object_where_it_is_cut_and_where_it_is_pasted():
    room = square(200)
    config = NsaConfig(patches=2, min_object_pct=0.7, min_overlap_pct=0.25)
    patches = draw_patches(room[:, 0], config, seeded())
    assert patches.used[:, 0].all()
    for image, number in patches.used.nonzero().tolist():
        size = patches.size[:, image, number]

        def part(place, size=size, image=image, number=number):
            top, left = place[:, image, number]
            found = room[image, 0, top : top + size[0], left : left + size[1]]
            assert found.shape == tuple(size)
            return found

        cut, place = part(patches.source), part(patches.target)
        assert float(cut.float().mean()) > 0.7 - 1e-6
        # What counts is how much of the patch's object falls on the object, not how much of the place is object.
        assert float((cut & place).sum() / cut.sum()) > 0.25 - 1e-6


def left_half(side=6):
    """``[1, 1, 6, 6]``: the object is the left half."""
    room = torch.zeros((1, 1, side, side), dtype=torch.bool)
    room[..., : side // 2] = True
    return room


def one_patch(target, source=(0, 1), size=(2, 4)):
    """A patch of 2 x 4 pixels, by default cut at the top with its two left columns on the object."""
    as_patch = (torch.tensor(each)[:, None, None] for each in (size, source, target))
    size, source, target = as_patch
    return Patches(size=size, source=source, target=target, used=torch.ones((1, 1), dtype=torch.bool))


@pytest.mark.parametrize(("left", "shared"), [(0, 4), (1, 4), (2, 2)])
def test_the_overlap_is_counted_by_hand(left, shared):
    """The patch's object is two columns wide; moved to the right it leaves the object a column at a time."""
    patch = one_patch((4, left))
    found = shared_pixels(left_half()[:, 0], patch.source, patch.size, patch.target[..., None])
    assert found.tolist() == [[[shared]]]


@pytest.mark.parametrize(("least", "lefts"), [(0.5, {0, 1, 2}), (0.6, {1}), (1.0, {1})])
def test_a_place_is_taken_where_enough_of_the_patchs_object_falls_on_the_object(least, lefts):
    """The object is columns 1 and 2 of six. Of a patch of four columns cut at column 1, it is the first two: pasted at
    column 1 all of them fall on the object, at 0 and 2 one does, though at 2 a quarter of the place is object."""
    room = torch.zeros((400, 6, 6), dtype=torch.bool)
    room[:, :, 1:3] = True
    config = NsaConfig(
        patches=1, rows_low=0.1, rows_high=0.1, columns_low=0.3, columns_high=0.3, min_object_pct=0.5,
        min_overlap_pct=least, inside=False,
    )  # fmt: skip
    patches = draw_patches(room, config, seeded())
    cut_at_one = patches.used[:, 0] & (patches.source[1, :, 0] == 1)
    assert (patches.size[:, cut_at_one, 0] == torch.tensor([[2], [4]])).all()
    assert set(patches.target[1, cut_at_one, 0].tolist()) == lefts


def test_a_patch_without_object_shares_none_and_is_pasted_nowhere():
    room = torch.zeros((50, 24, 24), dtype=torch.bool)
    assert not draw_patches(room, NsaConfig(min_object_pct=0.0, inside=False), seeded()).used.any()


@pytest.mark.parametrize(("left", "pasted"), [(0, [0, 1, 2]), (2, [2, 3])])
def test_pasted_is_what_is_object_where_it_comes_from_or_goes_to(left, pasted, monkeypatch):
    """The patch's object is its two left columns; beside them only what covers the object is pasted."""
    monkeypatch.setattr("kdzoo.data.synthesis.nsa.draw_patches", lambda *given: one_patch((4, left)))
    images = torch.rand((1, 3, 6, 6), generator=seeded())
    result = Nsa(NsaConfig(patches=1, inside=False))(images, left_half(), seeded())
    expected = torch.zeros((6, 6))
    expected[4:, pasted] = 1
    assert torch.equal(result.masks[0, 0], expected)
    moved = images[0, :, :2, [column - left + 1 for column in pasted]]
    assert torch.equal(result.images[0, :, 4:, pasted], moved)
    assert torch.equal(result.images[0, :, :4], images[0, :, :4])


@pytest.mark.parametrize(("inside", "pasted"), [(True, [2]), (False, [2, 3, 4, 5])])
def test_without_a_rule_on_the_object_the_whole_rectangle_is_pasted_unless_it_must_stay_inside(
    inside, pasted, monkeypatch
):
    monkeypatch.setattr("kdzoo.data.synthesis.nsa.draw_patches", lambda *given: one_patch((4, 2)))
    config = NsaConfig(patches=1, inside=inside, **ANYWHERE)
    result = Nsa(config)(torch.rand((1, 3, 6, 6), generator=seeded()), left_half(), seeded())
    expected = torch.zeros((6, 6))
    expected[4:, pasted] = 1
    assert torch.equal(result.masks[0, 0], expected)


def test_where_a_later_patch_pastes_nothing_an_earlier_one_stays(monkeypatch):
    """The second rectangle covers the first, and beside the object shows nothing of its own there."""
    first, second = one_patch((4, 2), source=(0, 0), size=(2, 3)), one_patch((4, 2))
    both = Patches(
        **{
            name: torch.cat([getattr(first, name), getattr(second, name)], dim=-1)
            for name in ("size", "source", "target", "used")
        }
    )
    monkeypatch.setattr("kdzoo.data.synthesis.nsa.draw_patches", lambda *given: both)
    images = numbered(1, 6, 6)
    result = Nsa(NsaConfig(patches=2, inside=False))(images, left_half(), seeded())
    assert result.masks[0, 0, 4].tolist() == [0, 0, 1, 1, 1, 0]
    came_from = (result.images[0, 2, 4] * 6).round().int().tolist()
    assert came_from == [0, 1, 1, 2, 2, 5]


@pytest.mark.parametrize("side", [(37, 50), (256, 256), (1024, 768)])
def test_overlaps_are_whole_numbers_however_large_the_image(side):
    generator = seeded(2)
    product = torch.rand((2, *side), generator=generator) < 0.6
    sides = torch.tensor(side).view(2, 1, 1)
    size = (torch.rand((2, 2, 3), generator=generator) * sides * 0.8).long() + 1
    source = (torch.rand((2, 2, 3), generator=generator) * (sides - size + 1)).long()
    room = (sides - size + 1)[..., None]
    targets = (torch.rand((2, 2, 3, 4), generator=generator) * room).long()
    found = shared_pixels(product, source, size, targets)
    for image, number, draw in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).tolist():
        height, width = size[:, image, number].tolist()

        def part(place, image=image, height=height, width=width):
            top, left = place.tolist()
            return product[image, top : top + height, left : left + width]

        expected = part(source[:, image, number]) & part(targets[:, image, number, draw])
        assert int(found[image, number, draw]) == int(expected.sum())


def test_on_an_object_without_background_the_count_is_the_area(monkeypatch):
    product = torch.ones((2, 20, 30), dtype=torch.bool)
    patches = draw_patches(product, NsaConfig(patches=2), seeded())
    given = (product, patches.source, patches.size, patches.target[..., None])
    quick = shared_pixels(*given)
    monkeypatch.setattr("kdzoo.data.synthesis.nsa.waits", lambda device: True)
    assert torch.equal(quick, shared_pixels(*given))
    assert torch.equal(quick[..., 0], patches.size.prod(dim=0))


def test_after_the_last_failed_draw_the_image_stays_clean():
    """Half an image of object cannot fill ninety per cent of patches that are nearly as large as the image."""
    images = torch.rand((8, 3, 32, 32), generator=seeded(1))
    room = whole(images)
    room[:4, :, :16] = False
    large = {"rows_low": 0.45, "rows_high": 0.5, "columns_low": 0.1, "columns_high": 0.1}
    result = Nsa(NsaConfig(min_object_pct=0.9, **large))(images, room, seeded())
    assert torch.equal(result.images[:4], images[:4]) and not result.masks[:4].any()
    assert result.masks[4:].amax(dim=(1, 2, 3)).all()


def test_more_draws_find_a_small_object_more_often():
    room = square(200, low=24, high=36)
    config = NsaConfig(patches=1, rows_low=0.05, columns_low=0.05, rows_high=0.1, columns_high=0.1)
    once, often = (
        float(draw_patches(room[:, 0], config.replace(max_draws=draws), seeded()).used.float().mean())
        for draws in (1, 200)
    )
    assert once < 0.1
    assert often > 0.9


def test_covered_pixels_by_counting():
    product = torch.rand((2, 9, 7), generator=seeded()) < 0.5
    sums = torch.zeros((2, 10, 8), dtype=torch.int32)
    sums[:, 1:, 1:] = product.int().cumsum(1).cumsum(2)
    place = torch.tensor([[[[0, 3]], [[4, 8]]], [[[0, 2]], [[6, 0]]]])  # [2, B=2, N=1, D=2]
    size = torch.tensor([[[[9, 4]], [[5, 1]]], [[[7, 3]], [[1, 7]]]])
    expected = [
        [int(product[0].sum()), int(product[0, 3:7, 2:5].sum())],
        [int(product[1, 4:9, 6:7].sum()), int(product[1, 8:9, 0:7].sum())],
    ]
    assert covered_pixels(sums, place, size)[:, 0].tolist() == expected


def test_the_background_is_what_is_near_its_level():
    images = torch.full((1, 3, 24, 24), 200 / 255)
    images[:, :, 6:18, 6:18] = 100 / 255
    images[0, :, 2, 2] = 0.0  # a speck on the background
    images[0, :, 12, 12] = 200 / 255  # a speck on the object
    found = object_mask(images, 200, 60)[0, 0]
    assert found[9:15, 9:15].all() and not found[2, 2]
    assert found.sum() == 144 - 4 * 5  # the median rounds each corner by five pixels
    assert not object_mask(images, 200, 120)[0, 0].any()
    assert object_mask(images, 20, 20)[0, 0].all()


def test_a_background_level_takes_the_place_of_the_foreground():
    images = torch.full((20, 3, 64, 64), 20 / 255)
    images[:, :, 16:48, 16:48] = torch.rand((20, 3, 32, 32), generator=seeded()) / 2 + 0.4
    nothing = torch.zeros((20, 1, 64, 64), dtype=torch.bool)
    result = Nsa(NsaConfig(background_level=20, background_tolerance=20))(images, nothing, seeded())
    assert result.masks.amax(dim=(1, 2, 3)).all()
    assert not (result.masks.bool() & ~square(20)).any()
    assert not Nsa()(images, nothing, seeded()).masks.any()


@pytest.mark.parametrize(
    "values", [{"rows_low": 0.3, "rows_high": 0.2}, {"columns_low": 0.45}, {"patches": 0}, {"columns_high": 0.6}]
)
def test_configurations_that_are_not_valid(values):
    with pytest.raises(ConfigError):
        NsaConfig(**values)
