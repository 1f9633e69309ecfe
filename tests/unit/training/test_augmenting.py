"""Train images changed a batch at a time: by hand, in their shares, and without a trace where it is off."""

import numpy as np
import pytest
import torch
from helpers.trials import small_trial

from kdzoo.training.augmentation import Augmentation
from kdzoo.training.augmenting import augmented
from kdzoo.training.checkpoint import load_state, save_state

ALL = "hflip,vflip,rotate,brightness=0.2,contrast=0.3"


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(images, foreground=None, *, seed=0, **values):
    return augmented(images, foreground, Augmentation(**values), seeded(seed))


def way(found, image):
    """Which of the eight ways to lay a square an image was laid in: quarter turns, after a mirroring or none."""
    for mirrored in (0, 1):
        for turns in range(4):
            if torch.equal(torch.rot90(image.flip(2) if mirrored else image, turns, (1, 2)), found):
                return mirrored, turns
    return None


@pytest.fixture(scope="module")
def numbered():
    """400 images of which every pixel differs, and their foreground: the pixels that are above a half."""
    images = torch.rand((400, 3, 6, 6), generator=seeded(9))
    return images, images[:, :1] > 0.5


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"hflip": True}, {(0, 0), (1, 0)}),
        ({"vflip": True}, {(0, 0), (1, 2)}),
        ({"hflip": True, "vflip": True}, {(0, 0), (1, 0), (1, 2), (0, 2)}),
        ({"rotate": True}, {(0, 0), (0, 1), (0, 2), (0, 3)}),
        ({"rotate": True, "hflip": True}, {(mirrored, turns) for mirrored in (0, 1) for turns in range(4)}),
    ],
)
def test_every_way_that_is_allowed_is_as_likely_and_no_other_is_taken(numbered, values, expected):
    images, foreground = numbered
    found, room = made(images, foreground, **values)
    ways = [way(one, image) for one, image in zip(found, images, strict=True)]
    assert set(ways) == expected
    for each in expected:
        assert ways.count(each) / 400 == pytest.approx(1 / len(expected), abs=0.1)
    # Where the product is goes along, pixel by pixel.
    assert torch.equal(room, found[:, :1] > 0.5)
    assert torch.equal(images, numbered[0])


def test_brightness_multiplies_each_image_by_its_own_factor():
    images = torch.full((500, 3, 4, 4), 0.5)
    found, _ = made(images, brightness=0.2)
    factors = found.flatten(1)
    assert (factors == factors[:, :1]).all()
    assert float(factors.min()) == pytest.approx(0.4, abs=0.005)
    assert float(factors.max()) == pytest.approx(0.6, abs=0.005)
    assert float(factors.mean()) == pytest.approx(0.5, abs=0.01)


def test_contrast_moves_pixels_about_their_images_mean():
    images = torch.full((500, 3, 2, 2), 0.2)
    images[:, :, 0] = 0.6
    found, _ = made(images, contrast=0.5)
    assert torch.allclose(found.mean(dim=(1, 2, 3)), torch.tensor(0.4))
    spread = found[:, 0, 0, 0] - found[:, 0, 1, 0]
    assert float(spread.min()) == pytest.approx(0.2, abs=0.005)
    assert float(spread.max()) == pytest.approx(0.6, abs=0.005)


def test_values_stay_colours_and_gray_stays_gray():
    gray = torch.rand((50, 1, 8, 8), generator=seeded(1)).expand(50, 3, 8, 8)
    found, _ = made(gray, brightness=0.9, contrast=0.9, rotate=True)
    assert found.min() >= 0 and found.max() <= 1
    assert torch.equal(found[:, 0], found[:, 1]) and torch.equal(found[:, 1], found[:, 2])
    assert (found == 1).any()


def test_the_same_seed_gives_the_same_bits_in_any_memory_order(numbered):
    images, foreground = numbered
    values = {"hflip": True, "rotate": True, "vflip": True}
    one, again = (made(images, foreground, seed=3, **values) for _ in range(2))
    other = made(images.contiguous(memory_format=torch.channels_last), foreground, seed=3, **values)
    for room in (again, other):
        assert all(torch.equal(a, b) for a, b in zip(one, room, strict=True))
    assert one[0].is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(one[0], made(images, seed=4, **values)[0])


def batch_of(trainer, stage, generator):
    features = trainer._features.of_train(trainer.stages[stage], trainer._source, passes=2)
    return trainer._batches(trainer.stages[stage], np.arange(3), generator, features)


def test_anomalies_are_planted_on_the_changed_images_where_their_product_is(tmp_path):
    trainer = small_trial(tmp_path, "aand", augment="rotate,brightness=0.5", config={"anomaly_probability": 1.0})
    room = np.zeros((len(trainer._source), 64, 64), dtype=bool)
    room[:, :40] = True
    trainer.data.foreground = room
    batch = batch_of(trainer, 0, seeded(5))
    ways = {way(image, torch.from_numpy(room[:1])) for image in batch.foreground}
    assert None not in ways and len(ways) > 1
    as_it_is = trainer.method.teacher.normalise(trainer._source.batch(np.arange(3)))
    assert not torch.equal(batch.images, as_it_is)
    changed = (batch.augmented != batch.images).any(dim=1, keepdim=True)
    assert changed.flatten(1).any(dim=1).all()
    assert not (changed & (batch.masks == 0)).any()
    assert not (batch.masks.bool() & ~batch.foreground).any()


def test_features_are_those_of_the_changed_images(tmp_path):
    trainer = small_trial(tmp_path, "rd", augment="brightness=0.5")
    batch = batch_of(trainer, 0, seeded(5))
    with torch.no_grad():
        found, plain = (
            trainer.method.teacher(images)
            for images in (batch.images, trainer.method.teacher.normalise(trainer._source.batch(np.arange(3))))
        )
    for given, wanted, other in zip(batch.features, found, plain, strict=True):
        torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(given, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["rd", "aand"])
def test_train_features_are_not_kept_and_those_of_selection_are(tmp_path, name):
    trainer = small_trial(tmp_path, name, augment="rotate")
    kept = set()
    while not trainer.finished:
        trainer.step()
        kept |= {part for part, source in trainer._features._open.items() if source.kept}
    assert kept <= {"selection"}
    plain = small_trial(tmp_path, name)
    plain.step()
    if name == "rd":
        assert plain._features._open["train"].kept


def test_without_it_nothing_is_drawn_for_it(tmp_path):
    """The anomalies of a run without it are those that it always had."""
    trainer = small_trial(tmp_path, "mrkd")
    generator = seeded(5)
    batch = batch_of(trainer, 0, generator)
    images, room = trainer._source.batch(np.arange(3)), trainer._batches._foreground_of(np.arange(3))
    expected = trainer._batches._synthesizers["restore"](images, room, seeded(5))
    assert torch.equal(batch.augmented, trainer.method.teacher.normalise(expected.images))
    assert torch.equal(batch.masks, expected.masks)


@pytest.mark.parametrize("name", ["rd", "mrkd", "aand", "adps"])
def test_a_trial_that_goes_on_does_what_an_uninterrupted_one_does(tmp_path, name):
    whole, first = (small_trial(tmp_path, name, augment=ALL) for _ in range(2))
    told = []
    whole.run(lambda result: told.append((result.losses, result.report)))
    first.step()
    save_state(tmp_path / "state.pt", first.state())
    again = small_trial(tmp_path, name, augment=ALL)
    again.load_state(load_state(tmp_path / "state.pt"))
    later = []
    again.run(lambda result: later.append((result.losses, result.report)))
    assert later == told[1:]
    assert told[0][0] != small_trial(tmp_path, name).step().losses
