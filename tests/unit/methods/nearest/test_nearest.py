"""Nearest neighbours, by hand."""

import pytest
import torch
from helpers.trials import SIZE, TEACHER, small_trial

from kdzoo.errors import ConfigError, KdzooError, TrainingError
from kdzoo.methods.base import Shown
from kdzoo.methods.nearest.config import NearestConfig
from kdzoo.methods.nearest.model import Bank, Nearest
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.outcome import conclude
from kdzoo.training.spec import RunOptions


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


def filled(teacher, images, *, inside=None, **knobs):
    method = Nearest(teacher, NearestConfig(**knobs)).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        told = method.stages()[0].take(iter([Shown(images=images, inside=inside)]), len(images))
    return method, told


def pictures(count=4):
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_the_distance_is_euclidean_and_to_the_nearest_row():
    bank = Bank(2)
    bank.rows = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    patches = torch.tensor([[3.0, 4.0], [10.0, 1.0], [6.0, 0.0], [0.0, 0.0]])
    assert bank(patches).tolist() == pytest.approx([5.0, 1.0, 4.0, 0.0], abs=1e-6)


def test_the_distances_are_those_of_differences_also_far_from_the_origin():
    generator = torch.Generator().manual_seed(1)
    bank = Bank(40)
    bank.rows = torch.randn(3000, 40, generator=generator) + 100
    patches = torch.randn(2500, 40, generator=generator) + 100
    expected = torch.cdist(patches, bank.rows, compute_mode="donot_use_mm_for_euclid_dist").amin(1)
    torch.testing.assert_close(bank(patches), expected, rtol=1e-4, atol=1e-4)


def test_small_distances_are_not_lost_beside_large_features():
    generator = torch.Generator().manual_seed(2)
    bank = Bank(8)
    bank.rows = torch.randn(50, 8, generator=generator) * 1000
    steps = torch.tensor([0.0, 0.01, 0.1]).repeat_interleave(50)[:, None]
    patches = bank.rows.repeat(3, 1) + steps * torch.eye(8)[0]
    assert bank(patches).tolist() == pytest.approx(steps[:, 0].tolist(), abs=1e-3)


def test_an_empty_bank_judges_nothing(teacher):
    with pytest.raises(TrainingError, match="no normal patches are kept"):
        Nearest(teacher, NearestConfig()).anomaly_map(torch.zeros(1, 3, SIZE, SIZE))


def test_what_was_seen_whole_is_no_anomaly(teacher):
    images = pictures()
    method, told = filled(teacher, images, rows=1_000_000)
    assert told["rows"] == len(images) * (SIZE // 8) ** 2
    assert told["distance"] < 0.01
    with torch.no_grad():
        known, other = method.anomaly_map(images), method.anomaly_map(images.flip(-1) * 2)
    assert known.max() < 0.01 * other.min()


def test_so_many_rows_are_kept_evenly_from_all_images(teacher):
    method, told = filled(teacher, pictures(), rows=10)
    assert told["rows"] == 10 and told["distance"] > 0.1
    again, _ = filled(teacher, pictures(), rows=10)
    assert torch.equal(method.bank.rows, again.bank.rows)


def test_what_does_not_count_is_not_remembered(teacher):
    inside = torch.zeros(4, SIZE, SIZE, dtype=torch.bool)
    inside[:, :8, :8] = True
    _, told = filled(teacher, pictures(), inside=inside, rows=1_000_000)
    assert told["rows"] == 4
    with pytest.raises(TrainingError, match="nothing of the train images counts"):
        filled(teacher, pictures(), inside=torch.zeros(4, SIZE, SIZE, dtype=torch.bool))


def test_a_score_is_the_mean_of_the_largest_pixels(teacher):
    maps = torch.tensor([[[1.0, 5.0], [3.0, 2.0]]])
    scores = [float(Nearest(teacher, NearestConfig(top_t=top)).image_score(maps)) for top in (1, 2, 100)]
    assert scores == [5.0, 4.0, 2.75]


def test_an_even_neighbourhood_is_refused():
    with pytest.raises(ConfigError, match="neighbourhood: 4 is even"):
        NearestConfig(neighbourhood=4)


def test_it_is_trained_measured_and_kept_like_any_method(tmp_path):
    trainer = small_trial(tmp_path, "nearest")
    trainer.run()
    outcome = conclude(trainer)
    assert outcome.metrics["val_image_auroc"] > 0.5
    assert len(outcome.method.learned_state()["bank.rows"])


def test_it_plants_nothing_and_says_so_before_it_is_built():
    with pytest.raises(KdzooError, match="nearest"):
        RunOptions(synthesis="perlin").check_planting("nearest", NearestConfig())
