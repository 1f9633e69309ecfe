"""Ranks over categories, and the portfolio made of them. The numbers can be followed by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.search.study.ranks import mean_ranks, portfolio, ranks_within, wins

TABLES = st.dictionaries(
    st.sampled_from("uvwxyz"),
    st.dictionaries(st.integers(0, 6), st.none() | st.floats(0, 1), min_size=1),
    min_size=1,
)


def test_ranks_are_shares_from_the_best_to_the_worst():
    assert ranks_within({"a": 0.9, "b": 0.5, "c": 0.7}) == {"a": 0.0, "c": 0.5, "b": 1.0}


def test_equal_ones_share_a_rank_and_what_did_not_end_is_last():
    assert ranks_within({"a": 0.9, "b": 0.9, "c": None, "d": 0.1, "e": None}) == {
        "a": 0.125,
        "b": 0.125,
        "d": 0.5,
        "c": 0.875,
        "e": 0.875,
    }
    assert ranks_within({"a": None}) == {"a": 0.5}


def test_the_mean_is_over_the_categories_that_tried_it():
    table = {"bottle": {"a": 0.9, "b": 0.8}, "cable": {"a": 0.1, "b": 0.2}, "screw": {"b": 0.4, "c": 0.5}}
    assert mean_ranks(table) == pytest.approx({"a": 0.5, "b": 2 / 3, "c": 0.0})


@given(TABLES)
def test_ranks_of_a_category_are_a_half_in_the_mean(table):
    for reached in table.values():
        found = ranks_within(reached)
        assert found.keys() == reached.keys()
        assert sum(found.values()) / len(found) == pytest.approx(0.5)
        assert all(0.0 <= rank <= 1.0 for rank in found.values())


def test_a_portfolio_has_one_for_each_category_the_all_rounder_first():
    table = {
        "bottle": {"all": 0.8, "bottle's": 0.9, "poor": 0.1},
        "cable": {"all": 0.8, "cable's": 0.9, "poor": 0.1},
        "screw": {"all": 0.9, "poor": 0.2},
    }
    # Each gains a half, in the one category where it is the best: who is so in an earlier one comes first.
    assert portfolio(table, 3) == ["bottle's", "all", "cable's"]
    assert portfolio(table, 1) == ["bottle's"]
    # Where two categories are best served by the same, that is first.
    table["nut"] = {"all": 0.9, "poor": 0.2}
    assert portfolio(table, 9) == ["all", "bottle's", "cable's"]


def test_what_is_tried_anyway_is_not_in_a_portfolio_and_neither_is_what_adds_nothing():
    table = {"bottle": {"own": 0.9, "other": 0.8}, "cable": {"own": 0.5, "other": 0.6}}
    assert portfolio(table, 3, beside=["own"]) == ["other"]
    table["cable"]["other"] = 0.4
    assert portfolio(table, 3, beside=["own"]) == []
    assert portfolio({}, 3) == []


@given(TABLES, st.integers(0, 5))
def test_a_portfolio_is_of_what_was_tried_each_once(table, size):
    chosen = portfolio(table, size)
    assert len(chosen) == len(set(chosen)) <= size
    assert set(chosen) <= {key for reached in table.values() for key in reached}


def test_wins_count_where_both_were_tried():
    table = {"u": {"a": 0.5, "b": 0.5}, "v": {"a": None, "b": 0.1}, "w": {"a": 0.9}, "x": {"a": 0.7, "b": None}}
    assert wins(table, "a", "b") == [True, False, True]
