"""No training step makes the host wait for the device: on a GPU that is imagined, and on one that is there."""

import numpy as np
import pytest
import torch
from helpers.imagined_gpu import GPU, HostWaits, ImaginedGenerator, ImaginedGpu, WaitedError
from helpers.methods import LEARNING
from helpers.trials import TEACHER, small_spec, small_trial, toy

from kdzoo.data import devices
from kdzoo.data.synthesis.registry import SYNTHESES, build_synthesizer, synthesis_config
from kdzoo.methods.aand.amplifier import position_encoding
from kdzoo.methods.registry import METHODS
from kdzoo.teachers import backbone
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.data import TrialData
from kdzoo.training.trainer import Trainer


@pytest.fixture
def gpu(monkeypatch):
    """An imagined GPU, in use; what is kept of constants is of this test alone."""
    kept = (devices.constant, backbone._channel_values, position_encoding)
    monkeypatch.setattr("kdzoo.training.trainer.gpus", lambda device: [])
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (2**40, 2**40))
    for each in kept:
        each.cache_clear()
    with ImaginedGpu() as imagined:
        yield imagined
    for each in kept:
        each.cache_clear()


def look_at(values):
    return {
        "item": lambda: values.sum().item(),
        "float": lambda: float(values.sum()),
        "if": lambda: bool((values > 0).any()),
        "nonzero": lambda: values.nonzero(),
        "where": lambda: torch.where(values > 0),
        "mask as an index": lambda: values[values > 0],
        "masked_select": lambda: values.masked_select(values > 0),
        "unique": lambda: values.unique(),
        "tolist": lambda: values.tolist(),
        "to the host": lambda: values.cpu(),
        "to the host by name": lambda: values.to("cpu"),
        "a constant": lambda: torch.tensor([1.0], device=values.device),
        "an upload": lambda: torch.ones(3).to(values.device),
    }


COPIES = ("tolist", "to the host", "to the host by name", "a constant", "an upload")


@pytest.mark.parametrize("kind", look_at(torch.zeros(1)))
def test_what_waits_is_seen(gpu, kind):
    values = torch.rand(8, device=GPU)
    gpu.constants = False
    with pytest.raises((WaitedError, RuntimeError)) as caught:
        look_at(values)[kind]()
    assert type(caught.value).__name__ in ("WaitedError", "DataDependentOutputException", "DynamicOutputShapeException")


def test_what_does_not_wait_is_let_through(gpu):
    values = torch.rand(8, device=GPU)
    gpu.constants = False
    places = devices.uploaded(torch.arange(3), GPU)
    assert torch.where(values > 0, values, 0.0).index_select(0, places).device == GPU
    assert float(torch.rand(1, generator=devices.beside(ImaginedGenerator()))) < 1


@pytest.mark.parametrize("name", SYNTHESES)
def test_no_synthesis_waits(gpu, name):
    synthesizer = build_synthesizer(synthesis_config(name)(probability=0.8))
    images = torch.rand((4, 48, 40, 3), device=GPU).permute(0, 3, 1, 2)
    room = torch.ones((4, 1, 48, 40), dtype=torch.bool, device=GPU)
    for first in (True, False):
        gpu.constants = first
        made = synthesizer(images, room, ImaginedGenerator())
        assert made.images.shape == images.shape
        assert made.masks.device == GPU


@pytest.mark.parametrize("name", LEARNING)
def test_no_step_of_a_method_waits(gpu, name, tmp_path):
    spec = small_spec(name)
    data = TrialData(toy(tmp_path), spec.category, spec.options, cache=tmp_path / "cache")
    trainer = Trainer(spec, data, load_teacher(TEACHER), GPU)
    for stage in trainer.stages:
        optimizer = trainer._enter(stage, 0)
        features = trainer._features.of_train(stage, trainer._source, passes=2)
        gpu.trained = [parameter for module in stage.modules for parameter in module.parameters()]
        # The first step copies constants and makes the optimizer's moments.
        for first in (True, False):
            gpu.constants = first
            losses = trainer._train_batch(stage, optimizer, np.array([2, 0]), ImaginedGenerator(), features)
            assert losses["loss"].device == GPU


@pytest.mark.parametrize("kind", [each for each in look_at(torch.zeros(1)) if each not in COPIES])
def test_what_waits_is_recorded(kind):
    values = torch.rand(8)
    with HostWaits() as waits:
        look_at(values)[kind]()
    assert waits.found


@pytest.mark.parametrize("name", LEARNING)
def test_nothing_in_a_step_and_its_gradients_waits(monkeypatch, name, tmp_path):
    """On the CPU, with the code that is for GPUs."""
    changed = "hflip,vflip,rotate,brightness=0.1,contrast=0.1"
    trainer = small_trial(tmp_path, name, precision="bfloat16", ema=0.9, augment=changed)
    monkeypatch.setattr("kdzoo.data.synthesis.pixels.waits", lambda device: True)
    monkeypatch.setattr("kdzoo.data.synthesis.perlin.waits", lambda device: True)
    monkeypatch.setattr("kdzoo.data.synthesis.nsa.waits", lambda device: True)
    monkeypatch.setattr("kdzoo.methods.aand.losses.waits", lambda device: True)
    for stage in trainer.stages:
        optimizer = trainer._enter(stage, 0)
        features = trainer._features.of_train(stage, trainer._source, passes=2)
        with HostWaits() as waits:
            trainer._train_batch(stage, optimizer, np.array([2, 0]), torch.Generator().manual_seed(1), features)
        assert waits.found == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", METHODS)
def test_no_step_on_a_gpu_that_is_there_waits(name, tmp_path):
    spec = small_spec(name)
    data = TrialData(toy(tmp_path), spec.category, spec.options, cache=tmp_path / "cache")
    device = torch.device("cuda", 0)
    trainer = Trainer(spec, data, load_teacher(TEACHER), device)
    generator = torch.Generator(device)
    for stage in trainer.stages:
        optimizer = trainer._enter(stage, 0)
        features = trainer._features.of_train(stage, trainer._source, passes=2)
        trainer._train_batch(stage, optimizer, np.array([2, 0]), generator, features)
        torch.cuda.set_sync_debug_mode("error")
        try:
            trainer._train_batch(stage, optimizer, np.array([1, 3]), generator, features)
        finally:
            torch.cuda.set_sync_debug_mode("default")
