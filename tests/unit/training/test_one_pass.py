"""A stage without gradient steps: what a method is shown, and what becomes of what it keeps."""

import numpy as np
import pytest
import torch
from helpers.bank import BankConfig, register_bank
from helpers.trials import SIZE, TEACHER, small_config, small_trial, toy_of_two_shapes

from kdzoo.detector import Detector
from kdzoo.errors import CheckpointError, ConfigError
from kdzoo.methods.base import OnePass, OptimizerConfig, Stage
from kdzoo.methods.registry import build_method
from kdzoo.search.run.disk import largest_model
from kdzoo.search.space.space import SearchSpace
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import load_state, load_tensors, save_state, save_tensors
from kdzoo.training.cross_fitting import cross_fit
from kdzoo.training.learned import load_learned
from kdzoo.training.outcome import conclude
from kdzoo.training.pace import Pace
from kdzoo.training.stage_results import sharable

CHANNELS = 192
"""Of a resnet18's third level."""


@pytest.fixture(autouse=True)
def bank(monkeypatch):
    register_bank(monkeypatch)


@pytest.fixture
def trial(tmp_path):
    return lambda **changes: small_trial(tmp_path, "bank", **changes)


def test_every_train_image_is_shown_once_in_order_and_the_trial_is_over(trial):
    trainer = trial(config={"batch_size": 3})
    result = trainer.step()
    shown = trainer.method.seen
    assert [len(each.images) for each in shown] == [3, 1]
    images = torch.from_numpy(np.array(trainer.data.train.images)).permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(torch.cat([each.images for each in shown]), trainer.method.teacher.normalise(images))
    assert all(each.inside is None for each in shown)
    assert not any(each.images.requires_grad or trainer.method.training for each in shown)
    assert (result.stage, result.losses, result.selection_epoch) == ("fill", {"rows": 64.0, "images": 4.0}, 1)
    assert result.report is not None
    assert trainer.finished and trainer.total_epochs == trainer.spec.config.total_epochs() == 1


def test_features_come_in_blocks_as_those_of_the_selection_part_do(trial):
    """So an image's features in the bank are, to the bit, those that it is judged by."""
    trainer = trial(config={"batch_size": 3})
    trainer.step()
    given = torch.cat([each.features[2] for each in trainer.method.seen])
    images = torch.cat([each.images for each in trainer.method.seen])
    assert torch.equal(given, trainer.method.teacher(images.contiguous(memory_format=torch.channels_last))[2])


def test_padding_and_what_lies_outside_of_the_region_is_told(tmp_path):
    toy_of_two_shapes(tmp_path, (40, 64), (64, 64), marked=(slice(20, 30), slice(20, 30)))
    trainer = small_trial(tmp_path, "bank", resize="pad", roi='{"polygons": [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]}')
    trainer.step()
    inside = torch.cat([each.inside for each in trainer.method.seen])
    assert inside.shape == (4, SIZE, SIZE) and inside.dtype == torch.bool
    assert not inside[:, :, SIZE // 2 :].any()
    heights = inside.any(dim=2).sum(dim=1).tolist()
    assert sorted(set(heights)) == [40, 64]


def test_tiles_are_shown_with_what_counts_of_each(tmp_path):
    toy_of_two_shapes(tmp_path, (100, 100), (100, 64), marked=(slice(20, 30), slice(20, 30)))
    trainer = small_trial(tmp_path, "bank", resize="tile", overlap=0)
    trainer.step()
    shown = torch.cat([each.images for each in trainer.method.seen])
    assert len(shown) == len(trainer.data.train.images) > 4
    assert np.isfinite(conclude(trainer).metrics["test_image_auroc"])


def test_what_is_drawn_follows_from_the_seed(trial):
    one, two, other = trial(seed=3), trial(seed=3), trial(seed=4)
    for trainer in (one, two, other):
        trainer.step()
    rows = [trainer.method.memory.rows for trainer in (one, two, other)]
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])


def test_it_goes_on_from_before_the_pass_and_comes_back_from_after_it(trial, tmp_path):
    trainer = trial()
    save_state(tmp_path / "before.pt", trainer.state())
    trainer.step()
    save_state(tmp_path / "after.pt", trainer.state())
    begun, ended = trial(), trial()
    begun.load_state(load_state(tmp_path / "before.pt"))
    assert (begun.epoch, len(begun.method.memory.rows)) == (0, 0)
    begun.step()
    ended.load_state(load_state(tmp_path / "after.pt"))
    assert ended.finished
    for other in (begun, ended):
        assert torch.equal(other.method.memory.rows, trainer.method.memory.rows)
        assert other.best.metrics == trainer.best.metrics


def test_a_detector_keeps_as_many_rows_as_were_found(trial, tmp_path):
    trainer = trial(config={"rows": 1000})
    trainer.step()
    found = len(trainer.method.memory.rows)
    assert found == 4 * (SIZE // 16) ** 2 < 1000
    outcome = conclude(trainer)
    saved = Detector(outcome.method, outcome.document)
    opened = Detector.open(saved.save(tmp_path / "detector"))
    assert opened.method.memory.rows.shape == (found, CHANNELS)
    image = trainer.data.parts.report[0].path
    assert opened.predict(image).score == saved.predict(image).score


@pytest.mark.parametrize("shape", [(0, CHANNELS), (65, CHANNELS), (10, CHANNELS - 1), (10,)], ids=str)
def test_weights_that_cannot_be_are_refused(tmp_path, shape):
    method = build_method("bank", small_config("bank"), load_teacher(TEACHER))
    save_tensors(tmp_path / "weights", {"memory.rows": torch.zeros(shape)})
    with pytest.raises(CheckpointError, match=r"expected \(1 to 64, 192\)"):
        load_tensors(tmp_path / "weights", method.learned_state(), lengths=method.lengths())
    load_learned(method, {"memory.rows": torch.ones(5, CHANNELS)})
    if shape[0]:  # a trial that has not begun has none
        with pytest.raises(CheckpointError, match="another shape"):
            load_learned(method, {"memory.rows": torch.zeros(shape)})
        assert torch.equal(method.memory.rows, torch.ones(5, CHANNELS))


def test_a_threshold_from_folds_fills_a_bank_for_each(trial):
    trainer = trial()
    trainer.step()
    kept = trainer.method.memory.rows.clone()
    folded = cross_fit(trainer, 2)
    assert folded.folds == 2 and len(folded.normals.scores) == 4
    assert torch.equal(trainer.method.memory.rows, kept)
    # No image was in the bank that judged it.
    assert folded.normals.scores.min() > 0


def test_the_disk_is_reckoned_for_the_longest_that_it_may_get():
    space = SearchSpace(method="bank", defaults=BankConfig(rows=500), dimensions={})
    assert largest_model(space, load_teacher(TEACHER)) == 500 * CHANNELS * 4


def a_stage(**given):
    optimizer = OptimizerConfig(learning_rate=1.0)
    return Stage(
        name="steps", epochs=1, synthesis=None, modules=[], loss=lambda batch: {}, optimizer=optimizer, **given
    )


def test_its_result_is_not_shared_as_a_first_stage():
    look = OnePass(name="look", modules=[], take=lambda batches, images: {}, detects=False)
    steps = a_stage(detects=False)
    assert sharable([steps, steps]) and not sharable([look, steps])


def test_gradient_steps_ask_for_the_knobs_of_steps():
    with pytest.raises(ConfigError, match="BankConfig has no knobs") as caught:
        Pace(BankConfig(), a_stage(), 4, (0, 0))
    assert "TrainedConfig" in caught.value.hint
    assert not {"schedule", "epoch_steps", "warmup", "weight_decay"} & set(BankConfig.__dataclass_fields__)
