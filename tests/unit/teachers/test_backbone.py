"""Teachers: levels, freezing, and random weights that are the same everywhere."""

import hashlib

import pytest
import torch
from helpers.trials import in_new_process
from safetensors.torch import load
from torch import nn

from kdzoo.errors import UnknownNameError, UsageError
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.teachers.names import TeacherName


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def resnet18():
    return load_teacher("random-resnet18")


@pytest.mark.parametrize(
    ("architecture", "channels"),
    [
        ("resnet18", (64, 128, 256)),
        ("convnext_tiny", (96, 192, 384)),
        ("efficientnet_b0", (24, 40, 112)),
        ("mobilenetv3_small_100", (16, 24, 48)),
    ],
)
def test_three_levels_at_a_quarter_an_eighth_and_a_sixteenth(architecture, channels):
    teacher = build_teacher(TeacherName(architecture=architecture, source="hub"))
    features = teacher(torch.rand(2, 3, 64, 96))
    assert [tuple(level.shape) for level in features] == [
        (2, width, 64 // step, 96 // step) for width, step in zip(channels, (4, 8, 16), strict=True)
    ]
    assert teacher.shape.channels == channels


@pytest.mark.parametrize(
    ("architecture", "block", "base_width", "depths"),
    [
        ("resnet18", "basic", 1.0, (2, 2, 2, 2)),
        ("wide_resnet50_2", "bottleneck", 2.0, (3, 4, 6, 3)),
        ("skresnet50", "bottleneck", 1.0, (3, 4, 6, 3)),
        ("mobilenetv3_small_100", "basic", 1.0, (2, 2, 2, 2)),
    ],
)
def test_the_shape_that_a_student_mirrors(architecture, block, base_width, depths):
    shape = build_teacher(TeacherName(architecture=architecture, source="hub")).shape
    assert (shape.block, shape.base_width, shape.depths) == (block, base_width, depths)


def test_it_stays_frozen_and_in_eval_mode(resnet18):
    parent = nn.ModuleList([resnet18]).train()
    assert parent.training
    assert not any(module.training for module in resnet18.modules())
    assert not any(parameter.requires_grad for parameter in resnet18.parameters())
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    assert not any(level.requires_grad for level in resnet18(images))


def test_features_do_not_follow_the_batch(resnet18):
    images = torch.rand(3, 3, 64, 64)
    together, alone = resnet18(images), resnet18(images[:1])
    for some, one in zip(together, alone, strict=True):
        torch.testing.assert_close(some[:1], one, rtol=1e-4, atol=1e-5)


def test_random_features_use_every_block(resnet18):
    for module in resnet18.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.any()


def test_normalise_by_hand(resnet18):
    grey = resnet18.normalise(torch.full((1, 3, 1, 1), 0.5)).flatten().tolist()
    expected = [(0.5 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, (0.5 - 0.406) / 0.225]
    assert grey == pytest.approx(expected, rel=1e-5)


RANDOM = """
import hashlib, json, torch
torch.manual_seed(77)
from kdzoo.teachers.backbone import load_teacher
before = torch.get_rng_state()
teacher = load_teacher("random-resnet18")
print(json.dumps({"sha256": hashlib.sha256(teacher.weights()).hexdigest(), "described": teacher.describe(),
                  "undisturbed": bool(torch.equal(before, torch.get_rng_state()))}))
"""


def test_random_weights_are_the_same_in_another_process_and_disturb_no_seed(resnet18):
    there = in_new_process(RANDOM)
    assert there["sha256"] == hashlib.sha256(resnet18.weights()).hexdigest() == there["described"]["sha256"]
    assert there["described"] == resnet18.describe()
    assert there["undisturbed"]


def test_weights_are_stable_bytes_that_hold_the_backbone(resnet18):
    data = resnet18.weights()
    assert data == resnet18.weights() == load_teacher("random-resnet18").weights()
    moved = load_teacher("random-resnet18").to(memory_format=torch.channels_last)
    assert moved.weights() == data
    state = load(data)
    assert set(state) == set(resnet18.backbone.state_dict())
    assert all(torch.equal(value, state[key]) for key, value in resnet18.backbone.state_dict().items())


def test_an_unknown_backbone_names_the_nearest():
    with pytest.raises(UnknownNameError, match="unknown teacher 'resnet81'; did you mean 'resnet"):
        load_teacher("resnet81")
    with pytest.raises(UnknownNameError, match="unknown teacher 'resnett18'"):
        load_teacher("random-resnett18")


def test_an_unknown_weight_tag_names_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'resnet18\.tv_in2k'; did you mean 'resnet18\.tv_in1k'"):
        load_teacher("resnet18.tv_in2k")


@pytest.mark.parametrize(
    ("architecture", "said"),
    [
        ("beit_base_patch16_224", r"does not take images of 64x96 pixels, .*: Input height \(64\) doesn't match"),
        ("mixer_s32_224", r"does not take images of 128x192 pixels, and a teacher must take any multiple of 64: "),
        ("inception_v3", "gives no features at 1/4, 1/8 and 1/16"),
        (
            "swin_tiny_patch4_window7_224",
            r"does not take images of 64x64 pixels, .*: Input height \(64\) doesn't match",
        ),
        ("coat_tiny", "does not take images of 64x64 pixels"),
        ("halonet50ts", "does not take images of 64x64 pixels, .*: AssertionError"),
        ("efficientformerv2_s0", "does not take images of 64x64 pixels, .*: shape"),
        ("test_mambaout", "gives no features at 1/4, 1/8 and 1/16"),
    ],
)
def test_a_backbone_that_cannot_teach_is_refused(architecture, said):
    """No features at three levels; images of one size alone; channels last."""
    with pytest.raises(UsageError, match=said) as caught:
        load_teacher(f"random-{architecture}")
    assert "choose a convolutional backbone" in caught.value.hint
