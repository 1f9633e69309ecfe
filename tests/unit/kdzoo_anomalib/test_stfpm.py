"""STFPM around anomalib's parts: loss and map by hand."""

import pytest
import torch
import torch.nn.functional as F
from helpers.trials import SIZE, TEACHER

from kdzoo.methods.base import Batch
from kdzoo.teachers.backbone import load_teacher
from kdzoo_anomalib.stfpm.config import STFPMConfig

pytest.importorskip("anomalib", reason="needs kdzoo[anomalib]")

from kdzoo_anomalib.stfpm.model import STFPM


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


@pytest.fixture
def method(teacher):
    torch.manual_seed(0)
    return STFPM(teacher, STFPMConfig()).eval()


@pytest.fixture
def images():
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def distances(method, images):
    """Half the squared distance of unit features, which is 1 - their cosine; ``[B, h, w]`` a level."""
    with torch.no_grad():
        pairs = list(zip(method.teacher(images), method.student(images), strict=True))
    return [1 - F.cosine_similarity(one, other, dim=1) for one, other in pairs]


def test_the_loss_is_the_mean_distance_of_each_level_added(method, images):
    blank = torch.zeros(3, 1, SIZE, SIZE)
    batch = Batch(images=images, augmented=images, masks=blank, foreground=blank.bool())
    expected = sum(float(level.mean()) for level in distances(method, images))
    with torch.no_grad():
        assert float(method.stages()[0].loss(batch)["loss"]) == pytest.approx(expected, rel=1e-4)


def test_the_map_is_the_product_of_the_levels(method, images):
    size = (SIZE, SIZE)
    levels = [F.interpolate(each[:, None], size=size, mode="bilinear")[:, 0] for each in distances(method, images)]
    with torch.no_grad():
        found = method.anomaly_map(images)
    torch.testing.assert_close(found, levels[0] * levels[1] * levels[2], rtol=1e-3, atol=1e-6)
    smoothed = STFPM(method.teacher, STFPMConfig(smoothing_sigma=4.0)).eval()
    smoothed.student.load_state_dict(method.student.state_dict())
    with torch.no_grad():
        assert smoothed.anomaly_map(images).std() < found.std()


def test_a_student_that_has_learned_all_finds_nothing(method, images, teacher):
    method.student.load_state_dict(teacher.backbone.state_dict())
    with torch.no_grad():
        assert method.anomaly_map(images).abs().max() < 1e-12


def test_student_and_teacher_are_of_one_architecture_and_begin_apart(method, teacher):
    one, other = method.student.state_dict(), teacher.backbone.state_dict()
    assert {key: value.shape for key, value in one.items()} == {key: value.shape for key, value in other.items()}
    assert any(not torch.equal(one[key], other[key]) for key in one)
    assert all(weight.requires_grad for weight in method.student.parameters())
    assert {key.partition(".")[0] for key in method.learned_state()} == {"student"}
