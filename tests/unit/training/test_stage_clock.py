"""Epochs over all stages: which stage they belong to, what is over, what is counted and measured."""

from types import SimpleNamespace

import pytest

from kdzoo.errors import ConfigError
from kdzoo.training.stage_clock import StageClock

FIRST, SECOND = SimpleNamespace(epochs=3, detects=False), SimpleNamespace(epochs=5, detects=True)


@pytest.fixture
def clock():
    return StageClock([FIRST, SECOND], evaluations=2)


def test_positions(clock):
    assert clock.total == 8
    assert [clock.position(epoch) for epoch in (0, 2, 3, 7)] == [(0, 0), (0, 2), (1, 0), (1, 4)]
    with pytest.raises(ConfigError, match="every stage of this trial is finished"):
        clock.position(8)


def test_what_is_over(clock):
    over = {0: [], 2: [], 3: [FIRST], 7: [FIRST], 8: [FIRST, SECOND], 9: [FIRST, SECOND]}
    assert {epochs: list(clock.over(epochs)) for epochs in over} == over


def test_only_epochs_of_detecting_stages_count(clock):
    assert [clock.selection_epoch(epochs) for epochs in (0, 3, 4, 8)] == [0, 0, 1, 5]


def test_evaluations_are_evenly_spaced_and_the_last_epoch_is_one(clock):
    assert [clock.due(SECOND, done) for done in range(1, 6)] == [False, False, True, False, True]
    assert not any(clock.due(FIRST, done) for done in range(1, 4))
    assert all(StageClock([SECOND], evaluations=20).due(SECOND, done) for done in range(1, 6))
