"""The time budget counts over all drivers of a sweep."""

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run import training_time
from kdzoo.search.run.training_time import TrainingTime


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(tmp_path / "night")


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(training_time.time, "monotonic", lambda: now[0])
    return now


def driven(folder, clock, seconds, *, budget=60.0, steps=1, killed=False):
    """A driver that trains for so long; gives what it saw as left before."""
    time = TrainingTime(folder, budget)
    left = time.left()
    time.begin()
    for _ in range(steps):
        clock[0] += seconds / steps
        time.on_step_end(0, [])
    if not killed:
        time.end()
    return left


def test_what_earlier_drivers_trained_counts(folder, clock):
    assert driven(folder, clock, 25) == 60.0
    clock[0] += 1000  # nothing drives it
    assert driven(folder, clock, 30) == 35.0
    assert driven(folder, clock, 30) == 5.0
    assert TrainingTime(folder, 60.0).left() == 0.0
    assert TrainingTime(folder, 100.0).left() == 15.0, "a larger one goes on"
    assert TrainingTime(folder, None).left() is None


def test_of_a_killed_driver_at_most_ten_seconds_are_lost(folder, clock):
    driven(folder, clock, 44.0, steps=44, killed=True)
    assert 34.0 <= folder.trained_seconds() <= 44.0


def test_a_driver_that_trains_nothing_writes_nothing(folder, clock):
    time = TrainingTime(folder, 60.0)
    time.end()
    assert not folder.path.exists() and time.spent() == 0.0


def test_a_damaged_file_is_named(folder):
    folder.path.mkdir()
    (folder.path / "trained.json").write_text("{")
    with pytest.raises(SweepError, match=r"trained\.json"):
        TrainingTime(folder, 60.0)
