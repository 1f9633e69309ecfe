"""Rectangles and scars: exact copies without jitter, sizes, turns, colours."""

import math

import pytest
import torch

from kdzoo.data.synthesis.cutpaste import CutPaste, CutPasteConfig
from kdzoo.errors import ConfigError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(count, height=48, width=40):
    """Images whose every pixel tells its row and column."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    image = torch.stack([rows / height, columns / width, torch.zeros(height, width)])
    return image.expand(count, 3, height, width).contiguous()


def whole(images):
    return torch.ones((len(images), 1, *images.shape[-2:]), dtype=torch.bool)


def sides(mask):
    rows, columns = mask.nonzero(as_tuple=True)
    return int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)


def test_a_rectangle_without_jitter_is_an_exact_copy_of_one_place():
    images = numbered(20)
    result = CutPaste(CutPasteConfig(scar_share=0, jitter=0))(images, whole(images), seeded())
    for image, mask, found in zip(images, result.masks[:, 0].bool(), result.images):
        rows, columns = mask.nonzero(as_tuple=True)
        height, width = sides(mask)
        assert len(rows) == height * width
        down = (found[0, rows, columns] * 48).round().long() - rows
        right = (found[1, rows, columns] * 40).round().long() - columns
        assert len(set(down.tolist())) == len(set(right.tolist())) == 1
        assert torch.equal(found[:, rows, columns], image[:, rows + down, columns + right])


def test_rectangles_have_the_stated_areas_and_ratios():
    images = torch.rand((300, 3, 96, 96), generator=seeded(1))
    room = torch.zeros((300, 1, 96, 96), dtype=torch.bool)
    room[:, :, 40:56, 40:56] = True
    config = CutPasteConfig(scar_share=0, area_low=0.02, area_high=0.05)
    # A piece's middle lies on the foreground; here none is cut off, so that the whole shape can be measured.
    size, angle = CutPaste(config)._shapes(torch.rand((4, 300), generator=seeded()), 96, 96)
    assert not angle.any()
    share, ratio = size.prod(dim=0) / 96**2, size[0] / size[1]
    assert 0.017 < float(share.min()) < 0.022 and 0.045 < float(share.max()) < 0.054
    assert float(share.mean()) == pytest.approx(0.035, abs=0.002)
    assert float(ratio.min()) < 0.4 and float(ratio.max()) > 2.5
    assert float(ratio.min()) > 1 / 3.9 and float(ratio.max()) < 3.9
    assert float(ratio.log().mean()) == pytest.approx(0, abs=0.15)
    masks = CutPaste(config)(images, room, seeded()).masks
    assert masks.amax(dim=(1, 2, 3)).all() and not (masks.bool() & ~room).any()


def test_scars_are_thin_and_turned():
    images = torch.rand((200, 3, 128, 128), generator=seeded(1))
    config = CutPasteConfig(scar_share=1, scar_width_low=0.02, scar_width_high=0.03, scar_length_low=0.3,
                            scar_length_high=0.4)  # fmt: skip
    size, angle = CutPaste(config)._shapes(torch.rand((4, 200), generator=seeded()), 128, 128)
    assert (int(size[0].min()), int(size[0].max())) == (38, 51)
    assert set(size[1].tolist()) == {3, 4}
    assert float(angle.abs().max()) <= math.radians(45) and float(angle.std()) > math.radians(20)
    masks = CutPaste(config)(images, whole(images), seeded()).masks
    areas = masks.sum(dim=(1, 2, 3))
    assert float(areas.max()) <= 52 * 5 and float(areas.median()) > 38 * 2
    assert sum(sides(mask)[1] > 12 for mask in masks[:, 0]) > 100


def test_a_scar_turned_by_a_right_angle_lies_down():
    images = torch.rand((40, 3, 64, 64), generator=seeded(1))
    middle = torch.zeros((40, 1, 64, 64), dtype=torch.bool)
    upright = CutPasteConfig(scar_share=1, scar_width_low=0.05, scar_width_high=0.05, scar_length_low=0.4,
                             scar_length_high=0.4, scar_rotation=0)  # fmt: skip
    middle[:, :, 20:44, 20:44] = True
    for mask in CutPaste(upright)(images, whole(images), seeded()).masks[:, 0]:
        assert sides(mask)[1] <= 3 < sides(mask)[0] <= 26


def test_both_kinds_come_in_their_share():
    dice = torch.rand((4, 1000), generator=seeded())
    _, angle = CutPaste(CutPasteConfig(scar_share=0.3))._shapes(dice, 64, 64)
    assert float((angle != 0).float().mean()) == pytest.approx(0.3, abs=0.05)


def test_the_middle_falls_evenly_on_the_foreground():
    """Pieces of a single pixel show where middles fall."""
    count = 3000
    images = torch.rand((1, 3, 6, 5), generator=seeded()).expand(count, 3, 6, 5)
    room = torch.zeros((count, 1, 6, 5), dtype=torch.bool)
    room[:, 0, 1, 4] = room[:, 0, 3, 0] = room[:, 0, 5, 2] = True
    tiny = CutPasteConfig(scar_share=1, scar_width_low=0.01, scar_width_high=0.01, scar_length_low=0.01,
                          scar_length_high=0.01)  # fmt: skip
    hits = CutPaste(tiny)(images, room, seeded()).masks.mean(dim=0)[0]
    assert float(hits.sum()) == pytest.approx(1)
    assert [float(hits[place]) for place in ((1, 4), (3, 0), (5, 2))] == pytest.approx([1 / 3] * 3, abs=0.04)


def test_jitter_changes_colours_a_little_and_keeps_them_in_range():
    images = torch.rand((50, 3, 48, 48), generator=seeded(2))
    plain, jittered = (
        CutPaste(CutPasteConfig(scar_share=0, jitter=jitter))(images, whole(images), seeded()) for jitter in (0.0, 0.1)
    )
    assert torch.equal(plain.masks, jittered.masks)
    inside = plain.masks.bool().expand_as(images)
    moved = (plain.images - jittered.images)[inside].abs()
    assert 0.01 < float(moved.mean()) < 0.12
    assert float(jittered.images.min()) >= 0 and float(jittered.images.max()) <= 1


def test_grey_stays_grey_and_a_flat_piece_knows_brightness_only():
    """On one flat grey, contrast, saturation and hue do nothing: what is left is up to a tenth of brightness."""
    images = torch.full((100, 3, 32, 32), 0.5)
    result = CutPaste(CutPasteConfig(scar_share=0))(images, whole(images), seeded())
    inside = result.masks[:, 0].bool()
    grey = result.images.permute(0, 2, 3, 1)[inside]
    assert float((grey - grey.mean(dim=1, keepdim=True)).abs().max()) < 2e-3
    assert 0.448 < float(grey.min()) < 0.47 and 0.53 < float(grey.max()) < 0.552


@pytest.mark.parametrize(
    "values",
    [{"area_low": 0.3}, {"scar_width_low": 0.5}, {"scar_length_high": 0.01}, {"aspect": 0.5}, {"jitter": 0.9}],
)
def test_configurations_that_are_not_valid(values):
    with pytest.raises(ConfigError):
        CutPasteConfig(**values)
