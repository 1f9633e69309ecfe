"""How a stage spends its steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.methods.base import OptimizerConfig, Stage
from kdzoo.methods.rd.config import RDConfig
from kdzoo.training.images import shuffled_batches
from kdzoo.training.pace import Pace


def pace(images, *, epochs=4, seed=(0, 0), optimizer=None, **knobs):
    stage = Stage(
        name="distil",
        epochs=epochs,
        synthesis=None,
        modules=[],
        loss=lambda batch: {},
        optimizer=optimizer or OptimizerConfig(learning_rate=1.0),
    )
    return Pace(RDConfig(**knobs), stage, images, seed)


def rates(made, epochs):
    return [made.rate(epoch, step) for epoch in range(epochs) for step in range(made.steps)]


def test_an_epoch_is_a_pass_as_published():
    made = pace(10, batch_size=4)
    assert (made.steps, made.passes(0), made.passes(3)) == (3, 4, 1)
    expected = shuffled_batches(10, 4, np.random.default_rng(7))
    for one, other in zip(made.batches(2, np.random.default_rng(7)), expected, strict=True):
        assert one.tolist() == other.tolist()


@given(
    images=st.integers(1, 60),
    batch=st.integers(1, 20),
    steps=st.integers(1, 30),
    epochs=st.integers(1, 6),
)
def test_steps_do_not_depend_on_the_number_of_images_and_every_pass_takes_each_once(images, batch, steps, epochs):
    made = pace(images, epochs=epochs, batch_size=batch, epoch_steps=steps)
    taken = [made.batches(epoch, np.random.default_rng(0)) for epoch in range(epochs)]
    assert [len(each) for each in taken] == [steps] * epochs
    flat = [index for each in taken for indices in each for index in indices.tolist()]
    assert all(1 <= len(indices) <= batch for each in taken for indices in each)
    whole, rest = divmod(len(flat), images)
    for number in range(whole):
        assert sorted(flat[number * images : (number + 1) * images]) == list(range(images))
    assert len(set(flat[whole * images :])) == rest
    assert made.passes(0) == whole + (rest > 0)


def test_passes_differ_and_follow_from_the_seed_alone():
    first, again, other = (pace(40, batch_size=40, epoch_steps=2, seed=seed) for seed in ((1, 0), (1, 0), (1, 1)))
    drawn = [[each.tolist() for each in made.batches(1, np.random.default_rng(0))] for made in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][0] != drawn[0][1]


def test_the_published_rate_falls_between_epochs():
    falling = OptimizerConfig(learning_rate=1.0, milestones=(0.5,), decay=0.25)
    assert rates(pace(4, batch_size=2, optimizer=falling), 4) == [1.0] * 4 + [0.25] * 4


def test_a_cosine_falls_to_nothing_after_the_last_step():
    found = rates(pace(1, batch_size=1, schedule="cosine"), 4)
    assert found == pytest.approx([1.0, 0.5 + 2**-1.5, 0.5, 0.5 - 2**-1.5])


def test_warm_up_rises_linearly_to_the_full_rate():
    assert rates(pace(1, batch_size=1, epoch_steps=2, warmup=0.5), 4) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0]
    cycle = rates(pace(1, batch_size=1, epoch_steps=2, warmup=0.5, schedule="cosine"), 4)
    assert cycle == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 0.5 + 2**-1.5, 0.5, 0.5 - 2**-1.5])


def test_steps_of_an_epoch_do_not_change_the_published_milestones():
    falling = OptimizerConfig(learning_rate=1.0, milestones=(0.8, 0.9), decay=0.2)
    one, other = (pace(9, epochs=10, epoch_steps=steps, optimizer=falling) for steps in (0, 5))
    assert [one.rate(epoch, 0) for epoch in range(10)] == [other.rate(epoch, 4) for epoch in range(10)]
