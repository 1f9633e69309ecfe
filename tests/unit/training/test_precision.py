"""Precision: what is chosen for which hardware, that training in bfloat16 works, and that measuring stays exact."""

import math

import pytest
import torch
from helpers.methods import LEARNING
from helpers.trials import small_spec, small_trial

from kdzoo.errors import ConfigError
from kdzoo.training.document import parse_document
from kdzoo.training.evaluation import exact, score_images
from kdzoo.training.images import ImageSource
from kdzoo.training.learned import load_learned
from kdzoo.training.outcome import conclude
from kdzoo.training.precision import Hardware, Precision, choose_precision
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trial_features import TrialFeatures

CPU = Hardware(kind="cpu")
OLD_GPU = Hardware(kind="cuda", bfloat16=False)
NEW_GPU = Hardware(kind="cuda", bfloat16=True, tf32=True)


@pytest.mark.parametrize(
    ("asked", "hardware", "label"),
    [
        ("auto", CPU, "float32"),
        ("auto", OLD_GPU, "float32"),
        ("auto", NEW_GPU, "float32+tf32"),
        ("float32", CPU, "float32"),
        ("float32", NEW_GPU, "float32"),
        ("bfloat16", CPU, "bfloat16"),
        ("bfloat16", NEW_GPU, "bfloat16+tf32"),
    ],
)
def test_what_is_chosen(asked, hardware, label):
    assert choose_precision(asked, hardware).label == label


def test_a_gpu_without_bfloat16():
    with pytest.raises(ConfigError, match="does not compute in bfloat16"):
        choose_precision("bfloat16", OLD_GPU)


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), OLD_GPU), ((8, 0), NEW_GPU), ((9, 0), NEW_GPU)])
def test_a_gpu_is_asked_for_its_capability(monkeypatch, capability, expected):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: capability)
    assert Hardware.of(torch.device("cuda", 0)) == expected


def test_a_cpu_is_not_asked():
    assert Hardware.of(torch.device("cpu")) == CPU


@pytest.fixture
def flags():
    kept = torch.backends.cuda.matmul, torch.backends.cudnn
    before = [each.allow_tf32 for each in kept]
    yield kept
    for each, allowed in zip(kept, before, strict=True):
        each.allow_tf32 = allowed


@pytest.mark.parametrize("allowed", [False, True])
def test_tf32_is_allowed_in_training_alone_and_what_was_allowed_comes_back(flags, allowed):
    for each in flags:
        each.allow_tf32 = allowed
    for hardware in (NEW_GPU, OLD_GPU, CPU):
        precision = choose_precision("auto", hardware)
        with pytest.raises(ZeroDivisionError), precision.training():
            assert [each.allow_tf32 for each in flags] == [precision.tf32] * 2
            raise ZeroDivisionError
        assert [each.allow_tf32 for each in flags] == [allowed] * 2


@pytest.mark.parametrize("allowed", [False, True])
def test_nothing_is_measured_in_tf32(flags, allowed):
    for each in flags:
        each.allow_tf32 = allowed
    with exact():
        assert [each.allow_tf32 for each in flags] == [False] * 2
    assert [each.allow_tf32 for each in flags] == [allowed] * 2


def test_frozen_features_are_made_as_a_step_makes_them(flags, monkeypatch, tmp_path):
    """With room for them or without, they are the same numbers: both within what a step allows, neither in bfloat16."""
    for each in flags:
        each.allow_tf32 = False
    trainer, seen = small_trial(tmp_path, "rd", epochs=1, precision="bfloat16"), set()
    compute = trainer.method.teacher.forward

    def watched(images):
        features = compute(images)
        seen.add((torch.backends.cudnn.allow_tf32, features[0].dtype))
        return features

    trainer.precision = Precision(kind="cpu", products="bfloat16", tf32=True)
    monkeypatch.setattr(trainer.method.teacher, "forward", watched)
    for limit in ("0", "1GB"):
        monkeypatch.setenv("KDZOO_CACHE_LIMIT", limit)
        trainer._features = TrialFeatures(trainer.method, trainer.data)
        trainer._train_epoch(trainer.stages[0], 0, 0)
    assert seen == {(True, torch.float32)}


def test_batch_norm_keeps_its_statistics_in_float32():
    """Of values whose spread bfloat16 cannot tell from their mean, the running variance stays right."""
    layer, values = torch.nn.BatchNorm2d(1), torch.arange(64.0).reshape(1, 1, 8, 8) + 128
    with Precision(kind="cpu", products="bfloat16").forward():
        layer(values.bfloat16())
    assert layer.running_mean.dtype == layer.running_var.dtype == torch.float32
    assert layer.running_mean.item() == pytest.approx(0.1 * 159.5, rel=1e-6)
    assert layer.running_var.item() == pytest.approx(0.9 + 0.1 * 64 * 65 / 12, rel=1e-6)


def test_products_are_bfloat16_and_no_more_outside():
    one = torch.ones(2, 2)
    for products, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        with Precision(kind="cpu", products=products).forward():
            assert (one @ one).dtype == dtype
        assert (one @ one).dtype == torch.float32


@pytest.mark.parametrize("name", LEARNING)
def test_every_method_trains_in_bfloat16_and_is_measured_in_float32(tmp_path, name):
    rounded, plain = (small_trial(tmp_path, name, precision=each) for each in ("bfloat16", "float32"))
    while not rounded.finished:
        losses = rounded.step().losses
        expected = plain.step().losses
        assert all(math.isfinite(value) for value in losses.values())
        assert losses != expected
        # Two epochs of two steps do not lead far from each other.
        assert losses["loss"] == pytest.approx(expected["loss"], rel=0.1, abs=0.02)
    state = rounded.method.learned_state()
    assert {value.dtype for value in state.values()} <= {torch.float32, torch.int64}
    load_learned(plain.method, state)
    found, again = (
        score_images(each.method, ImageSource(each.data.selection.images, each.device)) for each in (rounded, plain)
    )
    assert found.maps.dtype == found.scores.dtype == "float32"
    assert (found.maps == again.maps).all() and (found.scores == again.scores).all()


def test_the_document_says_what_was_asked_for_and_what_was_used(tmp_path):
    trainer = small_trial(tmp_path, "rd", epochs=1, precision="bfloat16")
    trainer.run()
    document = conclude(trainer).document
    assert document["precision"] == {"asked": "bfloat16", "training": "bfloat16", "evaluation": "float32"}
    assert document["options"]["precision"] == "bfloat16"


def test_what_it_was_trained_in_before_it_went_on_elsewhere_is_told(tmp_path):
    started = small_trial(tmp_path, "rd", precision="bfloat16")
    started.step()
    state = started.state()
    resumed = small_trial(tmp_path, "rd", precision="float32")
    resumed.load_state(state)
    resumed.run()
    assert conclude(resumed).document["precision"]["training"] == "bfloat16, float32"
    ended = small_trial(tmp_path, "rd", precision="bfloat16")
    ended.load_state(resumed.state())
    assert ended.precisions == ["bfloat16", "float32"]


def test_a_state_of_an_earlier_kdzoo_was_trained_in_float32(tmp_path):
    started = small_trial(tmp_path, "rd", precision="float32")
    started.step()
    state = started.state()
    del state["precisions"]
    resumed = small_trial(tmp_path, "rd", precision="bfloat16")
    resumed.load_state(state)
    assert resumed.precisions == ["float32", "bfloat16"]


def test_what_an_earlier_kdzoo_wrote_down_was_float32(tmp_path):
    spec = small_spec("rd", precision="auto")
    written = spec.as_dict()
    assert TrialSpec.from_dict(written) == spec
    del written["options"]["precision"]
    assert TrialSpec.from_dict(written).options.precision == "float32"
    trainer = small_trial(tmp_path, "rd", epochs=1)
    trainer.run()
    document = conclude(trainer).document
    assert parse_document(document).options.precision == "auto"
    del document["options"]["precision"], document["precision"]
    assert parse_document(document).options.precision == "float32"


def test_an_unknown_precision():
    with pytest.raises(ConfigError, match="one of auto, float32, bfloat16"):
        small_spec("rd", precision="bf16")
