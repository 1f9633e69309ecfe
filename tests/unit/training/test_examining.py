"""Stages that look at what they are worth when they are over: on held-out normal images, once, and without a trace."""

import numpy as np
import pytest
import torch
from helpers.trials import small_trial

from kdzoo.errors import CheckpointError
from kdzoo.methods.base import Findings
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.examining import Examinations
from kdzoo.training.outcome import conclude
from kdzoo.training.planting import Planting
from kdzoo.training.selection_anomalies import SelectionAnomalies
from kdzoo.training.trainer import Trainer

GATES = ["gate_auroc_1", "gate_auroc_2", "gate_auroc_3"]
GATES += [f"{name}_other" for name in GATES]


@pytest.fixture
def root(tmp_path):
    return tmp_path


def looked_at(trainer):
    """Replaces the first stage's examination by one that keeps what it is shown."""
    seen = []

    def examine(batches):
        seen.append(list(batches))
        return Findings(metrics={"batches": float(len(seen))}, warnings=("a warning",))

    object.__setattr__(trainer.stages[0], "examine", examine)
    return seen


@pytest.mark.parametrize("protocol", ["holdout", "synthetic"])
def test_it_sees_normal_images_of_the_selection_part_with_anomalies_planted(root, protocol):
    trainer = small_trial(root, "aand", protocol=protocol, config={"anomaly_probability": 0.01})
    seen = looked_at(trainer)
    trainer.step()
    assert not seen
    trainer.step()
    (batch,), (other,) = seen
    selection = trainer.data.selection
    normal = torch.from_numpy(np.array(selection.images[selection.labels == 0])).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(batch.images, trainer.method.teacher.normalise(normal))
    # Each of them has an anomaly, however rare these are in training, where the product is and nowhere else.
    assert batch.masks.flatten(1).any(dim=1).all()
    changed = (batch.augmented != batch.images).any(dim=1, keepdim=True)
    assert not (changed & (batch.masks == 0)).any()
    assert not (batch.masks.bool() & ~batch.foreground).any()
    # The same images with anomalies of other kinds.
    assert torch.equal(other.images, batch.images)
    assert other.masks.any() and not torch.equal(other.masks, batch.masks)
    # The report part is not even decoded.
    assert "report" not in trainer.data.__dict__


def test_it_is_told_at_the_end_of_the_stage_once_and_kept(root, tmp_path):
    trainer = small_trial(root, "aand")
    found = []
    trainer.run(lambda result: found.append(result.found))
    assert [list(each.metrics) for each in found] == [[], GATES, [], []]
    kept = trainer.examined.as_dict()
    assert list(kept) == ["amplify"]
    assert kept["amplify"] == {"metrics": dict(found[1].metrics), "warnings": list(found[1].warnings)}
    save_state(tmp_path / "state.pt", trainer.state())
    again = small_trial(root, "aand")
    again.load_result(load_state(tmp_path / "state.pt"))
    assert again.examined.as_dict() == kept
    assert conclude(again).document["examined"] == kept


def test_methods_without_examinations_say_nothing_of_them(root):
    trainer = small_trial(root, "rd", epochs=1)
    trainer.run()
    assert "examined" not in conclude(trainer).document


def test_training_is_the_same_with_it_and_without(root):
    trainers = [small_trial(root, "aand") for _ in range(2)]
    object.__setattr__(trainers[1].stages[0], "examine", None)
    losses = [[], []]
    for trainer, told in zip(trainers, losses):
        trainer.run(lambda result, told=told: told.append(result.losses))
    assert losses[0] == losses[1]
    one, other = (trainer.method.learned_state() for trainer in trainers)
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert not any(module.training for module in trainers[0].method.amplifiers.modules())


def test_a_stage_whose_weights_were_taken_from_another_trial_is_examined_here(root):
    whole = small_trial(root, "aand")
    told = []
    whole.run(lambda result: told.append(result.found))
    later = small_trial(root, "aand")
    later.method.amplifiers.load_state_dict(whole.method.amplifiers.state_dict())
    later.epoch = later.stages[0].epochs  # as if its epochs had been passed over
    result = later.step()
    assert result.stage == "distil"
    assert result.found.metrics == told[1].metrics


def test_a_state_of_an_earlier_version_is_examined_when_it_goes_on(root):
    trainer = small_trial(root, "aand")
    for _ in range(3):
        trainer.step()
    state = trainer.state()
    del state["examined"]
    again = small_trial(root, "aand")
    again.load_state(state)
    assert list(again.step().found.metrics) == GATES


@pytest.mark.parametrize("values", [{"amplify": {"metrics": {"a": "much"}, "warnings": []}}, {"amplify": 3}, [1]])
def test_what_is_no_finding_is_refused(root, values):
    trainer: Trainer = small_trial(root, "aand")
    with pytest.raises(CheckpointError):
        trainer.load_state(trainer.state() | {"examined": values})


def test_findings_of_several_stages_come_together(root):
    trainer = small_trial(root, "aand")
    looked_at(trainer)
    object.__setattr__(trainer.stages[1], "examine", lambda batches: Findings(metrics={"other": 1.0}))
    examined = Examinations(trainer.method, trainer.data, trainer._selection, Planting(trainer.spec, lambda: None))
    found = examined.of(trainer.stages)
    # The second stage plants nothing, and is shown images as they are once.
    assert found == Findings(metrics={"batches": 1.0, "batches_other": 2.0, "other": 1.0}, warnings=("a warning",))
    assert examined.of(trainer.stages) == Findings()


@pytest.mark.parametrize(
    ("options", "unseen"), [({}, ["nsa", "cutpaste"]), ({"synthesis": "nsa"}, ["perlin", "cutpaste"])]
)
def test_others_are_the_kinds_that_training_did_not_plant(root, monkeypatch, options, unseen):
    asked = []

    class Recording(SelectionAnomalies):
        def __init__(self, kinds):
            asked.append(list(kinds))
            super().__init__(kinds)

    monkeypatch.setattr("kdzoo.training.examining.SelectionAnomalies", Recording)
    trainer = small_trial(root, "aand", **options)
    looked_at(trainer)
    for _ in range(2):
        trainer.step()
    assert asked == [unseen]
