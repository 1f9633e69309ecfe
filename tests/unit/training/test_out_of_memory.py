"""A GPU whose memory does not hold a batch: by halves once, then a clear end. The error is PyTorch's own."""

import dataclasses

import pytest
import torch
from helpers.trials import small_spec, small_trial, toy

from kdzoo.errors import CheckpointError, DeviceMemoryError
from kdzoo.training.outcome import conclude
from kdzoo.training.trainer import Trainer

FULL = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has a total capacity of 8 GiB"


def filling(trainer, *, holds, after=0):
    """Lets every stage's loss fail on more than ``holds`` images after ``after`` calls; gives the calls."""
    seen = []

    def guarded(loss):
        def run(batch):
            seen.append(len(batch.images))
            if len(seen) > after and len(batch.images) > holds:
                raise torch.OutOfMemoryError(FULL)
            return loss(batch)

        return run

    trainer.stages = [dataclasses.replace(stage, loss=guarded(stage.loss)) for stage in trainer.stages]
    return seen


def trial(tmp_path, method="rd", **changes):
    toy(tmp_path)
    return small_trial(tmp_path, method, **{"config": {"batch_size": 4}, "epochs": 2, **changes})


def test_half_the_batch_from_then_on(tmp_path):
    trainer = trial(tmp_path)
    seen = filling(trainer, holds=2, after=1)
    results = [trainer.step(), trainer.step()]
    # Whole, whole again and full, in halves, and in halves without another attempt.
    assert seen[:2] == [4, 4]
    assert set(seen[2:]) == {2}
    assert [result.parts for result in results] == [1, 2]
    assert trainer.finished
    document = conclude(trainer).document
    assert document["batches"]["images"] == 4
    assert document["batches"]["parts"] == 2
    assert "batch norm" in document["batches"]["note"]


def test_a_trial_that_never_ran_out_says_so(tmp_path):
    trainer = trial(tmp_path, epochs=1)
    trainer.run()
    assert conclude(trainer).document["batches"] == {"images": 4, "parts": 1}


def test_going_on_from_a_checkpoint_stays_with_halves(tmp_path):
    trainer = trial(tmp_path)
    filling(trainer, holds=2)
    trainer.step()
    state = trainer.state()
    again = trial(tmp_path)
    again.load_state(state)
    seen = filling(again, holds=2)
    again.step()
    assert set(seen) == {2}
    with pytest.raises(CheckpointError, match="not in 3"):
        trial(tmp_path).load_state({**state, "parts": 3})


@pytest.mark.parametrize(
    ("size", "holds", "tried"), [(4, 1, "batches of 4 images in 2 parts"), (1, 0, "batches of 1 images:")]
)
def test_the_second_time_the_trial_ends_with_its_reason(tmp_path, size, holds, tried):
    trainer = trial(tmp_path, config={"batch_size": size})
    filling(trainer, holds=holds)
    with pytest.raises(DeviceMemoryError) as caught:
        trainer.step()
    assert tried in caught.value.message
    assert "in stage 'distil' of rd on toy/bottle" in caught.value.message
    assert "Tried to allocate 2.00 GiB." in caught.value.message
    assert "total capacity" not in caught.value.message
    assert "--gpus-per-trial" in caught.value.hint
    # What holds a traceback holds the tensors in it.
    assert caught.value.__cause__ is None


def test_memory_that_runs_out_while_measuring(tmp_path, monkeypatch):
    trainer = trial(tmp_path)

    def full(self):
        raise torch.OutOfMemoryError(FULL)

    monkeypatch.setattr(Trainer, "_measure", full)
    with pytest.raises(DeviceMemoryError, match="batches of 4 images: CUDA out of memory"):
        trainer.run()


def test_every_stage_may_run_out(tmp_path):
    trainer = trial(tmp_path, method="aand", epochs=1)
    seen = filling(trainer, holds=2, after=1)
    trainer.run()
    assert trainer.parts == 2
    assert seen == [4, 4, 2, 2]
    assert small_spec("aand").config.batch_size == 2
