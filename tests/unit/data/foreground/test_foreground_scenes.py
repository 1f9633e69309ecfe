"""The estimate on drawn products whose place is known: lights, backgrounds, several objects, objects at the edge."""

import numpy as np
import pytest
from helpers.scenes import FILLING, SCENES, SURFACES, iou, render

from kdzoo.data.foreground.estimate import estimate_foreground, find_foreground, object_masks, shows_object
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.errors import UsageError

SIDE = 128


@pytest.mark.parametrize("name", SCENES)
def test_the_object_is_found(name):
    images, truth = render(SCENES[name], 4, SIDE)
    scores = iou(estimate_foreground(images), truth)
    assert scores.mean() > 0.93, scores


@pytest.mark.parametrize("name", SURFACES)
def test_a_surface_is_foreground_throughout(name):
    images, _ = render(SURFACES[name], 4, SIDE)
    assert not shows_object(images)
    assert estimate_foreground(images).all()


@pytest.mark.parametrize("background", FILLING)
def test_an_object_over_most_of_the_frame_is_found_when_the_background_is_named(background):
    images, truth = render(FILLING[background], 4, SIDE)
    named = find_foreground(images, ForegroundRule(kind=background))
    assert iou(named, truth).min() > 0.95
    other = "dark" if background == "light" else "light"
    assert iou(find_foreground(images, ForegroundRule(kind=other)), truth).max() < 0.6


@pytest.mark.parametrize(("name", "background"), [("light, vignette", "light"), ("dark, vignette", "dark")])
def test_a_named_background_may_be_lit_unevenly(name, background):
    images, truth = render(SCENES[name], 4, SIDE)
    assert iou(object_masks(images, background), truth).min() > 0.95


def test_whole_is_whole():
    images, _ = render(SCENES["light"], 2, SIDE)
    assert find_foreground(images, ForegroundRule(kind="whole")).all()


def test_an_image_in_which_nothing_stands_out_is_foreground_throughout():
    images, _ = render(SCENES["dark"], 3, SIDE)
    images[1] = 20
    masks = object_masks(images, "dark")
    assert masks[1].all() and not masks[0].all() and not masks[2].all()


def test_whether_there_is_an_object_is_for_the_category_to_say():
    objects, _ = render(SCENES["light"], 4, SIDE)
    surface, _ = render(SURFACES["cloudy"], 4, SIDE)
    rule = ForegroundRule(kind="auto")
    assert find_foreground(objects, rule, of_category=surface).all()
    assert not find_foreground(objects, rule, of_category=objects).all()


def test_each_image_has_the_mask_that_it_has_alone():
    images, _ = render(SCENES["several, dark"], 35, 64)
    together = object_masks(images)
    for number in (0, 31, 32, 34):
        assert np.array_equal(together[number], object_masks(images[number : number + 1])[0])


def test_masks_need_their_files():
    with pytest.raises(UsageError, match="needs its files"):
        find_foreground(np.zeros((1, 8, 8, 3), np.uint8), ForegroundRule.parse("masks:lids"))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 9), (5, 64)])
def test_tiny_images(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape, 3)).astype(np.uint8)
    assert estimate_foreground(images).shape == (3, *shape)
    for background in ("light", "dark"):
        assert object_masks(images, background).any(axis=(1, 2)).all()
