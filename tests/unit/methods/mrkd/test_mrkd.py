"""mrkd without its masks is rd; its masks are where and as many as stated, in training alone."""

import math

import pytest
import torch
from helpers.trials import small_config, small_trial
from torch import nn

from kdzoo.data.synthesis.nsa import NsaConfig
from kdzoo.errors import ConfigError
from kdzoo.methods.base import Batch
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.mrkd.config import MRKDConfig
from kdzoo.methods.mrkd.generation import Generation, mask_positions
from kdzoo.methods.mrkd.model import MRKD
from kdzoo.methods.rd.model import RD
from kdzoo.teachers.backbone import load_teacher

NO_MASKS = {"mask_ratio_1": 0.0, "mask_ratio_2": 0.0, "mask_ratio_3": 0.0}


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("random-test_resnet")


def pass_through(generation):
    """Sets generation blocks to the identity, which they are for features that are nowhere negative."""
    for block in generation.blocks:
        for layer in block:
            if isinstance(layer, nn.Conv2d):
                nn.init.dirac_(layer.weight)
                nn.init.zeros_(layer.bias)


def batch_of(images, augmented=None):
    everywhere = torch.ones_like(images[:, :1], dtype=torch.bool)
    made = images if augmented is None else augmented
    return Batch(images=images, augmented=made, masks=torch.zeros_like(images[:, :1]), foreground=everywhere)


@pytest.fixture
def pair(teacher):
    """rd, and mrkd with the same student, no feature masks and generation blocks that pass features through."""
    torch.manual_seed(0)
    rd = RD(teacher, small_config("rd"))
    torch.manual_seed(0)
    mrkd = MRKD(teacher, small_config("mrkd", **NO_MASKS))
    pass_through(mrkd.generation)
    return rd.eval(), mrkd.eval()


def test_without_masks_and_generation_it_is_rd(pair):
    rd, mrkd = pair
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(
            rd.stages()[0].loss(batch_of(images))["loss"], mrkd.stages()[0].loss(batch_of(images))["loss"]
        )
        assert torch.equal(rd.anomaly_map(images), mrkd.anomaly_map(images))


def test_the_target_is_the_clean_image_and_the_student_sees_the_other(pair):
    rd, mrkd = pair
    clean, swapped = torch.randn(2, 3, 64, 64), torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = flattened_cosine_loss(rd.teacher(clean), rd.student(rd.teacher(swapped)))
        found = mrkd.stages()[0].loss(batch_of(clean, swapped))["loss"]
        plain = mrkd.stages()[0].loss(batch_of(clean))["loss"]
    assert torch.equal(found, expected)
    assert not torch.equal(found, plain)


def test_without_image_level_masks_nothing_is_planted(teacher):
    assert MRKD(teacher, small_config("mrkd", anomaly_probability=0.0)).stages()[0].synthesis is None


def test_the_stage_is_the_published_one(teacher):
    (stage,) = MRKD(teacher, MRKDConfig(width=0.25)).stages()
    assert (stage.epochs, stage.detects, stage.optimizer.rate(199, 200)) == (200, True, 0.005)
    assert stage.optimizer.betas == (0.5, 0.999)
    assert stage.synthesis == NsaConfig(
        probability=1.0, patches=3, min_object_pct=0.7, min_overlap_pct=0.25, inside=False
    )


def test_every_knob_of_the_swaps_reaches_the_synthesis(teacher):
    own = {
        "patches": 2, "rows_low": 0.02, "rows_high": 0.2, "columns_low": 0.04, "columns_high": 0.3,
        "min_object_pct": 0.5, "min_overlap_pct": 0.1, "background_level": 200.0, "background_tolerance": 60.0,
    }  # fmt: skip
    config = small_config("mrkd", anomaly_probability=0.6, **own)
    synthesis = MRKD(teacher, config).stages()[0].synthesis
    assert synthesis.as_dict().items() >= own.items()
    assert synthesis.probability == 0.6


def test_masks_zero_whole_positions_in_their_share():
    torch.manual_seed(0)
    levels = [torch.rand(4, 5, 40, 40) + 0.1 for _ in range(3)]
    masked = mask_positions(levels, (0.0, 0.2, 0.75))
    assert masked[0] is levels[0]
    for level, found, ratio in zip(levels[1:], masked[1:], (0.2, 0.75)):
        gone = found == 0
        assert torch.equal(gone.all(dim=1), gone.any(dim=1))
        assert torch.equal(found[~gone], level[~gone])
        assert float(gone.float().mean()) == pytest.approx(ratio, abs=0.02)
    assert not torch.equal(masked[1] == 0, masked[2] == 0)


def test_masks_follow_pytorchs_seed_and_differ_from_step_to_step(teacher):
    torch.manual_seed(0)
    method = MRKD(teacher, small_config("mrkd")).eval()
    images = torch.randn(2, 3, 64, 64)

    def losses():
        torch.manual_seed(7)
        with torch.no_grad():
            return [float(method.stages()[0].loss(batch_of(images))["loss"]) for _ in range(2)]

    first, again = losses(), losses()
    assert first == again
    assert first[0] != first[1]


def test_an_image_scores_the_same_to_the_bit_whatever_the_mode_and_the_seed(tmp_path):
    trainer = small_trial(tmp_path, "mrkd", config={"mask_ratio_1": 0.5, "mask_ratio_2": 0.5, "mask_ratio_3": 0.5})
    trainer.step()
    method, images = trainer.method.eval(), torch.randn(2, 3, 64, 64)
    state = torch.get_rng_state()
    with torch.no_grad():
        first = method.anomaly_map(images)
        assert torch.equal(torch.get_rng_state(), state), "nothing is drawn"
        torch.manual_seed(123)
        method.generation.train()
        assert torch.equal(method.anomaly_map(images), first)
        assert torch.equal(method.image_score(method.anomaly_map(images)), method.image_score(first))


def test_a_generation_block_keeps_shapes_and_sees_neighbours():
    generation = Generation((4, 6))
    levels = [torch.zeros(1, 4, 9, 9), torch.zeros(1, 6, 5, 5)]
    plain = generation(levels)
    assert [level.shape for level in plain] == [level.shape for level in levels]
    levels[0][0, :, 4, 4] = 1.0
    reach = (generation(levels)[0] != plain[0]).any(dim=1)[0].nonzero()
    assert reach.min() >= 2 and reach.max() <= 6


def test_the_published_size_of_the_generation_blocks():
    """Two 3x3 convolutions a level, with bias: 2 * (9 * C^2 + C)."""
    with torch.device("meta"):
        generation = Generation((256, 512, 1024))
    assert sum(each.numel() for each in generation.parameters()) == sum(2 * (9 * c * c + c) for c in (256, 512, 1024))


def test_generation_blocks_start_as_the_released_ones():
    """Kaiming, fan out, as the decoder that they are part of there: sqrt(2 / (9 C)) for 3x3 of C channels."""
    torch.manual_seed(0)
    for block, channels in zip(Generation((64, 128)).blocks, (64, 128), strict=True):
        for layer in (block[0], block[2]):
            assert float(layer.weight.std()) == pytest.approx(math.sqrt(2 / (9 * channels)), rel=0.02)
            assert float(layer.bias.abs().max()) <= 1 / math.sqrt(9 * channels)
            assert layer.bias.any()


@pytest.mark.parametrize("values", [{"rows_low": 0.4, "rows_high": 0.1}, {"columns_low": 0.5}, {"mask_ratio_2": 1.0}])
def test_configurations_that_are_not_valid(values):
    with pytest.raises(ConfigError):
        MRKDConfig(**values)
