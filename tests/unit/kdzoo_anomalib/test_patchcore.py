"""PatchCore around anomalib's parts: its patches, its bank and its distances, by hand."""

from importlib import metadata

import numpy as np
import pytest
import torch
from helpers.trials import SIZE, TEACHER, small_trial

from kdzoo.errors import TrainingError
from kdzoo.methods.base import Shown
from kdzoo.methods.registry import METHODS
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.outcome import conclude
from kdzoo_anomalib import PATCHCORE
from kdzoo_anomalib.patchcore.config import PatchCoreConfig

pytest.importorskip("anomalib", reason="needs kdzoo[anomalib]")

from kdzoo_anomalib.patchcore.memory import PatchMemory
from kdzoo_anomalib.patchcore.model import PatchCore

POSITIONS = (SIZE // 8) ** 2
"""Of a resnet18's second level."""


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


def shown(count=4, inside=None):
    images = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return [Shown(images=images[:3], inside=None if inside is None else inside[:3]), Shown(images=images[3:])]


def filled(teacher, batches=None, *, seed=0, images=4, **knobs):
    method = PatchCore(teacher, PatchCoreConfig(**knobs)).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        told = method.stages()[0].take(iter(shown() if batches is None else batches), images)
    return method, told


def test_a_patch_is_the_mean_of_its_neighbourhood_at_each_level_side_by_side():
    memory = PatchMemory((1, 2), (9, 1, 2), neighbourhood=3)
    fine = torch.arange(16.0).view(1, 1, 4, 4)
    coarse = torch.stack([torch.full((2, 2), 7.0), torch.full((2, 2), 5.0)])[None]
    found = memory.patches([torch.zeros(1), fine, coarse])
    assert found.shape == (1, 3, 4, 4)
    assert found[0, 0, 1, 1] == np.mean([0, 1, 2, 4, 5, 6, 8, 9, 10])
    # Zeros beyond the border count, as anomalib has it: four of the nine lie within.
    assert found[0, 1:, 0, 0].tolist() == pytest.approx([7 * 4 / 9, 5 * 4 / 9])


def test_the_distance_is_to_the_nearest_of_the_bank():
    memory = PatchMemory((0,), (2,), neighbourhood=1)
    memory.memory_bank = torch.tensor([[0.0, 0.0], [10.0, 0.0]])
    patches = torch.tensor([[3.0, 4.0], [10.0, 1.0], [6.0, 0.0], [0.0, 0.0]]).T.view(1, 2, 2, 2)
    assert memory.distances(patches)[0].tolist() == [[5.0, 1.0], [4.0, 0.0]]


def test_an_empty_bank_judges_nothing(teacher):
    with pytest.raises(TrainingError, match="the memory bank is empty"):
        PatchCore(teacher, PatchCoreConfig()).anomaly_map(torch.zeros(1, 3, SIZE, SIZE))


def test_a_coreset_reaches_every_corner_of_what_there_is():
    """Four clouds far from each other: four rows are one of each, whichever is drawn first."""
    generator = torch.Generator().manual_seed(0)
    corners = torch.randn(4, 64, generator=generator) * 100
    cloud = torch.cat([corner + torch.randn(50, 64, generator=generator) * 0.01 for corner in corners])
    for seed in range(5):
        torch.manual_seed(seed)
        memory = PatchMemory((0,), (64,), neighbourhood=1)
        radius = memory.fill(cloud, 4)
        nearest = torch.cdist(memory.memory_bank, corners)
        assert sorted(nearest.argmin(1).tolist()) == [0, 1, 2, 3]
        assert 0 < radius < 1 < 10 < torch.pdist(corners).min()


def test_the_bank_is_a_share_of_the_patches_or_as_much_as_it_may_be(teacher):
    for knobs, rows, patches in (
        ({}, POSITIONS * 4 // 10, POSITIONS * 4),
        ({"coreset_ratio": 1.0}, POSITIONS * 4, POSITIONS * 4),
        ({"most_rows": 7}, 7, POSITIONS * 4),
        ({"coreset_ratio": 0.5, "candidates": 30}, 15, 30),
        ({"candidates": 3}, 1, 3),
    ):
        method, told = filled(teacher, **knobs)
        assert (told["rows"], told["patches"]) == (rows, patches)
        assert method.memory.memory_bank.shape == (rows, sum(teacher.shape.channels[1:]))
        assert method.lengths() == {"memory.memory_bank": knobs.get("most_rows", 20_000)}


def test_a_bound_on_the_candidates_takes_as_many_of_each_image(teacher):
    method, told = filled(teacher, candidates=8, coreset_ratio=1.0)
    assert told == {"rows": 8.0, "patches": 8.0, "radius": 0.0}
    with torch.no_grad():
        each = [method.memory.patches(teacher(batch.images)).flatten(2).mT for batch in shown()]
    owners = torch.cdist(method.memory.memory_bank, torch.cat(each).flatten(0, 1)).argmin(1) // POSITIONS
    assert owners.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_only_what_counts_is_remembered(teacher):
    inside = torch.zeros(4, SIZE, SIZE, dtype=torch.bool)
    inside[0, :8, :8] = inside[2, 17, 40] = True
    method, told = filled(teacher, shown(inside=inside)[:1], images=3, coreset_ratio=1.0)
    assert told["patches"] == 2
    with torch.no_grad():
        patches = method.memory.patches(teacher(shown()[0].images))
    torch.testing.assert_close(
        method.memory.memory_bank, torch.stack([patches[0, :, 0, 0], patches[2, :, 2, 5]]), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(TrainingError, match="nothing of the train images counts"):
        filled(teacher, shown(inside=torch.zeros_like(inside))[:1], images=3)


def test_what_is_drawn_is_drawn_from_torchs_generator_alone(teacher):
    np.random.seed(1)
    one, _ = filled(teacher)
    before = np.random.get_state()[1].copy()
    two, _ = filled(teacher)
    assert (np.random.get_state()[1] == before).all()
    other, _ = filled(teacher, seed=1)
    banks = [method.memory.memory_bank for method in (one, two, other)]
    assert torch.equal(banks[0], banks[1]) and not torch.equal(banks[0], banks[2])


def test_choosing_says_nothing_on_stderr(teacher, capsys):
    filled(teacher)
    assert capsys.readouterr() == ("", "")


def test_its_detector_says_which_anomalib_made_it(tmp_path, monkeypatch):
    monkeypatch.setitem(METHODS, "patchcore", PATCHCORE)
    trainer = small_trial(tmp_path, "patchcore")
    assert trainer.step().losses["patches"] == 4 * POSITIONS
    assert conclude(trainer).document["software"]["anomalib"] == metadata.version("anomalib")
