import dataclasses

import pytest
import torch

from kdzoo.data.formula.dice import Dice, boxed
from kdzoo.errors import ConfigError
from kdzoo.pretraining.defects import DEFECTS, STROKE, scratched, softened, spoiled, visible
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.pretraining.scenes import SceneMaker
from kdzoo.pretraining.shapes import blobs, strokes

SMALL = PretrainConfig(
    steps=10, batch_size=6, image_size=32, late_batch_size=3, late_image_size=48, texture_size=48,
    textures=12, fresh_textures=5, renewal_steps=2,
)  # fmt: skip


def dice(seed=0):
    return Dice(torch.Generator().manual_seed(seed), torch.device("cpu"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"image_size": 40}, "image_size is 40"),
        ({"late_image_size": 100}, "late_image_size is 100"),
        ({"texture_size": 64}, "below late_image_size 128"),
        ({"textures": 16}, "fresh_textures 32 is above textures 16"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"steppes": 3}, "did you mean 'steps'"),
    ],
)
def test_a_recipe_that_cannot_be_names_the_key(changes, said):
    with pytest.raises(ConfigError, match=said):
        PretrainConfig.from_mapping(changes)


def test_the_last_two_fifths_of_the_steps_have_fewer_larger_images():
    config = PretrainConfig(steps=10)
    assert [config.batch_shape(step) for step in (0, 5, 6, 9)] == [(32, 64), (32, 64), (8, 128), (8, 128)]
    assert config.images == 6 * 32 + 4 * 8


def test_scenes_have_their_shapes_ranges_and_truths():
    for step in (0, 9):
        scenes = SceneMaker(SMALL, "cpu").batch(step)
        count, side = SMALL.batch_shape(step)
        assert scenes.images.shape == (count, 3, side, side)
        assert scenes.images.dtype == torch.float32
        assert scenes.images.min() >= 0 and scenes.images.max() <= 1
        assert scenes.regions.shape == scenes.defects.shape == (count, side, side)
        # What shows a defect is a region of its own; what shows none is of a material.
        assert torch.equal(scenes.defects > 0, scenes.regions >= SMALL.textures)
        assert scenes.defects.min() >= 0 and scenes.defects.max() < len(DEFECTS)


def test_a_step_makes_the_same_scenes_whatever_came_before():
    straight, fresh = SceneMaker(SMALL, "cpu"), SceneMaker(SMALL, "cpu")
    made = [straight.batch(step) for step in range(9)]
    for step in (7, 8, 2):  # onwards, and back
        again = fresh.batch(step)
        for field in dataclasses.fields(again):
            assert torch.equal(getattr(again, field.name), getattr(made[step], field.name)), (step, field.name)
    assert not torch.equal(made[0].images, made[1].images)
    other = SceneMaker(SMALL.replace(seed=1), "cpu").batch(0)
    assert not torch.equal(other.images, made[0].images)


def test_a_material_is_shared_by_images_of_a_batch():
    config = SMALL.replace(batch_size=32, textures=64, gray_share=0.0)
    regions = SceneMaker(config, "cpu").batch(0).regions
    homes = [set(image.unique().tolist()) for image in regions]
    materials = {number for home in homes for number in home if number < config.textures}
    shared = [number for number in materials if sum(number in home for home in homes) > 1]
    assert len(shared) >= 5


def test_gray_batches_have_no_colour_but_that_of_defects():
    scenes = SceneMaker(SMALL.replace(gray_share=1.0), "cpu").batch(0)
    spread = scenes.images.std(dim=1)
    clear = (scenes.defects == 0) & (boxed((scenes.defects > 0).float()[:, None], 7)[:, 0] < 1e-6)
    assert spread[clear].max() < 0.12  # noise is drawn for each channel


def test_blobs_are_of_the_asked_size_and_strokes_are_thin():
    small = blobs(dice(), 300, 64, smallest=0.05, largest=0.1).float().mean(dim=(1, 2))
    large = blobs(dice(), 300, 64, smallest=0.4, largest=0.5).float().mean(dim=(1, 2))
    assert small.max() < 0.1 and large.median() > 0.2
    lines = strokes(dice(), 300, 64)
    assert 0.001 < lines.float().mean() < 0.04
    eroded = boxed(lines.float()[:, None], 5)[:, 0] > 0.999
    assert eroded.sum() < 0.02 * lines.sum()  # five pixels thick only where a wave turns back on itself


def test_every_defect_is_drawn_and_changes_the_image():
    images, foreign = dice(1).uniform(200, 3, 16, 16), dice(2).uniform(200, 3, 16, 16)
    worse, kinds = spoiled(dice(3), images, foreign)
    assert set(kinds.tolist()) == set(range(1, STROKE))
    assert torch.equal(worse[kinds == 1], foreign[kinds == 1])
    stained = worse[kinds == 3] - images[kinds == 3]
    assert stained.isfinite().all() and (stained.abs().amax(dim=(1, 2, 3)) > 0).all()
    blurred = worse[kinds == 2]
    assert (blurred.std(dim=(2, 3)) < images[kinds == 2].std(dim=(2, 3))).all()
    step = (scratched(dice(4), images) - images).abs().mean(dim=(1, 2, 3))
    assert step.min() > 0.05 and step.max() < 0.65


def test_only_visible_change_counts():
    images = torch.full((1, 3, 16, 16), 0.5)
    worse = images.clone()
    worse[..., :4] += 0.2
    worse[..., 12:] += 0.01
    seen = visible(images, worse)[0]
    assert seen[:, :4].all() and not seen[:, 8:].any()


def test_soft_masks_stay_near_the_mask():
    mask = torch.zeros(50, 16, 16, dtype=torch.bool)
    mask[:, 6:10, 6:10] = True
    soft = softened(dice(), mask)
    assert soft.shape == (50, 1, 16, 16)
    assert soft[:, :, 8, 8].min() >= 0.3 and soft.max() <= 1
    assert soft[:, :, :4].abs().max() == 0


def test_a_box_is_a_mean_with_the_border_continued():
    images = torch.arange(25, dtype=torch.float32).view(1, 1, 5, 5)
    means = boxed(images, 3)
    assert means[0, 0, 2, 2] == pytest.approx(12)  # 6 7 8 11 12 13 16 17 18
    assert means[0, 0, 0, 0] == pytest.approx((4 * 0 + 2 * 1 + 2 * 5 + 6) / 9)
    assert torch.allclose(boxed(torch.full((1, 2, 6, 6), 0.3), 5), torch.full((1, 2, 6, 6), 0.3))
