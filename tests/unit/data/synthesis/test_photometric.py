import math

import pytest
import torch

from kdzoo.data.synthesis.filling import Filling
from kdzoo.data.synthesis.photometric import ROUNDS, TONES, Book, Colours, Toning, augmented_pixels, read_pixels, toning

NAMED = {tone.__name__.strip("_"): tone for tone in TONES}
HUE = NAMED["hue_saturation"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everywhere(textures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.ones_like(textures[:, 0]).nonzero(as_tuple=True)


def each(textures: torch.Tensor) -> Filling:
    """Every texture once, from its corner."""
    count = len(textures)
    return Filling(textures=textures, chosen=torch.arange(count), start=torch.zeros((2, count), dtype=torch.int64))


def whole(colours: torch.Tensor) -> Colours:
    """Textures `[T, 3, S]` of which every pixel is in the sample, all dice at one half."""
    return Colours(colour=colours, dice=torch.full((len(colours), 2), 0.5), sample=colours)


def thrown(colours: Colours, *dice: float) -> Colours:
    row = torch.tensor([dice]).expand(len(colours.sample), 2)
    return Colours(colour=colours.colour, dice=row, sample=colours.sample)


RAMP = torch.linspace(0.25, 0.75, 17).expand(1, 3, 17).contiguous()


def levels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)


def read(textures: torch.Tensor, angle: float = 0.0, sharpness: float = 1.0) -> torch.Tensor:
    count, _, height, width = textures.shape
    book = Book(textures, torch.arange(count))
    colours = read_pixels(book, everywhere(textures), torch.full((count,), angle), torch.full((count,), sharpness))
    assert colours.dtype == torch.uint8
    return colours.view(3, count, height, width).transpose(0, 1)


def test_plain_reading_gives_the_texture():
    textures = levels(3, 3, 6, 9)
    assert torch.equal(read(textures), textures)


def test_beyond_its_edges_a_texture_goes_on_mirrored():
    texture = torch.arange(4, dtype=torch.uint8).view(1, 1, 1, 4).expand(1, 3, 4, 4)
    places = torch.zeros(9, dtype=torch.int64), torch.zeros(9, dtype=torch.int64), torch.arange(9)
    colours = read_pixels(Book(texture, torch.zeros(1).long()), places, torch.zeros(1), torch.ones(1))
    assert colours[0].tolist() == [0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_a_quarter_turn():
    texture = levels(1, 3, 7, 7)
    assert torch.equal(read(texture, math.pi / 2), torch.rot90(texture, 1, (2, 3)))


def test_a_turned_texture_is_interpolated():
    # The mean of mirrored neighbours cannot leave the texture's range, and a flat one stays flat at any angle.
    texture = levels(1, 3, 9, 12) // 2 + 60
    turned = read(texture, 0.4)
    assert turned.min() >= texture.min() and turned.max() <= texture.max()
    assert not torch.isin(turned, texture).all()
    assert (read(torch.full((1, 3, 5, 5), 77, dtype=torch.uint8), 0.7) == 77).all()


def test_sharpness_zero_is_the_mean_of_nine():
    texture = levels(1, 3, 5, 5)
    soft = read(texture, sharpness=0.0)
    mean = texture[0, :, 1:4, 1:4].float().mean(dim=(1, 2))
    torch.testing.assert_close(soft[0, :, 2, 2].float(), mean, atol=0.51, rtol=0)
    sharper = read(texture, sharpness=2.0)[0, :, 2, 2].float()
    expected = (2 * texture[0, :, 2, 2].float() - mean).clamp(0, 255)
    torch.testing.assert_close(sharper, expected, atol=0.51, rtol=0)


def test_each_texture_is_turned_and_sharpened_by_itself():
    textures = levels(4, 3, 8, 8)
    angle, sharpness = torch.tensor([0.0, 0.5, 0.0, -0.3]), torch.tensor([1.0, 1.0, 2.5, 0.4])
    book = Book(textures, torch.arange(4))
    together = read_pixels(book, everywhere(textures), angle, sharpness).view(3, 4, 8, 8)
    for number in range(4):
        alone = read(textures[number : number + 1], float(angle[number]), float(sharpness[number]))
        assert torch.equal(together[:, number], alone[0])


def test_tones_by_hand():
    ramp = whole(RAMP)
    torch.testing.assert_close(NAMED["invert"](ramp), 1 - RAMP)
    torch.testing.assert_close(NAMED["gamma"](thrown(ramp, 1.0, 0.0)), RAMP**2)
    torch.testing.assert_close(NAMED["gamma"](ramp), RAMP)
    torch.testing.assert_close(NAMED["brightness"](ramp), RAMP)
    torch.testing.assert_close(NAMED["brightness"](thrown(ramp, 1.0, 0.5)), RAMP * 1.2)
    torch.testing.assert_close(NAMED["autocontrast"](ramp), (RAMP - 0.25) * 2)
    # Seventeen different colours made flat: equal steps from 0 to 1.
    torch.testing.assert_close(NAMED["equalize"](ramp), torch.linspace(0, 1, 17).expand(1, 3, 17))
    assert NAMED["posterize"](thrown(ramp, 0.0, 0.0)).unique().tolist() == [0.0, 1.0]
    threshold = (0.5 * 32 + 0.5 * 128) / 255
    torch.testing.assert_close(NAMED["solarize"](ramp), torch.where(threshold < RAMP, 1 - RAMP, RAMP))
    torch.testing.assert_close(NAMED["hue_saturation"](ramp), RAMP, atol=2e-3, rtol=0)  # grey has no hue


def test_hue_and_saturation_keep_the_luma():
    colours = torch.rand((4, 3, 50), generator=seeded()) * 0.2 + 0.4
    dice = torch.rand((4, 2), generator=seeded(1))
    changed = NAMED["hue_saturation"](Colours(colour=colours, dice=dice, sample=colours))
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1)
    torch.testing.assert_close((changed * luma).sum(1), (colours * luma).sum(1), atol=1e-3, rtol=0)
    assert (changed - colours).abs().max() > 0.02


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_tone_keeps_the_range_and_each_texture_to_itself(name):
    colours = torch.rand((5, 3, 40), generator=seeded())
    given = thrown(whole(colours), 0.8, 0.3)
    before = colours.clone()
    together = NAMED[name](given)
    assert torch.equal(colours, before)
    assert together.shape == before.shape and together.isfinite().all()
    assert together.min() >= 0 and together.max() <= 1
    apart = torch.cat([NAMED[name](thrown(whole(one[None]), 0.8, 0.3)) for one in colours])
    torch.testing.assert_close(together, apart)


@pytest.mark.parametrize("name", sorted(NAMED))
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_texture_stays_finite(name, level):
    flat = NAMED[name](whole(torch.full((2, 3, 8), level)))
    assert flat.isfinite().all() and flat.min() >= 0 and flat.max() <= 1


@pytest.mark.parametrize("seed", range(4))
def test_tables_do_what_the_tones_do_to_the_colours_themselves(seed):
    # The short way, tables of levels about one matrix, against the long one: each tone on each colour, in turn.
    textures = levels(12, 3, 24, 24, seed=seed)
    colours = textures.flatten(2) / 255
    drawn = torch.rand((12, len(TONES)), generator=seeded(seed)).argsort(dim=1)[:, :ROUNDS]
    dice = torch.rand((ROUNDS, 12, 2), generator=seeded(seed + 1))
    found = toning(colours, drawn, dice)
    for texture, choices in enumerate(drawn.tolist()):
        long = colours[texture][None]
        for round_, number in enumerate(choices):
            long = TONES[number](Colours(colour=long, dice=dice[round_, texture][None], sample=long))
        short = found.first[texture].gather(1, textures[texture].flatten(1).long())
        if found.mixed[texture]:
            short = (found.matrix[texture] @ short).clamp(0, 1)
            short = found.last[texture].gather(1, (short * 255).round().long())
        # A level more or less before a tone with steps makes a step of difference, in few pixels.
        assert ((short - long[0]).abs() > 0.05).float().mean() < 0.05
        assert (short - long[0]).abs().mean() < 0.02
    assert torch.equal(found.mixed, (drawn == TONES.index(HUE)).any(dim=1)) and found.mixed.any()


def test_augmented_pixels_are_deterministic_and_leave_the_textures():
    textures = torch.rand((30, 3, 32, 32), generator=seeded())
    before = textures.clone()
    places = everywhere(textures)
    one, two = (augmented_pixels(each(textures), places, seeded(2)) for _ in range(2))
    assert torch.equal(one, two) and torch.equal(textures, before)
    assert one.shape == (3, 30 * 32 * 32) and one.min() >= 0 and one.max() <= 1
    # Three operations change every texture.
    changed = (one.view(3, 30, -1) - textures.transpose(0, 1).flatten(2)).abs().amax(dim=(0, 2))
    assert (changed > 0.01).all()


def test_textures_of_bytes_and_of_floats_give_the_same():
    coded = levels(8, 3, 20, 20)
    places = everywhere(coded)
    one, two = (augmented_pixels(each(same), places, seeded(5)) for same in (coded, coded / 255))
    assert torch.equal(one, two)


def test_a_pixel_does_not_depend_on_which_others_are_needed():
    textures = levels(10, 3, 24, 24)
    places = everywhere(textures)
    every = augmented_pixels(each(textures), places, seeded(1))
    some = torch.arange(0, len(places[0]), 7)
    few = augmented_pixels(each(textures), (places[0][some], places[1][some], places[2][some]), seeded(1))
    assert torch.equal(every[:, some], few)


def test_no_pixels_are_needed():
    empty = torch.zeros(0, dtype=torch.int64)
    textures = torch.rand((2, 3, 8, 8), generator=seeded())
    assert augmented_pixels(each(textures), (empty, empty, empty), seeded()).shape == (3, 0)


def test_a_filling_begins_where_it_says_in_the_texture_it_chose(monkeypatch):
    # Without any change of colour or shape: all ten operations out of reach.
    monkeypatch.setattr("kdzoo.data.synthesis.photometric.toning", plain_toning)
    textures = levels(3, 3, 4, 5)
    filling = Filling(textures=textures, chosen=torch.tensor([2, 0]), start=torch.tensor([[0, 1], [4, 0]]))
    owner, rows, columns = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 3]), torch.tensor([0, 1, 2, 2])
    monkeypatch.setattr(torch.Tensor, "argsort", lambda self, dim: torch.zeros(self.shape, dtype=torch.int64))
    found = (augmented_pixels(filling, (owner, rows, columns), seeded()) * 255).round().byte()
    # From the last column leftwards; from the second row down, and back up beyond the last.
    expected = torch.stack([textures[2, :, 0, 4], textures[2, :, 1, 3], textures[0, :, 1, 2], textures[0, :, 2, 2]])
    assert torch.equal(found, expected.t())


def plain_toning(sample: torch.Tensor, drawn: torch.Tensor, dice: torch.Tensor) -> Toning:
    table = torch.linspace(0, 1, 256).expand(len(sample), 3, 256).contiguous()
    nowhere = torch.zeros(len(sample), dtype=torch.bool)
    return Toning(first=table, mixed=nowhere, matrix=torch.zeros((len(sample), 3, 3)), last=table)
