"""The base of reverse distillation: what a method gets from it, and what it may say otherwise."""

import pytest
import torch
from helpers.trials import small_config

from kdzoo.methods.base import Batch, OptimizerConfig
from kdzoo.methods.config import ReverseDistillationConfig
from kdzoo.methods.layers.losses import flattened_cosine_loss
from kdzoo.methods.layers.maps import cosine_distance_map, smooth
from kdzoo.methods.layers.reverse_distillation import ReverseDistillation
from kdzoo.methods.layers.student import Student
from kdzoo.methods.registry import METHODS, build_method
from kdzoo.teachers.backbone import load_teacher

DISTILLING = pytest.mark.parametrize("name", ["rd", "mrkd", "aand"])


class Doubled(ReverseDistillation):
    """Learns twice the teacher's features by a student whose levels are halved."""

    def targets(self, images):
        return [2 * level for level in self.teacher(images)]

    def rebuilt(self, features):
        return [level / 2 for level in super().rebuilt(features)]

    def stages(self):
        optimizer = OptimizerConfig(learning_rate=0.25)
        return [self.distillation("double", epochs=7, optimizer=optimizer, beside=[torch.nn.Linear(1, 1)])]


@pytest.fixture(scope="module")
def teacher():
    return load_teacher("random-resnet18")


@pytest.fixture(scope="module")
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def batch_of(images, features=None):
    masks = torch.zeros_like(images[:, :1])
    return Batch(images=images, augmented=images, masks=masks, foreground=masks == 0, features=features)


def test_map_and_loss_compare_what_the_method_names(teacher, images):
    method = Doubled(teacher, ReverseDistillationConfig()).eval()
    with torch.no_grad():
        targets = [2 * level for level in teacher(images)]
        rebuilt = [level / 2 for level in method.student(targets)]
        expected = smooth(cosine_distance_map(targets, rebuilt, size=(64, 64)), 4.0)
        assert torch.equal(method.anomaly_map(images), expected)
        loss = method.distil_loss(batch_of(images))["loss"]
        assert torch.equal(loss, flattened_cosine_loss(targets, rebuilt))
        assert torch.equal(method.distil_loss(batch_of(images, features=targets))["loss"], loss)


def test_features_of_the_batch_are_not_made_again(teacher, images):
    method = Doubled(teacher, ReverseDistillationConfig())
    given = [torch.zeros(1)]
    assert method.learned_targets(batch_of(images, features=given)) is given


def test_the_stage(teacher):
    method = Doubled(teacher, ReverseDistillationConfig())
    (stage,) = method.stages()
    assert (stage.name, stage.epochs, stage.synthesis, stage.detects) == ("double", 7, None, True)
    assert stage.modules[0] is method.student
    assert len(stage.modules) == 2
    assert stage.optimizer == OptimizerConfig(learning_rate=0.25)
    assert stage.frozen is not None
    assert stage.frozen.name == "teacher"


@DISTILLING
def test_the_student_is_drawn_first_and_keeps_its_names(teacher, name):
    """Weights of releases are found by these names, and the same seed gives the same weights as ever."""
    config = small_config(name, width=0.5)
    torch.manual_seed(5)
    built = build_method(name, config, teacher)
    torch.manual_seed(5)
    alone = Student(teacher.shape, width=0.5).state_dict()
    found = {key: value for key, value in built.learned_state().items() if key.startswith("student.")}
    assert list(found) == [f"student.{key}" for key in alone]
    assert all(torch.equal(found[f"student.{key}"], value) for key, value in alone.items())


@DISTILLING
def test_knobs_of_the_student(name):
    kind = METHODS[name].config
    assert issubclass(kind, ReverseDistillationConfig)
    assert (kind().width, kind().student) == (1.0, "mirror")
    assert kind.bounds("width") == (0.125, 4.0, None)


def test_late_steps():
    falling = OptimizerConfig.with_late_steps(1.0)
    assert [falling.rate(epoch, 10) for epoch in range(10)] == pytest.approx([1.0] * 8 + [0.2, 0.04])
