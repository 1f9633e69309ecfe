"""With no amplification and no hard positions, aand is rd: same maps, same loss, same way through training."""

import pytest
import torch
from helpers.trials import small_trial

from kdzoo.methods.aand.config import AANDConfig
from kdzoo.methods.aand.model import AAND
from kdzoo.methods.base import Batch, OptimizerConfig
from kdzoo.teachers.backbone import load_teacher

EPOCHS = 5
SAME_RATE = 4
"""Epochs before aand's first milestone, at 80 %."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    root = tmp_path_factory.mktemp("pair")

    def make():
        rd = small_trial(root, "rd", epochs=EPOCHS)
        aand = small_trial(root, "aand", epochs=EPOCHS, config={"amplify_epochs": 0, "hkd_weight": 0.0})
        aand.method.student.load_state_dict(rd.method.student.state_dict())
        return rd, aand

    return make


def test_same_parameters_maps_and_loss(pair):
    rd, aand = (trainer.method.eval() for trainer in pair())
    assert set(rd.learned_state()) == set(aand.learned_state())
    images = torch.randn(2, 3, 64, 64)
    batch = Batch(images=images, augmented=images, masks=images[:, :1] * 0, foreground=images[:, :1] < 9)
    with torch.no_grad():
        assert torch.equal(rd.anomaly_map(images), aand.anomaly_map(images))
        assert torch.equal(rd.stages()[0].loss(batch)["loss"], aand.stages()[0].loss(batch)["loss"])


def test_same_way_through_training_until_the_rate_changes(pair):
    rd, aand = pair()
    for epoch in range(EPOCHS):
        one, other = rd.step(), aand.step()
        same_weights = all(
            torch.equal(value, aand.method.learned_state()[key]) for key, value in rd.method.learned_state().items()
        )
        if epoch < SAME_RATE:
            assert one.losses == other.losses
            assert one.report == other.report
        assert same_weights == (epoch < SAME_RATE)


def test_the_rate_falls_at_its_milestones():
    falling = OptimizerConfig(learning_rate=1.0, milestones=(0.8, 0.9), decay=0.2)
    assert [falling.rate(epoch, 10) for epoch in range(10)] == pytest.approx([1.0] * 8 + [0.2, 0.04])
    assert [falling.rate(epoch, 3) for epoch in range(3)] == pytest.approx([1.0, 1.0, 0.04])
    assert OptimizerConfig(learning_rate=0.5).rate(99, 100) == 0.5


def test_published_rates():
    stages = AAND(load_teacher("random-resnet18"), AANDConfig()).stages()
    assert [(stage.name, stage.epochs, stage.detects) for stage in stages] == [
        ("amplify", 100, False),
        ("distil", 120, True),
    ]
    assert [stage.optimizer.rate(epoch, 100) for stage in stages for epoch in (0, 80, 90)] == pytest.approx(
        [0.005, 0.001, 0.0002] * 2
    )
