import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kdzoo.data.synthesis.fill import FolderTextures, FormulaTextures
from kdzoo.data.synthesis.filling import Filling
from kdzoo.data.synthesis.perlin import Perlin, PerlinConfig, perlin_noise, rotated
from kdzoo.errors import ConfigError, DatasetNotFoundError, ImageError, UsageError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(count: int = 6, height: int = 48, width: int = 48) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.rand((count, 3, height, width), generator=seeded(99))
    return images, torch.ones((count, 1, height, width), dtype=torch.bool)


class White:
    """A texture source that is easy to tell apart: all ones."""

    def __call__(self, images, count, generator):
        start = torch.zeros((2, count), dtype=torch.int64)
        return Filling(textures=torch.ones((count, *images.shape[1:])), chosen=torch.arange(count), start=start)


def test_the_same_seed_gives_the_same_bits():
    images, room = batch()
    one, two = (Perlin()(images, room, seeded(3)) for _ in range(2))
    assert torch.equal(one.images, two.images) and torch.equal(one.masks, two.masks)
    assert not torch.equal(one.images, Perlin()(images, room, seeded(4)).images)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(8, 70),
    width=st.integers(8, 70),
    seed=st.integers(0, 2**31),
    share=st.floats(0, 1),
    probability=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_the_contract_holds_for_any_size_and_foreground(height, width, seed, share, probability):
    images, _ = batch(4, height, width)
    room = torch.rand((4, 1, height, width), generator=seeded(seed)) < share
    before = images.clone()
    result = Perlin(PerlinConfig(probability=probability))(images, room, seeded(seed))
    assert torch.equal(images, before)
    assert result.images.shape == images.shape and result.masks.shape == room.shape
    assert result.images.dtype == result.masks.dtype == torch.float32
    assert ((result.masks == 0) | (result.masks == 1)).all()
    inside = result.masks.bool()
    assert not (inside & ~room).any()
    kept = ~inside.expand_as(images)
    assert torch.equal(result.images[kept], images[kept])
    assert ((result.images >= 0) & (result.images <= 1)).all()
    areas = result.masks.sum(dim=(1, 2, 3))
    assert ((areas == 0) | (areas > 4)).all()


def test_the_share_of_anomalous_images_is_the_probability():
    images, room = batch(400, 32, 32)
    for probability in (0.3, 0.8):
        result = Perlin(PerlinConfig(probability=probability), White())(images, room, seeded(1))
        planted = result.masks.amax(dim=(1, 2, 3))
        # Three standard deviations of a share of 400; a few images in a thousand fail all their draws.
        assert abs(float(planted.mean()) - probability) < 3 * math.sqrt(probability * (1 - probability) / 400) + 0.01


def test_mask_areas_are_sane():
    images, room = batch(64, 128, 128)
    areas = Perlin(PerlinConfig(probability=1.0), White())(images, room, seeded()).masks.mean(dim=(1, 2, 3))
    assert 0.01 < float(areas.mean()) < 0.15
    assert float(areas.max()) < 0.6


def test_no_foreground_no_anomaly():
    images, room = batch()
    room[:3] = False
    result = Perlin(PerlinConfig(probability=1.0))(images, room, seeded())
    assert torch.equal(result.images[:3], images[:3]) and not result.masks[:3].any()
    assert result.masks[3:].amax(dim=(1, 2, 3)).all()


def test_a_small_foreground_is_drawn_again_until_it_is_hit():
    images, room = batch(64, 64, 64)
    room[:] = False
    room[:, :, 24:40, 24:40] = True

    def hit(redraws: int) -> float:
        config = PerlinConfig(probability=1.0, max_redraws=redraws)
        return float(Perlin(config, White())(images, room, seeded()).masks.amax(dim=(1, 2, 3)).mean())

    assert hit(1) < 0.85 < 0.95 < hit(10)


def test_the_blend_is_texture_and_image_in_the_stated_shares(monkeypatch):
    monkeypatch.setattr(
        "kdzoo.data.synthesis.perlin.augmented_pixels",
        lambda filling, places, generator: torch.ones(3, len(places[0])),
    )
    images, room = batch()
    half = PerlinConfig(probability=1.0, blend_low=0.5, blend_high=0.5)
    result = Perlin(half, White())(images, room, seeded())
    inside = result.masks.bool().expand_as(images)
    torch.testing.assert_close(result.images[inside], 0.5 + 0.5 * images[inside])
    full = Perlin(half.replace(blend_low=0.0, blend_high=0.0), White())(images, room, seeded())
    assert (full.images[full.masks.bool().expand_as(images)] == 1).all()


def test_a_foreground_that_does_not_fit():
    images, _ = batch()
    with pytest.raises(UsageError, match="does not fit"):
        Perlin()(images, torch.ones((6, 1, 10, 10), dtype=torch.bool), seeded())


@pytest.mark.parametrize(
    "values",
    [{"probability": 1.2}, {"blend_low": 0.9}, {"min_scale_exponent": 6}, {"max_redraws": 0}, {"treshold": 0.4}],
)
def test_configurations_that_are_not_valid(values):
    with pytest.raises(ConfigError):
        PerlinConfig.from_mapping(values)


def test_noise_equals_the_textbook_formula():
    exponents = torch.tensor([[1, 2], [0, 3], [3, 0]])
    height, width = 12, 20
    noise = perlin_noise(exponents, 3, height, width, seeded(7))
    angle = torch.rand((3, 9, 9), generator=seeded(7)) * 2 * math.pi

    def fade(t: float) -> float:
        return 6 * t**5 - 15 * t**4 + 10 * t**3

    for image, row, column in [(0, 0, 0), (0, 5, 13), (1, 11, 19), (1, 3, 8), (2, 7, 2), (2, 10, 17)]:
        y = row / height * 2 ** int(exponents[image, 0])
        x = column / width * 2 ** int(exponents[image, 1])
        i, j = int(y), int(x)
        corners = [
            math.sin(angle[image, i + a, j + b]) * (y - i - a) + math.cos(angle[image, i + a, j + b]) * (x - j - b)
            for a in (0, 1)
            for b in (0, 1)
        ]
        top = corners[0] + fade(x - j) * (corners[1] - corners[0])
        bottom = corners[2] + fade(x - j) * (corners[3] - corners[2])
        expected = math.sqrt(2) * (top + fade(y - i) * (bottom - top))
        assert float(noise[image, 0, row, column]) == pytest.approx(expected, abs=1e-5)


def test_noise_is_zero_at_grid_points_and_bounded():
    noise = perlin_noise(torch.full((8, 2), 2), 5, 64, 64, seeded())
    assert noise[:, :, ::16, ::16].abs().max() < 1e-5
    assert 0.5 < noise.abs().max() <= 1


def test_a_quarter_turn_is_a_quarter_turn_also_of_a_rectangle():
    square = torch.rand((1, 1, 8, 8), generator=seeded())
    turned = rotated(square, torch.tensor([math.pi / 2]))
    torch.testing.assert_close(turned, torch.rot90(square, 1, (2, 3)), atol=1e-4, rtol=0)
    wide = torch.rand((1, 1, 8, 12), generator=seeded())
    inner = rotated(wide, torch.tensor([math.pi / 2]))[..., 2:10]
    torch.testing.assert_close(inner, torch.rot90(wide[..., 2:10], 1, (2, 3)), atol=1e-4, rtol=0)


def test_formula_source_mixes_in_pieces_of_the_batch():
    # Images of one constant each: only shuffled pieces of them are constant.
    images = torch.arange(1, 5).view(4, 1, 1, 1).expand(4, 3, 40, 52) / 10
    filling = FormulaTextures(from_batch=0.5)(images, 16, seeded())
    textures = filling.textures
    assert textures.shape == (8, 3, 40, 52)  # small images: no less than they are
    assert filling.chosen.bincount().tolist() == [2] * 8
    assert (filling.start >= 0).all() and len(set(map(tuple, filling.start.t().tolist()))) > 12
    assert textures.dtype == torch.uint8
    flat = (textures == textures[:, :1, :1, :1]).all(dim=3).all(dim=2).all(dim=1)
    assert int(flat.sum()) == 4
    assert set(textures[flat][:, 0, 0, 0].tolist()) <= {round(tenth * 25.5) for tenth in (1, 2, 3, 4)}
    with pytest.raises(UsageError):
        FormulaTextures(from_batch=1.5)


def test_shuffled_pieces_hold_the_images_own_pixels():
    images = torch.rand((1, 3, 32, 32), generator=seeded())
    coded = (images * 255).round().byte()
    piece = FormulaTextures(from_batch=1.0)(images, 1, seeded()).textures
    assert not torch.equal(piece, coded)
    assert torch.equal(piece.flatten().sort().values, coded.flatten().sort().values)


@pytest.fixture
def photographs(tmp_path):
    (tmp_path / "striped").mkdir()
    for number in range(6):
        pixels = np.full((30 + number, 40, 3), 40 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "striped" / f"{number}.png")
    (tmp_path / "readme.txt").write_text("not a picture")
    return tmp_path


def test_folder_source(photographs):
    source = FolderTextures(photographs, 16)
    assert source.textures.shape == (6, 3, 16, 16) and source.textures.dtype == torch.uint8
    images, room = batch(5, 24, 20)
    filling = source(images, 40, seeded())
    assert set(filling.chosen.tolist()) == set(range(6)) and filling.textures is source.textures
    assert set(filling.start[1].tolist()) == {0, 15} and not filling.start[0].any()
    result = Perlin(PerlinConfig(probability=1.0), source)(images, room, seeded())
    assert result.masks.amax(dim=(1, 2, 3)).all()


def test_folder_source_keeps_a_capped_draw(photographs):
    one, two = (FolderTextures(photographs, 8, most=3, seed=seed) for seed in (1, 1))
    assert torch.equal(one.textures, two.textures) and len(one.textures) == 3


def test_folders_that_cannot_be_used(tmp_path, photographs):
    with pytest.raises(DatasetNotFoundError, match="no textures"):
        FolderTextures(tmp_path / "nowhere", 8)
    (photographs / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"broken\.png"):
        FolderTextures(photographs, 8)
    with pytest.raises(UsageError):
        FolderTextures(photographs, 0)


def test_where_nobody_looks_each_image_has_its_first_draw_that_is_large_enough(monkeypatch):
    monkeypatch.setattr("kdzoo.data.synthesis.perlin.waits", lambda device: True)
    images, room = torch.zeros(64, 3, 64, 64), torch.ones(64, 1, 64, 64, dtype=torch.bool)
    once, often = (
        Perlin(PerlinConfig(probability=1.0, min_pixels=100, max_redraws=most))(images, room, seeded(3)).masks
        for most in (1, 10)
    )
    least, drawn = (each.sum(dim=(1, 2, 3)) for each in (once, often))
    assert ((drawn == 0) | (drawn > 100)).all() and ((least == 0) | (least > 100)).all()
    enough = least > 0
    assert torch.equal(once[enough], often[enough])
    assert enough.float().mean() < 0.9 < (drawn > 0).float().mean()
