"""Early stopping waits for a third of the clock and for enough trials, and never comes at the end."""

import math
import random

import pytest

from kdzoo.search.study.race import ENOUGH, Race, rungs


@pytest.mark.parametrize("end", [*range(1, 61), 90, 100, 200, 365, 1000])
def test_rungs_are_neither_early_nor_at_the_end(end):
    found = rungs(end)
    assert list(found) == sorted(set(found)) and len(found) <= 2
    assert all(end / 3 <= rung < 0.9 * end for rung in found)
    assert len(found) == 2 or end <= 2


def test_the_rungs_of_common_clocks():
    assert {end: rungs(end) for end in (1, 2, 3, 4, 9, 10, 12, 100)} == {
        1: (),
        2: (1,),
        3: (1, 2),
        4: (2, 3),
        9: (3, 6),
        10: (4, 7),
        12: (4, 8),
        100: (34, 67),
    }


def test_before_the_first_rung_nobody_is_compared():
    race = Race(9)
    assert all(race.goes_on(f"t{number}", epoch, 0.9) for number in range(9) for epoch in (1, 2))
    assert race.measured == {3: {}, 6: {}}
    assert race.goes_on("poor", 2, 0.0)


def test_the_first_ones_at_a_rung_pass_whatever_they_reached():
    race = Race(9)
    assert [race.goes_on(f"t{number}", 3, 1.0 - number / 10) for number in range(ENOUGH)] == [True] * ENOUGH
    assert not race.goes_on("next", 3, 0.1)
    assert race.goes_on("best", 3, 1.1)
    assert race.goes_on("t0", 6, 0.0), "nobody was at the second rung yet"


def test_a_third_goes_on_and_equal_ones_do():
    dice, race = random.Random(0), Race(90)
    passed = sum(race.goes_on(f"t{number}", 30, dice.random()) for number in range(3000))
    assert passed / 3000 == pytest.approx(1 / 3, abs=0.03)
    even = Race(90)
    assert all(even.goes_on(f"t{number}", 30, 1.0) for number in range(20))


def test_a_trial_is_compared_once_a_rung_and_later_ones_count_where_they_are_measured():
    race = Race(9)
    for number in range(ENOUGH):
        race.goes_on(f"t{number}", 4, 0.5)
    assert not race.goes_on("poor", 5, 0.4)
    assert race.goes_on("poor", 5, 0.4), "once it is told, it is Ray's to stop"
    assert race.measured[3] == {**{f"t{number}": 0.5 for number in range(ENOUGH)}, "poor": 0.4}


def test_what_is_not_finite_is_worse_than_all_others():
    race = Race(9)
    for number in range(ENOUGH):
        assert race.goes_on(f"t{number}", 3, math.nan)
    assert all(race.goes_on(name, 3, 0.1) for name in ("some", "other", "third"))
    assert not race.goes_on("nan", 3, math.nan)
