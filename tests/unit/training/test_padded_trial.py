"""A trial on images of two shapes that keep the ratio of their sides: what is padding counts nowhere."""

import json

import numpy as np
import pytest
import torch
from helpers.trials import CPU, small_spec, small_trial, toy, toy_of_two_shapes

from kdzoo.detector import Detector
from kdzoo.errors import CheckpointError
from kdzoo.methods.base import Shown
from kdzoo.training.cross_fitting import cross_fit
from kdzoo.training.data import TrialData
from kdzoo.training.document import parse_document
from kdzoo.training.evaluation import score_images, silence
from kdzoo.training.images import ImageSource
from kdzoo.training.outcome import conclude
from kdzoo.training.settling import settle

WIDE, TALL = (32, 96), (96, 32)
BESIDE = 21
"""Rows above a wide image, or columns left of a tall one, in a square of 64; it has 21 itself, and 22 are left."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def root(tmp_path):
    """``toy/bottle`` of noise; images of odd number are upright."""
    toy_of_two_shapes(tmp_path, WIDE, TALL, marked=(slice(8, 24), slice(8, 24)))
    return tmp_path


def data_of(root, **options):
    spec = small_spec("rd", **({"resize": "pad"} | options))
    return TrialData(toy(root), "bottle", spec.options, cache=root / "cache")


def image_part(names):
    """What is image in each square."""
    wide = np.zeros((64, 64), bool)
    wide[BESIDE : BESIDE + 21] = True
    return np.stack([wide.T if int(name.rpartition("/")[2][:3]) % 2 else wide for name in names])


def test_what_counts_is_what_is_image(root):
    data = data_of(root)
    assert {True, False} == {place.height > place.width for place in data.selection.places}
    for part in (data.selection, data.report):
        assert np.array_equal(part.inside, image_part(part.names))
        assert part.masks.any() and not (part.masks.astype(bool) & ~part.inside).any()
    assert np.array_equal(data.foreground, image_part([sample.id for sample in data.train.samples]))
    described = data.describe()
    assert described["padding"] == {"share": pytest.approx(43 / 64)}
    assert described["foreground"]["share"] == 1.0


def test_stretched_images_count_as_they_did(root):
    data = data_of(root, resize="stretch")
    assert data.selection.inside is None and data.selection.places is None
    assert "padding" not in data.describe()
    assert data.foreground.all()


def test_a_region_of_interest_is_one_of_each_image(root):
    left = json.dumps({"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]})
    data = data_of(root, roi=left)
    half = image_part(data.selection.names)
    for inside, place in zip(half, data.selection.places, strict=True):
        inside[:, place.left + -(-place.width // 2) - (place.width % 2) :] = False
    assert np.array_equal(data.selection.inside, half)
    assert data.describe()["roi"] == {"share": 0.5}
    assert not (data.foreground & ~image_part([sample.id for sample in data.train.samples])).any()
    assert data.foreground.mean() == pytest.approx(21 * 64 / 2 / 64**2, rel=0.05)


def test_anomalies_are_planted_on_the_image_alone(root):
    data = data_of(root, protocol="synthetic")
    part = data.selection
    inside = image_part([name.partition(" ")[0] for name in part.names])
    assert np.array_equal(np.broadcast_to(part.inside, inside.shape), inside)
    assert part.masks.any() and not (part.masks.astype(bool) & ~inside).any()
    normal = dict(zip(part.names, part.images, strict=True))
    for name, image, kept in zip(part.names, part.images, inside, strict=True):
        assert np.array_equal(image[~kept], normal[name.partition(" ")[0]][~kept])
    assert len(part.places) == len(part.images)


def test_a_map_is_silent_where_its_own_image_is_not():
    maps = torch.tensor([[[5.0, 1.0], [2.0, 9.0]], [[5.0, 1.0], [2.0, 9.0]]])
    silence(maps, torch.tensor([[[False, True], [True, False]], [[True, True], [False, False]]]))
    assert maps.tolist() == [[[1.0, 1.0], [2.0, 1.0]], [[5.0, 1.0], [1.0, 1.0]]]


def test_what_is_padding_scores_nothing_from_training_to_prediction(root):
    trainer = small_trial(root, "rd", resize="pad", epochs=1, protocol="test")
    trainer.run()
    outcome = conclude(trainer)
    truth = trainer.data.report
    scored = score_images(outcome.method, ImageSource(truth.images, CPU), inside=truth.inside, batch_size=3)
    for score, found, inside in zip(scored.scores, scored.maps, truth.inside, strict=True):
        assert set(found[~inside].tolist()) == {found[inside].min()}
        assert score == found[inside].max()
    document = outcome.document
    assert document["input"]["resize"] == "bilinear-antialiased-padded"
    assert document["options"]["resize"] == "pad"
    assert document["dataset"]["padding"]["share"] == pytest.approx(43 / 64)
    detector = Detector(outcome.method, document, device="cpu")
    samples = {sample.id: sample.path for sample in trainer.data.parts.report}
    for name, score in zip(truth.names, scored.scores, strict=True):
        assert detector.predict(samples[name]).score == pytest.approx(score, rel=1e-4)
    assert outcome.picture.startswith(b"\x89PNG")


def test_folds_are_scored_on_their_images_alone(root):
    trainer = small_trial(root, "rd", resize="pad", epochs=1)
    trainer.run()
    found = cross_fit(trainer, 2)
    data, held_out = trainer.data.fold(0, 2)
    alone = type(trainer)(trainer.spec, data, trainer.method.teacher, CPU)
    alone.run()
    alone.load_best()
    inside = image_part([sample.id for sample in held_out.samples])
    scored = score_images(alone.method.eval(), ImageSource(held_out.images, CPU), inside=inside)
    count = len(held_out.images)
    assert np.array_equal(found.normals.scores[:count], scored.scores)
    levels = [np.median(each[kept]) for each, kept in zip(scored.maps, inside, strict=True)]
    assert np.array_equal(found.normals.levels[:count], levels)


def test_levels_are_scaled_by_what_is_image(root):
    trainer = small_trial(root, "rd", resize="pad", epochs=1, config={"level_scale": "zscore"})
    trainer.step()
    spread, truth = trainer.method.settled()["level_spread"], trainer.data.selection
    inside = image_part(truth.names)
    for given, same in ((inside, True), (None, False)):
        settle(trainer.method, ImageSource(truth.images, CPU), truth.labels, seed=0, inside=given)
        assert (trainer.method.settled()["level_spread"] == spread) == same


def test_a_document_says_how_its_images_are_resized(root):
    trainer = small_trial(root, "rd", epochs=1)
    trainer.run()
    document = conclude(trainer).document
    assert document["input"]["resize"] == "bilinear-antialiased-square"
    assert parse_document(document).options.resize == "stretch"
    former = document | {"options": {key: value for key, value in document["options"].items() if key != "resize"}}
    assert parse_document(former).options.resize == "stretch"
    padded = document | {"input": document["input"] | {"resize": "bilinear-antialiased-padded"}}
    assert parse_document(padded).options.resize == "pad"
    for odd in ("bicubic", 3, None):
        with pytest.raises(CheckpointError, match=r"unusable 'input\.resize'"):
            parse_document(document | {"input": document["input"] | {"resize": odd}})


@pytest.mark.parametrize("roi", ["", '{"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}'])
def test_levels_are_scaled_by_what_counts(root, roi):
    trainer = small_trial(root, "rd", resize="pad", roi=roi, epochs=1, config={"level_scale": "zscore"})
    trainer.run()
    part = trainer.data.selection
    normal, method = part.labels == 0, trainer.method.eval()
    with torch.no_grad():
        images = ImageSource(part.images[normal], CPU).batch(np.arange(normal.sum()))
        levels, _ = method._maps_by_level(Shown(images=method.teacher.normalise(images)))
    for level, centre in zip(levels, method.scale.centre, strict=True):
        assert centre.item() == pytest.approx(np.median(level.numpy()[part.inside[normal]]), rel=1e-4)
