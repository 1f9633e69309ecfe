"""Nothing is carried for nothing: a method reads every weight of its teacher, and trains every weight of its own.

Of every registered method on backbones that timm builds with layers after the last level, and on a ResNet.
"""

import pytest
import torch
from helpers.methods import all_methods, shown_noise, stepping
from helpers.trials import small_config

from kdzoo.data.synthesis.registry import build_synthesizer
from kdzoo.methods.base import Batch
from kdzoo.methods.registry import build_method
from kdzoo.teachers.backbone import Teacher, load_teacher

SIDE = 64
BACKBONES = ("resnet18", "tf_efficientnet_lite0", "mobilenetv3_small_100", "mobilenetv2_100", "convnext_atto")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=BACKBONES)
def teacher(request):
    return load_teacher(f"random-{request.param}")


@pytest.fixture
def method(teacher, name):
    torch.manual_seed(0)
    return shown_noise(build_method(name, small_config(name), teacher).eval())


def batch_for(stage, method):
    torch.manual_seed(1)
    images = torch.rand(3, 3, SIDE, SIDE)
    inside = torch.ones(3, 1, SIDE, SIDE, dtype=torch.bool)
    made, masks = images, torch.zeros(3, 1, SIDE, SIDE)
    if stage.synthesis is not None:
        planted = build_synthesizer(stage.synthesis)(images, inside, torch.Generator().manual_seed(1))
        made, masks = planted.images, planted.masks
    normalise = method.teacher.normalise
    return Batch(images=normalise(images), augmented=normalise(made), masks=masks, foreground=inside)


@pytest.mark.parametrize("name", all_methods())
def test_the_maps_depend_on_every_weight_of_the_teacher(method, monkeypatch):
    teacher = method.teacher
    monkeypatch.setattr(Teacher, "forward", lambda self, images: list(self.backbone(images)))
    weights = dict(teacher.named_parameters())
    try:
        for weight in weights.values():
            weight.requires_grad_(True)
        # Not the images that the method has been shown: from what it knows by heart nothing is far.
        images = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
        maps = method.anomaly_map(teacher.normalise(images))
        found = torch.autograd.grad(maps.square().sum(), list(weights.values()), allow_unused=True)
    finally:
        teacher.requires_grad_(False)
    unread = [name for name, gradient in zip(weights, found, strict=True) if gradient is None or not gradient.any()]
    assert unread == []


@pytest.mark.parametrize("name", all_methods())
def test_every_learned_weight_is_trained_by_a_stage(method):
    learned = {f"{part}.{key}" for part, module in method.learned() for key, _ in module.named_parameters()}
    trained = set()
    for stage in stepping(method, some=False):
        method.requires_grad_(False)
        for module in stage.modules:
            module.train().requires_grad_(True)
        stage.loss(batch_for(stage, method))["loss"].backward()
        trained |= {key for key, weight in method.named_parameters() if weight.grad is not None}
        method.zero_grad(set_to_none=True)
    assert trained == learned
