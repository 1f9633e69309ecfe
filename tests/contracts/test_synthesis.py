"""One suite that every registered kind of synthetic anomalies passes."""

import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.data.synthesis.config import SynthesisConfig
from kdzoo.data.synthesis.fill import FormulaTextures
from kdzoo.data.synthesis.registry import SYNTHESES, build_synthesizer, find_synthesis, synthesis_config
from kdzoo.errors import ConfigError, UnknownNameError, UsageError

KINDS = sorted(SYNTHESES)
every_kind = pytest.mark.parametrize("name", KINDS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=6, height=48, width=48):
    images = torch.rand((count, 3, height, width), generator=seeded(99))
    return images, torch.ones((count, 1, height, width), dtype=torch.bool)


def made(name, images, room, seed=0, **changes):
    return build_synthesizer(synthesis_config(name)(**changes))(images, room, seeded(seed))


@every_kind
def test_the_same_seed_gives_the_same_bits(name):
    images, room = batch()
    one, two, other = (made(name, images, room, seed) for seed in (3, 3, 4))
    assert torch.equal(one.images, two.images) and torch.equal(one.masks, two.masks)
    assert not torch.equal(one.images, other.images)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(KINDS),
    height=st.integers(4, 60),
    width=st.integers(4, 60),
    seed=st.integers(0, 2**31),
    share=st.floats(0, 1),
    probability=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_masks_lie_in_the_foreground_and_the_rest_is_untouched_to_the_bit(
    name, height, width, seed, share, probability
):
    images, _ = batch(3, height, width)
    room = torch.rand((3, 1, height, width), generator=seeded(seed)) < share
    before = images.clone()
    result = made(name, images, room, seed, probability=probability)
    assert torch.equal(images, before)
    assert result.images.shape == images.shape and result.masks.shape == room.shape
    assert result.images.dtype == result.masks.dtype == torch.float32
    assert ((result.masks == 0) | (result.masks == 1)).all()
    inside = result.masks.bool()
    assert not (inside & ~room).any()
    outside = ~inside.expand_as(images)
    assert torch.equal(result.images[outside], images[outside])
    assert ((result.images >= 0) & (result.images <= 1)).all()
    if probability == 0.0:
        assert not inside.any()


@every_kind
@pytest.mark.parametrize("probability", [0.3, 0.8])
def test_the_share_of_anomalous_images_is_the_probability(name, probability):
    images, room = batch(400, 32, 32)
    planted = made(name, images, room, 1, probability=probability).masks.amax(dim=(1, 2, 3))
    assert abs(float(planted.mean()) - probability) < 3 * math.sqrt(probability * (1 - probability) / 400) + 0.01


@every_kind
def test_gray_images_stay_gray_and_colours_beside_them_stay_colours(name):
    colour, room = batch()
    gray = colour.mean(dim=1, keepdim=True).expand_as(colour)
    mixed = torch.cat([colour[:3], gray[3:]])
    for images in (gray, mixed, (mixed * 255).round() / 255):
        result = made(name, images, room, probability=1.0)
        spread = (result.images.amax(dim=1) - result.images.amin(dim=1)).flatten(1).amax(dim=1)
        assert (spread[3:] < 0.5 / 255).all()
        assert result.masks[3:].any()
        if images is not gray:
            assert (spread[:3] > 0.1).all()


@every_kind
def test_every_image_differs_where_its_mask_says(name):
    images, room = batch(16)
    result = made(name, images, room, probability=1.0)
    changed = (result.images != images).any(dim=1, keepdim=True)
    assert changed[result.masks.bool()].float().mean() > 0.99
    assert result.masks.amax(dim=(1, 2, 3)).mean() > 0.8


@every_kind
def test_no_foreground_no_anomaly(name):
    images, room = batch()
    room[:3] = False
    result = made(name, images, room, probability=1.0)
    assert torch.equal(result.images[:3], images[:3]) and not result.masks[:3].any()
    assert result.masks[3:].amax(dim=(1, 2, 3)).any()


@every_kind
def test_batches_in_channels_last_order_give_the_same(name):
    images, room = batch()
    plain = made(name, images, room)
    turned = made(name, images.contiguous(memory_format=torch.channels_last), room)
    assert torch.equal(plain.images, turned.images) and torch.equal(plain.masks, turned.masks)


@every_kind
@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_looking_at_all_places_gives_the_same_bits_as_looking_at_the_marked_ones(name, share, monkeypatch):
    """A GPU is not asked which places are marked: it works on all of them."""
    images, _ = batch(8, 48, 40)
    room = (torch.arange(40) < share * 40).expand(8, 1, 48, 40)
    for order in (torch.contiguous_format, torch.channels_last):
        given = images.contiguous(memory_format=order)
        few = [made(name, given, room, seed, probability=0.7) for seed in range(4)]
        with monkeypatch.context() as patch:
            patch.setattr("kdzoo.data.synthesis.pixels.waits", lambda device: True)
            every = [made(name, given, room, seed, probability=0.7) for seed in range(4)]
        for one, other in zip(few, every, strict=True):
            assert torch.equal(one.images, other.images) and torch.equal(one.masks, other.masks)
        assert any(one.masks.any() for one in few)


@every_kind
def test_a_foreground_that_does_not_fit(name):
    images, _ = batch()
    with pytest.raises(UsageError, match="does not fit"):
        made(name, images, torch.ones((6, 1, 10, 10), dtype=torch.bool))


@every_kind
def test_configurations_know_their_ranges(name):
    config = synthesis_config(name)
    assert isinstance(config(), SynthesisConfig)
    assert all(field.metadata["help"] for field in config.__dataclass_fields__.values())
    with pytest.raises(ConfigError, match="did you mean 'probability'"):
        config.from_mapping({"probabilty": 0.5})
    with pytest.raises(ConfigError, match="out of range"):
        config(probability=1.5)


def test_names():
    assert KINDS == ["cutpaste", "nsa", "perlin"]
    with pytest.raises(UnknownNameError, match="did you mean 'perlin'"):
        find_synthesis("perlim")


def test_textures_go_to_the_kinds_that_use_them():
    source = FormulaTextures(from_batch=1.0)
    assert build_synthesizer(synthesis_config("perlin")(), source).source is source
    for name in ("nsa", "cutpaste"):
        with pytest.raises(UsageError, match=f"'{name}' fills nothing"):
            build_synthesizer(synthesis_config(name)(), source)


def test_a_configuration_that_no_synthesizer_takes():
    with pytest.raises(UsageError, match="no synthesizer takes a SynthesisConfig"):
        build_synthesizer(SynthesisConfig())


def test_the_registry_is_torch_free():
    code = "import sys, kdzoo.data.synthesis.registry; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
