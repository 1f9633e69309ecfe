"""Three levels of a transformer: which blocks, what of it is kept, which images it takes, whose weights it loads."""

import dataclasses
import json
from collections import OrderedDict

import pytest
import timm
import torch
from helpers.command import run
from helpers.sweeps import Watcher, small_plan
from helpers.trials import TINY_VIT, small_trial
from safetensors.torch import save_file

from kdzoo.detector import TEACHER_FILE, Detector
from kdzoo.errors import ConfigError, UsageError
from kdzoo.pretraining.recipe import PretrainConfig
from kdzoo.pretraining.run import Pretraining
from kdzoo.search.run.sweep import run_sweep
from kdzoo.teachers.backbone import build_teacher, load_teacher
from kdzoo.teachers.levels import FeatureShape
from kdzoo.teachers.names import TeacherName
from kdzoo.training.outcome import conclude

TINY = TINY_VIT.removeprefix("random-")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def untrained(architecture):
    return build_teacher(TeacherName(architecture=architecture, source="hub"))


@pytest.mark.parametrize(
    ("architecture", "blocks", "channels", "patch", "step"),
    [
        (TINY, 5, 64, 16, 32),
        ("vit_tiny_patch16_224", 9, 192, 16, 32),
        ("deit_tiny_distilled_patch16_224", 9, 192, 16, 32),
        ("vit_small_patch32_224", 9, 384, 32, 64),
        ("vit_small_patch14_reg4_dinov2", 9, 384, 14, 224),
        ("eva02_tiny_patch14_224", 9, 192, 14, 224),
    ],
)
def test_levels_are_three_blocks_and_every_weight_that_is_kept_is_read(architecture, blocks, channels, patch, step):
    teacher = untrained(architecture)
    shape = teacher.shape
    assert (shape.channels, shape.reductions, shape.side_step) == ((channels,) * 3, (patch,) * 3, step)
    assert len(teacher.backbone.model.blocks) == blocks, "a quarter of them is cut off"
    assert teacher.unread == {}
    images = torch.randn(1, 3, step, 2 * step, generator=torch.Generator().manual_seed(0))
    assert [tuple(level.shape[2:]) for level in teacher(images)] == [(step // patch, 2 * step // patch)] * 3
    teacher.backbone.requires_grad_(True)
    weigh = torch.Generator().manual_seed(1)
    sum((level * torch.randn(level.shape, generator=weigh)).sum() for level in teacher.backbone(images)).backward()
    assert [
        name for name, each in teacher.backbone.named_parameters() if each.grad is None or not each.grad.any()
    ] == []


def test_they_are_the_whole_models_own():
    """At the size that it was published for, where no position embedding is interpolated."""
    torch.manual_seed(0)
    whole = timm.create_model(TINY).eval()
    teacher = untrained(TINY)
    teacher.backbone.load_state_dict(
        {key: whole.state_dict()[key.removeprefix("model.")] for key in teacher.backbone.state_dict()}
    )
    images = torch.randn(2, 3, *whole.patch_embed.img_size)
    with torch.no_grad():
        expected = whole.forward_intermediates(images, indices=[1, 2, 4], intermediates_only=True)
    for level, own in zip(teacher(images), expected, strict=True):
        torch.testing.assert_close(level, own)


def test_random_blocks_add_something():
    """Some start with a scale so small that their three levels would be one."""
    first, _, third = load_teacher("random-deit3_small_patch16_224")(torch.randn(1, 3, 64, 64))
    assert (third - first).std() > 0.01 * first.std()


def test_a_size_that_the_patches_do_not_divide_is_refused_with_the_nearest():
    shape = FeatureShape(channels=(8, 8, 8), reductions=(14, 14, 14))
    shape.check_side(448, "dino")
    with pytest.raises(
        ConfigError, match=r"image size 256 does not fit teacher 'dino': .* a multiple of 224"
    ) as caught:
        shape.check_side(256, "dino")
    assert "--image-size 224" in caught.value.hint
    with pytest.raises(ConfigError) as caught:
        shape.check_side(64, "dino")
    assert "--image-size 224" in caught.value.hint
    assert all(FeatureShape(channels=(8, 8, 8)).check_side(side, "resnet") is None for side in range(64, 512, 32))


def test_it_is_refused_wherever_a_person_asks_for_it(tmp_path, capsys):
    teacher, said = (
        "random-eva02_tiny_patch14_224",
        "image size 64 does not fit teacher 'random-eva02_tiny_patch14_224'",
    )
    with pytest.raises(ConfigError, match=said):
        load_teacher(teacher)(torch.zeros(1, 3, 64, 64))
    small_trial(tmp_path, "rd")  # makes the data set
    (tmp_path / "toy").rename(tmp_path / "parts")
    ran = run(
        capsys, "train", "rd", "--dataset", tmp_path / "parts", "--teacher", teacher, "--image-size", 64, "--epochs", 1
    )
    assert ran.status != 0 and said in ran.err
    plan = small_plan(tmp_path, name="odd", trials=1)
    plan = dataclasses.replace(plan, options=plan.options.replace(teacher=teacher))
    with pytest.raises(ConfigError, match=said):
        run_sweep(plan, Watcher())


def test_it_is_not_pretrained(tmp_path):
    with pytest.raises(UsageError, match=r"'test_vit' cannot be pretrained: .* at 1/16"):
        Pretraining(PretrainConfig(architecture=TINY), tmp_path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", "in order"])
def test_weights_from_a_file_by_name_or_by_order(tmp_path, suffix):
    torch.manual_seed(3)
    state = timm.create_model(TINY).state_dict()
    file = tmp_path / f"w{suffix if suffix.startswith('.') else '.pth'}"
    if suffix == ".safetensors":
        save_file(state, file)
    else:
        named = enumerate(state.items()) if suffix == "in order" else None
        torch.save(
            state if named is None else OrderedDict((f"l{n}.{key.rpartition('.')[2]}", v) for n, (key, v) in named),
            file,
        )
    teacher = load_teacher(f"{TINY}@{file}")
    for key, value in teacher.backbone.state_dict().items():
        assert torch.equal(value, state[key.removeprefix("model.")])


def test_added_shown_trained_and_opened_again(tmp_path, capsys):
    torch.manual_seed(4)
    save_file(timm.create_model(TINY).state_dict(), tmp_path / "w.safetensors")
    ran = run(capsys, "teacher", "add", tmp_path / "w.safetensors", "--name", "plant", "--architecture", TINY)
    assert ran.status == 0
    shown = json.loads(run(capsys, "teacher", "show", "plant", "--json").out)
    assert shown["levels"] == {"channels": [64, 64, 64], "reductions": [16, 16, 16]}
    teacher = load_teacher("plant")
    trainer = small_trial(tmp_path, "rd", teacher=teacher, epochs=1)
    trainer.run()
    outcome = conclude(trainer)
    assert outcome.document["teacher"]["shape"]["reductions"] == [16, 16, 16]
    folder = Detector(outcome.method, outcome.document, device="cpu").save(tmp_path / "saved")
    assert (folder / TEACHER_FILE).read_bytes() == teacher.weights()
    image = torch.rand(3, 70, 80)
    here, there = (each.predict(image) for each in (Detector(outcome.method, outcome.document), Detector.open(folder)))
    assert (here.anomaly_map == there.anomaly_map).all()
