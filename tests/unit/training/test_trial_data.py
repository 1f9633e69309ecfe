"""What a trial may look at, and when."""

import numpy as np
import pytest
import torch
from helpers.layouts import make_category, write_image
from helpers.trials import CPU, TEACHER, in_new_process, small_spec, small_trial, toy

from kdzoo.data.foreground.estimate import estimate_foreground
from kdzoo.errors import ConfigError, ImageError
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


def data_of(root, **options):
    return TrialData(toy(root), "bottle", small_spec("rd", **options).options, cache=root / "cache")


def test_holdout_halves_the_test_part(tmp_path):
    data = data_of(tmp_path)
    assert data.train.images.shape == (4, 64, 64, 3)
    assert data.selection.masks.shape == (len(data.selection.images), 64, 64)
    assert set(data.selection.names).isdisjoint(data.report.names)
    assert len(data.selection.names) + len(data.report.names) == 3 + 3 + 2
    assert set(data.selection.labels.tolist()) == set(data.report.labels.tolist()) == {0, 1}
    for part in (data.selection, data.report):
        assert (part.masks.any(axis=(1, 2)) == part.labels.astype(bool)).all()
        assert [("good" in name) for name in part.names] == [label == 0 for label in part.labels]


def test_test_selects_and_reports_on_the_same(tmp_path):
    data = data_of(tmp_path, protocol="test")
    assert data.selection.names == data.report.names
    assert len(data.selection.images) == 8


def test_synthetic_selects_on_normal_images_and_anomalies_planted_on_them(tmp_path):
    data = data_of(tmp_path, protocol="synthetic")
    assert len(data.train.images) == 3
    held_out = data.selection.images[data.selection.labels == 0]
    assert len(held_out) == 1
    assert len(data.report.images) == 8
    planted = data.selection.labels == 1
    assert planted.any()
    for image, mask, name in zip(
        data.selection.images[planted],
        data.selection.masks[planted],
        np.array(data.selection.names)[planted],
        strict=True,
    ):
        assert name == data.selection.names[0] + " + synthetic"
        assert mask.any()
        assert (image[mask == 0] == held_out[0][mask == 0]).all()
        assert (image[mask == 1] != held_out[0][mask == 1]).any()


def test_synthetic_anomalies_follow_the_split_seed_alone(tmp_path):
    one, same, other = (
        data_of(tmp_path, protocol="synthetic", **seeds).selection.images
        for seeds in ({"seed": 1}, {"seed": 2}, {"split_seed": 5})
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_foreground_is_of_the_train_images(tmp_path):
    data = data_of(tmp_path)
    assert np.array_equal(data.foreground, estimate_foreground(np.array(data.train.images)))


def test_without_masks_image_metrics_select_and_pixel_metrics_cannot(tmp_path, teacher):
    make_category(tmp_path / "toy" / "bottle", masks=False)
    trainer = small_trial(tmp_path, "rd", teacher=teacher)
    assert trainer.data.selection.masks is None
    trainer.run()
    assert not any("pixel" in name or "aupro" in name for name in conclude(trainer).metrics)
    pixel = small_trial(tmp_path, "rd", teacher=teacher, objective="pixel_ap")
    with pytest.raises(ConfigError, match="'pixel_ap' cannot be measured: the data set has no pixel masks"):
        pixel.step()


def test_without_a_test_part_there_is_no_report(tmp_path, teacher):
    make_category(tmp_path / "toy" / "bottle", good=0, defects={})
    trainer = small_trial(tmp_path, "rd", teacher=teacher, protocol="synthetic")
    trainer.run()
    outcome = conclude(trainer)
    assert trainer.data.report is None
    assert outcome.document["undefined"] == {"test_*": "the data set has no test part"}
    assert all(name.startswith("val_") for name in outcome.metrics)


@pytest.mark.parametrize("protocol", ["synthetic", "holdout"])
def test_poisoned_report_images_are_not_missed_before_the_report(tmp_path, teacher, protocol):
    dataset = toy(tmp_path)
    spec = small_spec("aand", protocol=protocol)
    data = TrialData(dataset, "bottle", spec.options, cache=tmp_path / "cache")
    for sample in data.parts.report:
        sample.path.write_bytes(b"poison")
        if sample.mask_path is not None:
            sample.mask_path.unlink()
    trainer = Trainer(spec, data, teacher, CPU)
    trainer.run()
    outcome = conclude(trainer)
    assert isinstance(outcome.trouble, ImageError)
    assert all(name.startswith("val_") for name in outcome.metrics)
    assert "cannot be used" in outcome.document["undefined"]["test_*"]


WATCHED = """
import json, sys, os
from pathlib import Path
opened = []
def watch(event, arguments):
    if event == "open" and arguments and isinstance(arguments[0], (str, bytes, os.PathLike)):
        opened.append(os.fsdecode(arguments[0]))
from helpers.trials import small_trial
from kdzoo.training.outcome import conclude
sys.addaudithook(watch)
root, found = Path(sys.argv[1]), {}
for protocol in ("synthetic", "holdout"):
    (root / protocol).mkdir()
    trainer = small_trial(root / protocol, "rd", protocol=protocol)
    opened.clear()
    trainer = small_trial(root / protocol, "rd", protocol=protocol)
    trainer.run()
    files = [file for sample in trainer.data.parts.report for file in (sample.path, sample.mask_path) if file]
    secret = {os.path.realpath(file) for file in files}
    selected = {os.path.realpath(sample.path) for sample in trainer.data.parts.select}
    before = {os.path.realpath(name) for name in opened}
    conclude(trainer)
    after = {os.path.realpath(name) for name in opened}
    found[protocol] = {"secret": len(secret), "before": len(secret & before), "after": len(secret & after),
                       "selected": len(selected), "selected before": len(selected & before)}
print(json.dumps(found))
"""


def test_no_report_image_or_mask_is_opened_before_the_report(tmp_path):
    for protocol, seen in in_new_process(WATCHED, tmp_path).items():
        assert seen["secret"] > 5, protocol
        assert seen["before"] == 0, protocol
        assert seen["after"] == seen["secret"], protocol
        assert seen["selected before"] == seen["selected"] > 0, protocol


def test_what_the_document_says_of_the_data(tmp_path):
    described = data_of(tmp_path).describe()
    assert described["name"] == "toy"
    assert described["category"] == "bottle"
    assert (described["train_images"], described["select_images"] + described["report_images"]) == (4, 8)
    assert len(described["fingerprint"]) == 64


def test_scoring_restores_the_modes_also_after_a_failure(tmp_path, teacher):
    trainer = small_trial(tmp_path, "aand", teacher=teacher)
    method, source = trainer.method, ImageSource(trainer.data.train.images, CPU)
    method.eval()
    method.student.decoder.train()
    modes = [module.training for module in method.modules()]
    buffers = {key: value.clone() for key, value in method.state_dict().items()}
    first = score_images(method, source, batch_size=3)
    assert [module.training for module in method.modules()] == modes
    assert all(torch.equal(value, buffers[key]) for key, value in method.state_dict().items())
    assert first.maps.shape == (4, 64, 64)
    assert first.scores.tolist() == first.maps.max(axis=(1, 2)).tolist()
    with pytest.raises(RuntimeError):
        score_images(method, ImageSource(np.zeros((2, 50, 50, 3), np.uint8), CPU))
    assert [module.training for module in method.modules()] == modes


@pytest.mark.parametrize(
    ("epochs", "evaluations", "measured"),
    [(5, 1, [5]), (5, 2, [3, 5]), (5, 9, [1, 2, 3, 4, 5]), (7, 3, [3, 5, 7])],
)
def test_a_stage_is_measured_as_often_as_asked_evenly_and_at_its_end(tmp_path, teacher, epochs, evaluations, measured):
    trainer = small_trial(tmp_path, "rd", teacher=teacher, epochs=epochs, evaluations=evaluations)
    found = []
    trainer.run(lambda result: found.append(result.epoch) if result.report else None)
    assert found == measured


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path, teacher):
    trainer = small_trial(tmp_path, "rd", teacher=teacher, epochs=4)
    reached, standing, weights = {}, {}, {}
    while not trainer.finished:
        result = trainer.step()
        reached[result.epoch] = result.report.image_auroc
        standing[result.epoch] = (result.report.image_auroc, result.report.pixel_ap, result.epoch)
        weights[result.epoch] = {key: value.clone() for key, value in trainer.method.learned_state().items()}
    best = max(standing, key=standing.get)
    assert (trainer.best.epoch, trainer.best.objective) == (best, reached[best])
    trainer.load_best()
    assert all(torch.equal(value, weights[best][key]) for key, value in trainer.method.learned_state().items())


def test_a_trial_is_plain_values_and_back(tmp_path):
    spec = small_spec("aand", protocol="test", seed=3)
    assert TrialSpec.from_dict(spec.as_dict()) == spec
    assert spec.category_name == "toy/bottle"


def test_images_that_cannot_be_read_are_left_out_when_asked(tmp_path, teacher):
    make_category(tmp_path / "toy" / "bottle")
    (tmp_path / "toy" / "bottle" / "train" / "good" / "001.png").write_bytes(b"not an image")
    assert len(data_of(tmp_path, skip_unreadable=True).train.images) == 3
    with pytest.raises(ImageError):
        small_trial(tmp_path, "rd", teacher=teacher)


def test_a_name_with_a_line_break_reaches_the_picture(tmp_path, teacher):
    root = make_category(tmp_path / "toy" / "bottle")
    write_image(root / "test" / "good" / "line\nbreak.png")
    trainer = small_trial(tmp_path, "rd", teacher=teacher, epochs=1, protocol="test")
    trainer.run()
    assert conclude(trainer).picture.startswith(b"\x89PNG")
