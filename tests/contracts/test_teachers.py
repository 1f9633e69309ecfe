"""Every kind of backbone teaches: three levels by timm's metadata, a step of learning, and maps."""

import pytest
import timm
import torch
from helpers.trials import small_config

from kdzoo.methods.base import Batch
from kdzoo.methods.registry import build_method
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.levels import LEVEL_REDUCTIONS

IMAGENET, PLAIN = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5,) * 3, (0.5,) * 3)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(
    scope="module",
    params=[
        ("resnet18", (64, 128, 256), IMAGENET),
        ("convnext_tiny", (96, 192, 384), IMAGENET),
        ("efficientnet_b4", (32, 56, 160), IMAGENET),
        ("mobilenetv3_large_100", (24, 40, 112), IMAGENET),
        ("tf_mobilenetv3_small_100", (16, 24, 48), PLAIN),
        ("test_vit", (64, 64, 64), PLAIN, (16, 16, 16)),
    ],
    ids=lambda param: param[0],
)
def case(request):
    architecture, channels, transform, *steps = request.param
    return load_teacher(f"random-{architecture}"), channels, transform, *(steps or [LEVEL_REDUCTIONS])


def test_levels_and_input_transform_are_those_of_the_backbone(case):
    teacher, channels, transform, steps = case
    assert (teacher.mean, teacher.std) == transform
    published = timm.get_pretrained_cfg(teacher.name.architecture)
    assert (tuple(published.mean), tuple(published.std)) == transform
    levels = teacher(torch.rand(1, 3, 64, 96))
    assert [tuple(level.shape[1:]) for level in levels] == [
        (width, 64 // step, 96 // step) for width, step in zip(channels, steps, strict=True)
    ]
    assert all(level.std() > 0 for level in levels)


def test_a_student_learns_from_it_and_maps_fit_the_images(case):
    teacher = case[0]
    torch.manual_seed(0)
    method = build_method("rd", small_config("rd"), teacher)
    stage = method.stages()[0]
    images = teacher.normalise(torch.rand(2, 3, 64, 64))
    batch = Batch(
        images=images, augmented=images, masks=torch.zeros(2, 1, 64, 64), foreground=torch.ones(2, 1, 64, 64).bool()
    )
    parameters = [parameter for module in stage.modules for parameter in module.train().parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.005)
    losses = []
    for _ in range(3):
        loss = stage.loss(batch)["loss"]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    with torch.no_grad():
        maps = method.eval().anomaly_map(teacher.normalise(torch.rand(1, 3, 96, 64)))
    assert maps.shape == (1, 96, 64)
    assert torch.isfinite(maps).all() and maps.std() > 0
