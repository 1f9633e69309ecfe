"""Early stopping: within a category alone, by detecting epochs alone."""

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from kdzoo.search.scheduler import CategoryScheduler

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


@pytest.fixture
def scheduler():
    return CategoryScheduler(9)


def trial(scheduler, category, number):
    made = Trial("unused", trial_id=f"{category}{number}", config={"category": category, "number": number}, stub=True)
    scheduler.on_trial_add(None, made)
    return made


def result(epoch, objective):
    return {"selection_epoch": epoch, "objective": objective, "training_iteration": epoch}


def test_a_poor_trial_is_stopped_and_a_good_one_is_not(scheduler):
    for number in range(3):
        good = trial(scheduler, "bottle", number)
        assert scheduler.on_trial_result(None, good, result(1, 0.9)) == CONTINUE
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 3), result(1, 0.5)) == STOP
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 4), result(1, 0.95)) == CONTINUE


def test_categories_are_never_compared(scheduler):
    for number in range(5):
        scheduler.on_trial_result(None, trial(scheduler, "bottle", number), result(1, 0.99))
    hard = [trial(scheduler, "cable", number) for number in range(2)]
    assert [scheduler.on_trial_result(None, one, result(1, 0.5)) for one in hard] == [CONTINUE, CONTINUE]
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 9), result(1, 0.5)) == STOP


def test_a_stage_that_cannot_be_measured_is_not_compared(scheduler):
    for number in range(3):
        scheduler.on_trial_result(None, trial(scheduler, "bottle", number), result(1, 0.9))
    late = trial(scheduler, "bottle", 3)
    for epoch in range(1, 20):
        unmeasured = {"selection_epoch": 0, "training_iteration": epoch}
        assert scheduler.on_trial_result(None, late, unmeasured) == CONTINUE
    assert scheduler.on_trial_result(None, late, result(1, 0.5)) == STOP


def test_the_last_epoch_stops_nothing_by_itself(scheduler):
    only = trial(scheduler, "bottle", 0)
    assert [scheduler.on_trial_result(None, only, result(epoch, 0.5)) for epoch in range(1, 12)] == [CONTINUE] * 11


def test_a_trial_that_ends_or_is_lost_can_be_added_again(scheduler):
    lost = trial(scheduler, "bottle", 0)
    scheduler.on_trial_error(None, lost)
    scheduler.on_trial_add(None, lost)
    assert scheduler.on_trial_result(None, lost, result(1, 0.5)) == CONTINUE
    scheduler.on_trial_complete(None, lost, {"failure": "the loss became nan", "done": True})
    scheduler.on_trial_complete(None, trial(scheduler, "bottle", 1), result(1, 0.5))
    removed = trial(scheduler, "bottle", 2)
    scheduler.on_trial_remove(None, removed)
    assert scheduler.debug_string() == "ASHA in 1 categories"
