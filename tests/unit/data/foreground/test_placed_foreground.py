"""The foreground of images that lie padded in squares: of the image alone, whatever its padding looks like."""

import numpy as np
import pytest
from helpers.scenes import SCENES, SURFACES, iou, render

from kdzoo.data.foreground.estimate import find_foreground, object_masks
from kdzoo.data.foreground.placed import find_placed_foreground
from kdzoo.data.foreground.rule import ForegroundRule
from kdzoo.data.placement import Place

SIDE = 128
AUTO = ForegroundRule(kind="auto")


def placed(scene, cut):
    """Four drawn images, the two of odd number upright, in their squares; their truth; their places."""
    images, truth = render(scene, 4, SIDE)
    images, truth = images[:, cut:-cut], truth[:, cut:-cut]
    places, squares, truths = [], [], []
    for number, (image, mask) in enumerate(zip(images, truth, strict=True)):
        turned = (image.transpose(1, 0, 2), mask.T) if number % 2 else (image, mask)
        place = Place.of(turned[0].shape, SIDE, "pad")
        places.append(place)
        squares.append(place.edge_padded(turned[0]))
        truths.append(place.zero_padded(turned[1]))
    return np.stack(squares), np.stack(truths), places


def test_the_object_is_found_and_never_beside_the_image():
    squares, truth, places = placed(SCENES["light"], 24)
    found = find_placed_foreground(squares, places, AUTO, of_category=(squares, places))
    assert iou(found, truth).mean() > 0.9
    assert not found[0, :24].any() and not found[1, :, -24:].any()
    for number, place in enumerate(places):
        alone = object_masks(squares[number : number + 1, place.rows, place.columns])[0]
        assert np.array_equal(found[number, place.rows, place.columns], alone)


def test_a_surface_is_all_of_the_image():
    squares, _, places = placed(SURFACES["cloudy"], 24)
    found = find_placed_foreground(squares, places, AUTO, of_category=(squares, places))
    inside = np.stack([place.zero_padded(np.ones((place.height, place.width), bool)) for place in places])
    assert np.array_equal(found, inside)
    whole = find_placed_foreground(squares, places, ForegroundRule(kind="whole"), of_category=(squares, places))
    assert np.array_equal(whole, inside)


def test_the_category_says_whether_there_is_an_object():
    squares, _, places = placed(SCENES["light"], 24)
    surface = placed(SURFACES["cloudy"], 24)[0]
    found = find_placed_foreground(squares[:2], places[:2], AUTO, of_category=(surface, places))
    assert found.sum() == 2 * SIDE * (SIDE - 48)


@pytest.mark.parametrize("kind", ["auto", "light", "whole"])
def test_square_images_are_looked_at_as_ever(kind):
    images, _ = render(SCENES["light"], 3, SIDE)
    places, rule = [Place.of((9, 9), SIDE, "pad")] * 3, ForegroundRule(kind=kind)
    found = find_placed_foreground(images, places, rule, of_category=(images, places))
    assert np.array_equal(found, find_foreground(images, rule))


@pytest.mark.parametrize("height", [1, 2, 5])
def test_a_sliver_of_an_image(height):
    place = Place(size=64, top=30, left=0, height=height, width=64)
    squares = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    found = find_placed_foreground(squares, [place] * 2, AUTO, of_category=(squares, [place] * 2))
    assert found[:, place.rows].any() and not found[:, : place.top].any() and not found[:, place.top + height :].any()


def test_images_of_as_many_shapes_as_there_are_images_take_no_longer():
    """Of a place at a time: images are put together once, and not looked through anew for every place."""
    asked = 0

    class Watched(Place):
        def __eq__(self, other):
            nonlocal asked
            asked += 1
            return super().__eq__(other)

        __hash__ = Place.__hash__

    places = [Watched(size=200, top=0, left=0, height=1 + number, width=200) for number in range(100)]
    images = np.zeros((100, 200, 200, 3), np.uint8)
    rule = ForegroundRule(kind="whole")
    found = find_placed_foreground(images, places, rule, of_category=(images[:1], places[:1]))
    assert [int(mask.any(axis=1).sum()) for mask in found] == list(range(1, 101))
    assert asked < 1000
