"""Calibration on train images that the scoring model has not seen."""

import numpy as np
import pytest
import torch
from helpers.raw_images import write_png16
from helpers.trials import small_spec, small_trial, toy

from kdzoo.errors import ConfigError
from kdzoo.training.cross_fitting import cross_fit
from kdzoo.training.outcome import conclude


@pytest.mark.parametrize("protocol", ["synthetic", "holdout"])
def test_every_train_image_is_in_one_fold_and_trains_the_others(tmp_path, protocol):
    trainer = small_trial(tmp_path, "rd", epochs=1, protocol=protocol)
    train = [sample.id for sample in trainer.data.train.samples]
    seen = []
    for number in range(2):
        data, held_out = trainer.data.fold(number, 2)
        out = [sample.id for sample in held_out.samples]
        assert [sample.id for sample in data.train.samples] == [name for name in train if name not in out]
        assert out and len(held_out.images) == len(out)
        assert data.selection.names == trainer.data.selection.names
        assert data.parts.digest != trainer.data.parts.digest, "what is kept of one is not taken for the other's"
        seen += out
    assert sorted(seen) == train


def test_a_fold_is_scored_by_a_model_of_the_same_recipe_that_was_trained_without_it(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=2)
    trainer.run()
    before = {name: tensor.clone() for name, tensor in trainer.method.learned_state().items()}
    found = cross_fit(trainer, 2)
    assert found.folds == 2 and found.seconds > 0
    after = trainer.method.learned_state()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())

    data, held_out = trainer.data.fold(0, 2)
    alone = small_trial(tmp_path, "rd", epochs=2)
    alone = type(alone)(alone.spec, data, alone.method.teacher, alone.device)
    alone.run()
    alone.load_best()
    from kdzoo.training.evaluation import score_images
    from kdzoo.training.images import ImageSource

    scored = score_images(alone.method.eval(), ImageSource(held_out.images, alone.device))
    assert np.array_equal(found.normals.scores[: len(scored.scores)], scored.scores)
    assert np.array_equal(found.normals.peaks[: len(scored.scores)], scored.maps.max(axis=(1, 2)))


def test_a_fold_sees_images_as_the_trial_does(tmp_path):
    """What a camera's values mean is found from all train images, one of which is the brightest."""
    toy(tmp_path)
    paths = sorted((tmp_path / "toy" / "bottle" / "train").rglob("*.png"))
    for number, path in enumerate(paths):
        write_png16(path, np.full((8, 8), 4000 if number == 0 else 1000, np.uint16))
    trial = small_trial(tmp_path, "rd", intensity="auto").data
    assert trial.intensity.label == "0,4095"
    for number in range(2):
        data, held_out = trial.fold(number, 2)
        assert data.intensity == trial.intensity
        seen = {int(image.max()) for part in (data.train, held_out) for image in part.images}
        assert seen == {62, 249}, "1000 and 4000 of 4095"


def test_a_detector_calibrated_on_folds_says_so(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1, calibration_folds=3)
    trainer.step()
    document = conclude(trainer).document
    count = len(trainer.data.train.images)
    stated = document["operating_point"]["calibration"]
    assert document["calibration"]["origin"] == stated["origin"] == "folds"
    assert document["calibration"]["normal_images"] == stated["false_alarms"]["of"] == count
    assert stated["folds"] == 3 and document["cost"]["calibration_seconds"] > 0
    assert document["options"]["calibration_folds"] == 3
    assert len(document["calibration"]["image_scores"]) == count


def test_never_more_folds_than_images(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1)
    trainer.step()
    count = len(trainer.data.train.images)
    found = cross_fit(trainer, 50)
    assert found.folds == count == len(found.normals.scores)


@pytest.mark.parametrize("folds", [1, -1, 51])
def test_folds_that_cannot_be(folds):
    with pytest.raises(ConfigError, match="calibration_folds"):
        small_spec("rd", calibration_folds=folds)
