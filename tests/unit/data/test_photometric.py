import math

import pytest
import torch

from kdzoo.data.synthesis.photometric import TONES, Pixels, augmented_pixels, read_pixels

NAMED = {tone.__name__.strip("_"): tone for tone in TONES}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everywhere(textures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.ones_like(textures[:, 0]).nonzero(as_tuple=True)


def whole(colours: torch.Tensor) -> Pixels:
    """Textures `[T, S, 3]` of which every pixel is needed, all dice at one half."""
    count, size, _ = colours.shape
    owner = torch.arange(count).repeat_interleave(size)
    return Pixels(colour=colours.flatten(0, 1), owner=owner, dice=torch.full((count, 2), 0.5), sample=colours)


def thrown(pixels: Pixels, *dice: float) -> Pixels:
    row = torch.tensor([dice]).expand(len(pixels.sample), 2)
    return Pixels(colour=pixels.colour, owner=pixels.owner, dice=row, sample=pixels.sample)


RAMP = torch.linspace(0.25, 0.75, 17).view(1, 17, 1).expand(1, 17, 3).contiguous()


def read(textures: torch.Tensor, angle: float = 0.0, sharpness: float = 1.0) -> torch.Tensor:
    count, _, height, width = textures.shape
    colours = read_pixels(textures, everywhere(textures), torch.full((count,), angle), torch.full((count,), sharpness))
    return colours.view(count, height, width, 3).permute(0, 3, 1, 2)


def test_plain_reading_gives_the_texture():
    textures = torch.rand((3, 3, 6, 9), generator=seeded())
    torch.testing.assert_close(read(textures), textures, rtol=0, atol=0)
    coded = (textures * 255).byte()
    torch.testing.assert_close(read(coded), coded / 255, rtol=0, atol=0)


def test_beyond_its_edges_a_texture_goes_on_mirrored():
    texture = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 3, 4, 4) / 4
    places = torch.zeros(9, dtype=torch.int64), torch.zeros(9, dtype=torch.int64), torch.arange(9)
    colours = read_pixels(texture, places, torch.zeros(1), torch.ones(1))
    assert (colours[:, 0] * 4).tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_a_quarter_turn():
    texture = torch.rand((1, 3, 7, 7), generator=seeded())
    torch.testing.assert_close(read(texture, math.pi / 2), torch.rot90(texture, 1, (2, 3)), atol=1e-5, rtol=0)


def test_a_turned_texture_is_interpolated():
    # The mean of mirrored neighbours cannot leave the texture's range, and a flat one stays flat at any angle.
    texture = torch.rand((1, 3, 9, 12), generator=seeded())
    turned = read(texture, 0.4)
    assert turned.min() >= texture.min() and turned.max() <= texture.max()
    torch.testing.assert_close(read(torch.full((1, 3, 5, 5), 0.3), 0.7), torch.full((1, 3, 5, 5), 0.3))


def test_sharpness_zero_is_the_mean_of_nine():
    texture = torch.rand((1, 3, 5, 5), generator=seeded())
    soft = read(texture, sharpness=0.0)
    torch.testing.assert_close(soft[0, :, 2, 2], texture[0, :, 1:4, 1:4].mean(dim=(1, 2)))
    sharper = read(texture, sharpness=2.0)
    expected = (2 * texture - soft).clamp(0, 1)
    torch.testing.assert_close(sharper, expected)


def test_tones_by_hand():
    ramp = whole(RAMP)
    torch.testing.assert_close(NAMED["invert"](ramp), 1 - ramp.colour)
    torch.testing.assert_close(NAMED["gamma"](thrown(ramp, 1.0, 0.0)), ramp.colour**2)
    torch.testing.assert_close(NAMED["gamma"](ramp), ramp.colour)
    torch.testing.assert_close(NAMED["brightness"](ramp), ramp.colour)
    torch.testing.assert_close(NAMED["brightness"](thrown(ramp, 1.0, 0.5)), ramp.colour * 1.2)
    torch.testing.assert_close(NAMED["autocontrast"](ramp), (ramp.colour - 0.25) * 2)
    # Seventeen different colours made flat: equal steps from 0 to 1.
    torch.testing.assert_close(NAMED["equalize"](ramp), torch.linspace(0, 1, 17)[:, None].expand(17, 3))
    assert NAMED["posterize"](thrown(ramp, 0.0, 0.0)).unique().tolist() == [0.0, 1.0]
    threshold = (0.5 * 32 + 0.5 * 128) / 255
    expected = torch.where(ramp.colour > threshold, 1 - ramp.colour, ramp.colour)
    torch.testing.assert_close(NAMED["solarize"](ramp), expected)
    torch.testing.assert_close(NAMED["hue_saturation"](ramp), ramp.colour, atol=2e-3, rtol=0)  # grey has no hue


def test_hue_and_saturation_keep_the_luma():
    colours = torch.rand((4, 50, 3), generator=seeded()) * 0.2 + 0.4
    dice = torch.rand((4, 2), generator=seeded(1))
    pixels = whole(colours)
    changed = NAMED["hue_saturation"](Pixels(colour=pixels.colour, owner=pixels.owner, dice=dice, sample=colours))
    luma = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(changed @ luma, pixels.colour @ luma, atol=1e-3, rtol=0)
    assert (changed - pixels.colour).abs().max() > 0.02


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_tone_keeps_the_range_and_each_texture_to_itself(name):
    colours = torch.rand((5, 40, 3), generator=seeded())
    pixels = thrown(whole(colours), 0.8, 0.3)
    before = pixels.colour.clone()
    together = NAMED[name](pixels)
    assert torch.equal(pixels.colour, before)
    assert together.shape == before.shape and together.isfinite().all()
    assert together.min() >= 0 and together.max() <= 1
    apart = torch.cat([NAMED[name](thrown(whole(one[None]), 0.8, 0.3)) for one in colours])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("name", sorted(NAMED))
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_texture_stays_finite(name, level):
    flat = NAMED[name](whole(torch.full((2, 8, 3), level)))
    assert flat.isfinite().all() and flat.min() >= 0 and flat.max() <= 1


def test_augmented_pixels_are_deterministic_and_leave_the_textures():
    textures = torch.rand((30, 3, 32, 32), generator=seeded())
    before = textures.clone()
    places = everywhere(textures)
    one, two = augmented_pixels(textures, places, seeded(2)), augmented_pixels(textures, places, seeded(2))
    assert torch.equal(one, two) and torch.equal(textures, before)
    assert one.min() >= 0 and one.max() <= 1
    changed = (one - read_pixels(textures, places, torch.zeros(30), torch.ones(30))).abs().amax(dim=1)
    assert (torch.stack(changed.split(32 * 32)).amax(dim=1) > 1e-3).all()  # three operations change every texture


def test_no_pixels_are_needed():
    empty = torch.zeros(0, dtype=torch.int64)
    textures = torch.rand((2, 3, 8, 8), generator=seeded())
    assert augmented_pixels(textures, (empty, empty, empty), seeded()).shape == (0, 3)
