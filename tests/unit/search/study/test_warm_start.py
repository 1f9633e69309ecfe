"""Warm start: who lends what to whom."""

import pytest

from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.warm_start import QUOTA, Loan, WarmStart

SPACE = SearchSpace(
    method="aand",
    defaults=AANDConfig(),
    dimensions={
        "margin": Dimension(kind="float", low=0.0, high=1.0),
        "prototypes": Dimension(kind="int", low=10, high=90),
    },
)
START = SPACE.start()


def values(margin, prototypes=50):
    return {"margin": margin, "prototypes": prototypes}


@pytest.fixture
def warm():
    made = WarmStart(dict.fromkeys(("a", "b", "c", "d"), SPACE), trials=30)
    for category in ("a", "b", "c", "d"):
        made.asked(category, START, borrowed=False)
    return made


def tried(warm, category, *trials, start=0.5):
    """Ended trials of a category, its first one among them."""
    warm.ended(category, START, start)
    for margin, objective in trials:
        warm.asked(category, values(margin), borrowed=False)
        warm.ended(category, values(margin), objective)


def test_nothing_is_lent_that_did_not_beat_the_first_trial(warm):
    tried(warm, "a", (0.8, 0.4), (0.9, 0.5))
    assert warm.offer("b") is None
    tried(warm, "a", (0.6, 0.51))
    assert warm.offer("b") == ("a", values(0.6))


def test_what_failed_or_was_stopped_is_not_lent(warm):
    tried(warm, "a", (0.8, None))
    assert warm.offer("b") is None
    warm.ended("c", START, None)
    warm.ended("c", values(0.7), 0.99)
    assert warm.offer("b") is None


def test_scales_do_not_mix(warm):
    tried(warm, "a", (0.7, 0.12), (0.6, 0.13), (0.8, 0.14), start=0.1)
    tried(warm, "c", (0.2, 0.99), start=0.9)
    assert warm.offer("b") == ("a", values(0.8))


def test_what_failed_elsewhere_comes_after_what_did_not(warm):
    tried(warm, "a", (0.7, 0.6), (0.8, 0.7), (0.9, 0.8))
    tried(warm, "c", (0.1, 0.9))
    assert warm.offer("b") == ("a", values(0.9))
    warm.asked("d", values(0.9), borrowed=True)
    warm.ended("d", START, 0.5)
    warm.ended("d", values(0.9), 0.3)
    assert warm.offer("b") == ("c", values(0.1))


def test_what_was_tried_already_is_passed_over(warm):
    tried(warm, "a", (0.8, 0.9))
    warm.asked("b", values(0.81), borrowed=False)
    assert warm.offer("b") is None
    assert warm.offer("c") == ("a", values(0.8))


def test_most_of_the_search_stays_the_categorys_own(warm):
    borrowed = 0
    for step in range(30):
        tried(warm, "a", (0.35 + step / 50, 0.6 + step / 100))
        offer = warm.offer("b")
        if offer is not None:
            borrowed += 1
            warm.asked("b", offer[1], borrowed=True)
            assert warm.offer("b") is None
        warm.asked("b", values(0.0, 10), borrowed=False)
    assert borrowed == warm.borrowed("b") == QUOTA


def test_few_trials_allow_one_loan_and_the_first_is_ones_own():
    loans = [Loan(category="x", config=AANDConfig(margin=margin).as_dict(), trials=4) for margin in (0.7, 0.9)]
    warm = WarmStart({"b": SPACE}, trials=3, loans=loans)
    assert warm.offer("b") is None
    warm.asked("b", START, borrowed=False)
    lender, offered = warm.offer("b")
    assert (lender, offered) == ("x", values(0.7))
    warm.asked("b", offered, borrowed=True)
    warm.asked("b", values(0.2), borrowed=False)
    assert warm.offer("b") is None


def test_an_earlier_sweeps_same_category_comes_first():
    loans = [
        Loan(category=name, config=AANDConfig(margin=margin).as_dict(), trials=4)
        for name, margin in (("x", 0.7), ("b", 0.9), ("y", 0.8))
    ]
    warm = WarmStart({"b": SPACE}, trials=9, loans=loans)
    warm.asked("b", START, borrowed=False)
    assert warm.offer("b") == ("b", values(0.9))


def test_a_configuration_is_moved_into_the_borrowers_space():
    narrow = SearchSpace(
        method="aand",
        defaults=AANDConfig(prototypes=20),
        dimensions={"margin": Dimension(kind="float", low=0.0, high=0.6)},
    )
    warm = WarmStart({"a": SPACE, "b": narrow}, trials=9)
    warm.asked("a", START, borrowed=False)
    warm.asked("b", narrow.start(), borrowed=False)
    tried(warm, "a", (0.9, 0.8))
    assert warm.offer("b") == ("a", {"margin": 0.6})


def test_what_is_tried_again_and_stopped_is_still_lent(warm):
    tried(warm, "a", (0.8, 0.9), (0.8, None), (0.3, 0.6))
    assert warm.offer("b") == ("a", values(0.8))
    tried(warm, "c", (0.4, 0.9))
    warm.ended("c", START, None)
    warm.ended("c", values(0.2), 0.95)
    warm.ended("a", values(0.8), 0.55)
    assert warm._ledger("c").best == tuple(sorted(values(0.2).items()))
    assert warm._judged[tuple(sorted(values(0.2).items()))] == {"c": True}
