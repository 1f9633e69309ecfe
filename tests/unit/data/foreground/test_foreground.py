import numpy as np
import pytest

from kdzoo.data.demo import render_demo
from kdzoo.data.foreground.estimate import estimate_foreground
from kdzoo.errors import UsageError


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one & other).sum(axis=(1, 2)) / (one | other).sum(axis=(1, 2))


@pytest.fixture(scope="module")
def parts() -> tuple[np.ndarray, np.ndarray]:
    drawn = [render_demo("milled", "train", "good", index) for index in range(5)]
    drawn += [render_demo("milled", "test", defect, 0) for defect in ("rust", "undrilled")]
    return np.stack([one.image for one in drawn]), np.stack([one.foreground for one in drawn])


def disc(side: int, radius: float, inside: int, outside: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    mask = np.hypot(x, y) < radius
    return np.where(mask[..., None], inside, outside).astype(np.uint8).repeat(3, axis=2), mask


def test_the_demo_part_is_found(parts):
    images, truth = parts
    assert iou(estimate_foreground(images), truth).min() > 0.95


def test_a_light_background_works_as_well_as_a_dark_one(parts):
    images, truth = parts
    assert iou(estimate_foreground(255 - images), truth).min() > 0.95


@pytest.mark.parametrize("crop", [(144, 144), (131, 137), (144, 110)])
def test_any_size(parts, crop):
    images, truth = parts
    images, truth = images[:, : crop[0], : crop[1]], truth[:, : crop[0], : crop[1]]
    found = estimate_foreground(images)
    assert found.shape == truth.shape and found.dtype == bool


@pytest.mark.parametrize("side", [64, 200, 300, 517])
@pytest.mark.parametrize(("inside", "outside"), [(200, 20), (40, 230)])
def test_a_disc(side, inside, outside):
    image, truth = disc(side, 0.3 * side, inside, outside)
    assert iou(estimate_foreground(image[None]), truth[None])[0] > 0.93


@pytest.mark.parametrize("category", ["weave", "print", "granulate"])
def test_a_texture_is_foreground_throughout(category):
    images = np.stack([render_demo(category, "train", "good", index).image for index in range(4)])
    assert estimate_foreground(images).all()


def test_flat_noisy_and_black_images_are_foreground_throughout():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (3, 96, 96, 3)).astype(np.uint8)
    for images in (noise, np.full_like(noise, 128), np.zeros_like(noise)):
        assert estimate_foreground(images).all()


def test_the_images_of_a_category_decide_together(parts):
    images, _ = parts
    odd = np.random.default_rng(0).integers(0, 256, images[:1].shape).astype(np.uint8)
    assert not estimate_foreground(np.concatenate([images, odd]))[0].all()
    assert estimate_foreground(np.concatenate([images[:1], odd, odd, odd])).all()


def test_the_images_are_left_unchanged(parts):
    images, _ = parts
    before = images.copy()
    estimate_foreground(images)
    assert (images == before).all()


@pytest.mark.parametrize(
    "images", [np.zeros((0, 8, 8, 3), np.uint8), np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3), np.float32)]
)
def test_what_is_not_a_batch_of_images(images):
    with pytest.raises(UsageError, match="foreground needs images"):
        estimate_foreground(images)
