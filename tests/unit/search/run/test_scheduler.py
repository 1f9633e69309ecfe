"""Early stopping: within a category alone, by detecting epochs alone."""

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.study.race import ENOUGH
from kdzoo.search.workers.places import Places

CONTINUE, STOP = TrialScheduler.CONTINUE, TrialScheduler.STOP


@pytest.fixture
def scheduler():
    return CategoryScheduler(9, places=Places([].append, living=list))


def trial(scheduler, category, number):
    made = Trial("unused", trial_id=f"{category}{number}", config={"category": category, "number": number}, stub=True)
    scheduler.on_trial_add(None, made)
    return made


def result(epoch, objective):
    return {"selection_epoch": epoch, "objective": objective, "training_iteration": epoch}


def test_a_poor_trial_is_stopped_and_a_good_one_is_not(scheduler):
    for number in range(ENOUGH):
        good = trial(scheduler, "bottle", number)
        assert scheduler.on_trial_result(None, good, result(3, 0.9)) == CONTINUE
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 6), result(3, 0.5)) == STOP
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 7), result(3, 0.95)) == CONTINUE


def test_nobody_is_stopped_before_a_third_of_the_clock(scheduler):
    for number in range(2 * ENOUGH):
        scheduler.on_trial_result(None, trial(scheduler, "bottle", number), result(2, 0.9))
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 99), result(2, 0.1)) == CONTINUE


def test_each_category_has_a_clock_of_its_own():
    ends = {"cable": 90}
    scheduler = CategoryScheduler(90, places=Places([].append, living=list), ends={**ends, "bottle": 9})
    assert [scheduler.race(name).rungs for name in ("bottle", "cable", "other")] == [(3, 6), (30, 60), (30, 60)]


def test_categories_are_never_compared(scheduler):
    for number in range(ENOUGH):
        scheduler.on_trial_result(None, trial(scheduler, "bottle", number), result(3, 0.99))
    hard = [trial(scheduler, "cable", number) for number in range(2)]
    assert [scheduler.on_trial_result(None, one, result(3, 0.5)) for one in hard] == [CONTINUE, CONTINUE]
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 9), result(3, 0.5)) == STOP


def test_a_stage_that_cannot_be_measured_is_not_compared(scheduler):
    for number in range(ENOUGH):
        scheduler.on_trial_result(None, trial(scheduler, "bottle", number), result(3, 0.9))
    late = trial(scheduler, "bottle", 9)
    for epoch in range(1, 20):
        unmeasured = {"selection_epoch": 0, "training_iteration": epoch}
        assert scheduler.on_trial_result(None, late, unmeasured) == CONTINUE
    assert scheduler.on_trial_result(None, late, result(3, 0.5)) == STOP


def test_the_last_epoch_stops_nothing_by_itself(scheduler):
    only = trial(scheduler, "bottle", 0)
    assert [scheduler.on_trial_result(None, only, result(epoch, 0.5)) for epoch in range(1, 12)] == [CONTINUE] * 11


def test_a_trial_that_ends_or_is_lost_can_be_added_again(scheduler):
    lost = trial(scheduler, "bottle", 0)
    scheduler.on_trial_error(None, lost)
    scheduler.on_trial_add(None, lost)
    assert scheduler.on_trial_result(None, lost, result(3, 0.5)) == CONTINUE
    scheduler.on_trial_complete(None, lost, {"failure": "the loss became nan", "done": True})
    scheduler.on_trial_complete(None, trial(scheduler, "bottle", 1), result(3, 0.5))
    removed = trial(scheduler, "bottle", 2)
    scheduler.on_trial_remove(None, removed)
    assert scheduler.debug_string() == "ASHA in 1 categories"


def test_trials_of_an_earlier_driver_are_in_the_race(scheduler):
    measurements = [[1, 0.2], [3, 0.5], [5, 0.7], [6, 0.8], [9, 0.9]]
    for number in range(ENOUGH):
        scheduler.remember("bottle", f"bottle-{number:04}", measurements)
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 8), result(3, 0.4)) == STOP
    good = trial(scheduler, "bottle", 9)
    assert scheduler.on_trial_result(None, good, result(3, 0.6)) == CONTINUE
    assert scheduler.on_trial_result(None, good, result(6, 0.7)) == STOP, "at the second rung they had 0.8"


def test_an_earlier_trial_counts_as_far_as_it_came(scheduler):
    for number in range(ENOUGH):
        scheduler.remember("bottle", f"bottle-{number:04}", [[3, 0.9], [5, 0.9]])
    late = trial(scheduler, "bottle", 8)
    assert scheduler.on_trial_result(None, late, result(6, 0.1)) == CONTINUE, "none of them was measured so late"
    assert scheduler.on_trial_result(None, trial(scheduler, "bottle", 9), result(3, 0.1)) == STOP


def test_tries_wait_longer_and_longer(scheduler):
    lost, pauses = trial(scheduler, "bottle", 0), []
    for failures in (1, 2, 3, 4):
        lost.run_metadata.num_failures = failures
        scheduler.on_trial_error(None, lost)
        pauses.append(lost.config["pause"])
    assert pauses == [0.0, 4.0, 16.0, 16.0]


def test_a_resumed_race_stands_as_the_one_before(scheduler):
    """Also where few epochs are measured, and none at a rung."""
    resumed, measurements = CategoryScheduler(9, places=Places([].append, living=list)), [[2, 0.5], [5, 0.7], [9, 0.8]]
    first = trial(scheduler, "bottle", 0)
    for epoch, objective in measurements[:-1]:
        scheduler.on_trial_result(None, first, result(epoch, objective))
    scheduler.on_trial_complete(None, first, result(*measurements[-1]))
    resumed.remember("bottle", first.trial_id, measurements)
    races = [each.race("bottle").measured for each in (scheduler, resumed)]
    assert races[0] == races[1] == {3: {"bottle0": 0.7}, 6: {"bottle0": 0.8}}
