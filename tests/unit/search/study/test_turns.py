"""Whose trial is next: in turn, or the worst category's, without any of the others starving."""

from collections import Counter

import pytest

from kdzoo.search.study.turns import FIRST, TURN, Turns

TWELVE = [f"part{number:02d}" for number in range(12)]


def played(turns, best, *, trials):
    """The order in which one trial after the other is handed out and ends."""
    order = []
    for _ in range(trials):
        category = turns.next(best)
        turns.began(category)
        turns.ended(category)
        order.append(category)
    return order


def reached(category):
    """A category's best objective: part00 the worst, part11 the best."""
    return int(category[-2:]) / 20


def test_fair_takes_turns():
    turns = Turns(TWELVE, trials=5, priority="fair")
    assert played(turns, reached, trials=60) == TWELVE * 5
    assert turns.next(reached) is None


def test_worst_first_begins_with_the_first_trials_of_all():
    turns = Turns(TWELVE, trials=10, priority="worst-first")
    assert played(turns, reached, trials=12 * FIRST) == TWELVE * FIRST


def test_worst_first_then_goes_to_the_worst_and_one_in_four_in_turn():
    turns = Turns(TWELVE, trials=10, priority="worst-first")
    played(turns, reached, trials=12 * FIRST)
    order = played(turns, reached, trials=12)
    # One turn each for those with the fewest trials; all others for the worst, seven until it has its ten.
    assert order[::TURN] == ["part00", "part01", "part02"]
    assert Counter(order) == {"part00": 7, "part01": 4, "part02": 1}


def test_worst_first_leaves_none_behind_in_the_end():
    turns = Turns(TWELVE, trials=10, priority="worst-first")
    assert Counter(played(turns, reached, trials=120)) == dict.fromkeys(TWELVE, 10)
    assert turns.next(reached) is None


def test_a_category_that_gets_better_is_no_longer_the_worst():
    best = dict.fromkeys(TWELVE, 0.5) | {"part03": 0.1}
    turns = Turns(TWELVE, trials=50, priority="worst-first", done=dict.fromkeys(TWELVE, 4))
    assert set(played(turns, best.get, trials=8)) == {"part00", "part01", "part03"}
    best["part03"] = 0.9
    assert "part03" not in played(turns, best.get, trials=8)


def test_a_category_without_a_result_comes_first():
    best = dict.fromkeys(TWELVE, 0.5) | {"part07": None}
    turns = Turns(TWELVE, trials=50, priority="worst-first", done=dict.fromkeys(TWELVE, 4))
    assert played(turns, best.get, trials=4).count("part07") == 3


@pytest.mark.parametrize("slots", [4, 24, 48])
def test_slots_that_fill_at_once_do_not_all_go_to_one_category(slots):
    turns = Turns(TWELVE, trials=50, priority="worst-first", done=dict.fromkeys(TWELVE, FIRST))
    running = Counter()
    for _ in range(slots):
        category = turns.next(reached)
        turns.began(category)
        running[category] += 1
        assert running["part00"] <= max(running.values())
        assert running["part00"] - min(running[name] for name in TWELVE) <= 3
    assert running["part00"] == max(running.values())


def test_what_earlier_drivers_ran_counts():
    turns = Turns(("a", "b"), trials=2, priority="fair", done={"a": 2})
    assert played(turns, {}.get, trials=2) == ["b", "b"]
    assert turns.next({}.get) is None


def test_a_category_that_is_given_up_has_no_more_trials():
    turns = Turns(("a", "b"), trials=2, priority="fair")
    assert played(turns, {}.get, trials=2) == ["a", "b"]
    turns.give_up("a")
    assert played(turns, {}.get, trials=1) == ["b"]
    assert turns.next({}.get) is None
