"""Shapes, sizes and small hand-made cases of the shared layers."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from kdzoo.methods.layers.losses import hardest_positions_loss
from kdzoo.methods.layers.maps import smooth
from kdzoo.methods.layers.student import Student
from kdzoo.teachers.levels import FeatureShape


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_wide_resnet50_student_has_the_published_size():
    shape = FeatureShape(channels=(256, 512, 1024), block="bottleneck", base_width=2.0, depths=(3, 4, 6, 3))
    with torch.device("meta"):
        student = Student(shape)
    unused_convolution = 4096 * 2048
    assert parameters(student.bottleneck) / 1e6 == pytest.approx(67.28 - unused_convolution / 1e6, abs=0.02)
    assert parameters(student.decoder) / 1e6 == pytest.approx(24.92, abs=0.01)


@pytest.mark.parametrize("size", [(64, 64), (96, 32)])
def test_student_mirrors_the_teacher(size):
    shape = FeatureShape(channels=(8, 16, 32))
    features = [torch.randn(2, c, size[0] // r, size[1] // r) for c, r in zip(shape.channels, (4, 8, 16))]
    rebuilt = Student(shape)(features)
    assert [level.shape for level in rebuilt] == [level.shape for level in features]


@pytest.mark.parametrize("reductions", [(16, 16, 16), (8, 16, 16), (8, 8, 16)])
def test_between_levels_of_one_size_nothing_is_resized(reductions):
    shape = FeatureShape(channels=(8, 12, 16), reductions=reductions)
    features = [torch.randn(2, c, 64 // r, 96 // r) for c, r in zip(shape.channels, reductions, strict=True)]
    student = Student(shape)
    assert student.bottleneck(features).shape[2:] == (2, 3)
    assert [level.shape for level in student(features)] == [level.shape for level in features]


SIGNED = FeatureShape(channels=(8, 16, 32), rectified=False)


def levels_of(student, shape):
    torch.manual_seed(1)
    return student([torch.randn(4, c, 64 // r, 64 // r) for c, r in zip(shape.channels, shape.reductions, strict=True)])


@pytest.mark.parametrize(
    ("shape", "kind", "signed"),
    [
        (SIGNED, "mirror", False),
        (SIGNED, "fitted", True),
        (FeatureShape(channels=(8, 16, 32)), "mirror", False),
        (FeatureShape(channels=(8, 16, 32)), "fitted", False),
        (dataclasses.replace(SIGNED, reductions=(16, 16, 16)), "mirror", True),
    ],
)
def test_a_fitted_student_gives_negative_values_where_its_teacher_does(shape, kind, signed):
    """A ResNet's levels end with a ReLU, and its student is the published one by either name."""
    torch.manual_seed(0)
    levels = levels_of(Student(shape, kind=kind), shape)
    assert [bool((level < 0).any()) for level in levels] == [signed] * 3
    assert all((level > 0).any() for level in levels)


def test_of_a_resnet_both_kinds_are_the_same_to_the_bit():
    shape, states = FeatureShape(channels=(8, 16, 32)), []
    for kind in ("mirror", "fitted"):
        torch.manual_seed(0)
        states.append(Student(shape, kind=kind).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_a_mirror_is_a_resnet18s_with_the_teachers_channels():
    """What detectors of kdzoo before there was a choice hold, tensor for tensor."""
    mirror, published = (Student(each).state_dict() for each in (SIGNED, dataclasses.replace(SIGNED, rectified=True)))
    assert {key: value.shape for key, value in mirror.items()} == {key: each.shape for key, each in published.items()}
    assert parameters(Student(SIGNED, kind="fitted")) < 0.3 * parameters(Student(SIGNED))


@pytest.mark.parametrize("size", [5, 16, 40])
def test_smoothing_equals_scipy(size):
    maps = np.random.default_rng(0).random((2, size, size + 3))
    expected = np.stack([gaussian_filter(each, 4.0, truncate=4.0, mode="reflect") for each in maps])
    np.testing.assert_allclose(smooth(torch.from_numpy(maps), 4.0).numpy(), expected, rtol=1e-10)


def test_smoothing_by_nothing_changes_nothing():
    maps = torch.rand(1, 4, 4)
    assert torch.equal(smooth(maps, 0.0), maps)


def test_hardest_positions_takes_the_largest():
    teacher = torch.tensor([[[[1.0, 1.0]], [[0.0, 0.0]]]])
    student = torch.tensor([[[[1.0, 0.0]], [[0.0, 1.0]]]])
    assert float(hardest_positions_loss([teacher], [student], top_k=1)) == pytest.approx(1.0)
    assert float(hardest_positions_loss([teacher], [student], top_k=99)) == pytest.approx(0.5)
