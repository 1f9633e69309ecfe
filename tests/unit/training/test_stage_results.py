"""First stages that trials share: what is taken is what would have been trained, and nothing else is ever taken."""

import dataclasses
import os
import time

import pytest
import torch
from helpers.trials import TEACHER, small_trial, toy
from safetensors.torch import load_file, save_file

from kdzoo.methods.registry import find_method
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.precision import Hardware
from kdzoo.training.stage_results import StageResults, sharable, stage_tensors

SECOND_STAGE = {
    "aand": {"distil_epochs": 3, "distil_learning_rate": 0.001, "hkd_top_k": 3, "hkd_weight": 0.5,
             "smoothing_sigma": 1.0, "level_scale": "zscore", "map_levels": "2+3", "top_t": 7},
    "adps": {"segment_epochs": 3, "segment_learning_rate": 0.002, "wmb_gain": 0.0, "wmb_weight": 2.0,
             "psm_channels": 16, "focal_alpha": 0.6, "focal_gamma": 1.0, "l1_weight": 0.5, "top_t": 7,
             "smoothing_sigma": 1.0},
}  # fmt: skip
"""Every knob that the first stage says has no say in it, turned."""
BOTH = pytest.mark.parametrize("name", SECOND_STAGE)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toys")
    toy(folder)
    return folder


@pytest.fixture
def shared(tmp_path):
    return StageResults(folder=tmp_path / "stages", keep={"bottle": 2}, teacher="a" * 64)


@pytest.fixture
def trial(root, teacher):
    def make(name, shared, **changes):
        trainer = small_trial(root, name, teacher=teacher, **changes)
        return type(trainer)(trainer.spec, trainer.data, teacher, trainer.device, shared=shared)

    return make


def kept(shared):
    return sorted((shared.folder / "bottle").glob("*"))


def stages_trained(trainer):
    names = []
    trainer.run(lambda result: names.append(result.stage))
    return names


@BOTH
def test_the_first_stage_names_the_knobs_that_the_second_has_alone(trial, name):
    (first, *_) = trial(name, None).stages
    assert set(first.untouched_by) == set(SECOND_STAGE[name])
    assert set(first.untouched_by) < set(find_method(name).config.__dataclass_fields__)
    assert sharable(trial(name, None).stages)
    assert not sharable(trial("rd", None).stages)


@BOTH
def test_what_is_taken_is_to_the_bit_what_would_have_been_trained(trial, shared, name):
    first = trial(name, shared)
    names = stages_trained(first)
    assert len(kept(shared)) == 1
    taking, alone = trial(name, shared, config=SECOND_STAGE[name]), trial(name, None, config=SECOND_STAGE[name])
    assert stages_trained(taking) == [names[-1]] * 3
    alone.run()
    expected = alone.method.learned_state()
    assert all(torch.equal(expected[key], value) for key, value in taking.method.learned_state().items())
    assert (taking.best.objective, taking.best.epoch) == (alone.best.objective, alone.best.epoch)
    assert all(torch.equal(alone.best.weights[key], value) for key, value in taking.best.weights.items())
    assert (first.reused_seconds, alone.reused_seconds) == (0.0, 0.0)
    assert 0 < taking.reused_seconds < first.train_seconds
    assert len(kept(shared)) == 1


@BOTH
def test_a_knob_that_is_not_named_counts(trial, shared, name):
    """Each of them by itself: else a result would be taken that is not the trial's own."""
    base = trial(name, shared)
    config = base.spec.config.as_dict()
    named = set(base.stages[0].untouched_by)
    turned = {
        "batch_size": 3,
        "mask_threshold": 0.2,
        "anomaly_probability": 0.5,
        "blend_low": 0.1,
        "blend_high": 0.5,
        "epoch_steps": 7,
        "schedule": "cosine",
        "warmup": 0.1,
        "weight_decay": 0.01,
    }
    turned |= {"aand": {"amplify_learning_rate": 0.001, "prototypes": 5, "temperature": 0.5, "margin": 0.1,
                        "amplify_weight": 0.3, "focal_alpha": 0.5, "focal_gamma": 1.0, "width": 0.5,
                        "student": "fitted", "amplify_epochs": 3},
               "adps": {"distil_learning_rate": 0.001, "patch_grid": 1, "push_weight": 0.3, "push_margin": 0.2,
                        "distil_epochs": 3}}[name]  # fmt: skip
    assert set(turned) == set(config) - named
    keys = {
        shared.key(
            dataclasses.replace(base.spec, config=base.spec.config.replace(**changes)),
            base.stages[0],
            base.method,
            base.device,
            base.data.identity,
        )
        for changes in ({}, SECOND_STAGE[name], *({knob: value} for knob, value in turned.items()))
    }
    assert len(keys) == 1 + len(turned)
    assert base._first_stage_key(shared) in keys


def test_whatever_else_takes_part_is_in_the_key(trial, shared, monkeypatch):
    other_teacher = StageResults(folder=shared.folder, keep=shared.keep, teacher="b" * 64)
    keys = [
        trial("aand", shared)._first_stage_key(shared),
        trial("aand", shared, seed=1)._first_stage_key(shared),
        trial("aand", shared, image_size=96)._first_stage_key(shared),
        trial("aand", shared, protocol="test")._first_stage_key(shared),
        trial("aand", other_teacher)._first_stage_key(other_teacher),
    ]
    moved = trial("aand", shared)
    moved.data.__dict__["fingerprint"] = "0" * 64
    keys.append(moved._first_stage_key(shared))
    recoded = StageResults(folder=shared.folder, keep=shared.keep, teacher="a" * 64)
    recoded.__dict__["_code"] = "another version"
    keys.append(trial("aand", recoded)._first_stage_key(recoded))
    assert len(set(keys)) == len(keys)
    assert trial("aand", shared)._first_stage_key(shared) == keys[0]


def spoil_bytes(path):
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(bytes(data))


def spoil_digest(path):
    tensors = load_file(path)
    first = next(name for name in tensors if tensors[name].is_floating_point())
    tensors[first] = tensors[first] + 1
    save_file(tensors, path, metadata={"digest": "0" * 64, "seconds": "1.0"})


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def without_metadata(path):
    save_file(load_file(path), path)


def of_another_shape(path):
    save_file({"odd": torch.zeros(3)}, path, metadata={"digest": "0" * 64, "seconds": "1.0"})


@pytest.mark.parametrize(
    "spoil", [spoil_bytes, spoil_digest, truncate, without_metadata, of_another_shape, lambda p: p.write_bytes(b"")]
)
def test_a_damaged_result_is_trained_again_and_replaced(trial, shared, spoil):
    trial("aand", shared, epochs=1).run()
    (path,) = kept(shared)
    whole = path.read_bytes()
    spoil(path)
    again = trial("aand", shared, epochs=1)
    assert stages_trained(again) == ["amplify", "distil"]
    assert again.reused_seconds == 0
    assert load_file(path).keys() == stage_tensors(again.stages[0]).keys()
    assert len(path.read_bytes()) == pytest.approx(len(whole), abs=64)
    assert stages_trained(trial("aand", shared, epochs=1)) == ["distil"]


def test_a_trial_in_the_middle_of_its_first_stage_passes_over_the_rest(trial, shared, tmp_path):
    slow = trial("aand", shared, epochs=4)
    slow.step()
    quick = trial("aand", shared, epochs=4)
    quick.run()
    assert slow.step().epoch == 5
    assert 0 < slow.reused_seconds < quick.train_seconds
    save_state(tmp_path / "state.pt", slow.state())
    resumed = trial("aand", shared, epochs=4)
    resumed.load_state(load_state(tmp_path / "state.pt"))
    assert resumed.reused_seconds == slow.reused_seconds
    for trainer in (slow, resumed):
        trainer.run()
        expected = quick.method.learned_state()
        assert all(torch.equal(expected[key], value) for key, value in trainer.method.learned_state().items())


def test_a_stage_of_halved_batches_is_not_given_on(trial, shared):
    trainer = trial("aand", shared, epochs=1)
    trainer._gradients.parts = 2
    trainer.run()
    assert not shared.folder.exists()


def test_a_stage_that_went_on_in_another_precision_is_not_given_on(trial, shared):
    started = trial("aand", None, precision="bfloat16")
    started.step()
    resumed = trial("aand", shared, precision="float32")
    resumed.load_state(started.state())
    resumed.run()
    assert not shared.folder.exists()


def test_the_results_used_last_are_kept(trial, shared):
    trainer = trial("aand", shared)
    tensors = stage_tensors(trainer.stages[0])
    for age, key in ((30, "a"), (20, "b")):
        shared.give("bottle", key, tensors, 1.0)
        moment = time.time() - age
        os.utime(shared.folder / "bottle" / f"{key}.safetensors", (moment, moment))
    left = shared.folder / "bottle" / ".a.safetensors.0.tmp"
    left.write_bytes(b"of a killed worker")
    os.utime(left, (1, 1))
    assert shared.take("bottle", "a", tensors).seconds == 1.0
    shared.give("bottle", "c", tensors, 1.0)
    assert [path.stem for path in kept(shared)] == ["a", "c"]


def test_nothing_is_shared_where_it_is_not_asked_for_or_cannot_be_written(trial, shared, tmp_path):
    tensors = stage_tensors(trial("aand", None).stages[0])
    shared.give("cable", "a", tensors, 1.0)
    elsewhere = StageResults(folder=tmp_path / "not here" / "stages", keep={"bottle": 2}, teacher="a" * 64)
    elsewhere.give("bottle", "a", tensors, 1.0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "stages").write_bytes(b"a file in the way")
    trainer = trial("aand", shared, epochs=1)
    trainer.run()
    assert trainer.finished


def test_only_trials_of_the_same_precision_share(trial, shared, monkeypatch):
    """Also where nobody asked for one: nodes with unlike GPUs choose by themselves."""

    def key(asked, *, able):
        chosen = Hardware(kind="cuda", bfloat16=able, tf32=able)
        monkeypatch.setattr(Hardware, "of", lambda device: chosen)
        found = trial("aand", shared, precision=asked)
        return found._first_stage_key(shared)

    assert key("auto", able=True) != key("auto", able=False)
    assert key("float32", able=True) == key("float32", able=False)
