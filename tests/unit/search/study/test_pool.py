"""The pool: what all categories try, in which order, and what is spared them."""

import dataclasses

import pytest

from kdzoo.methods.aand.config import AANDConfig
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.pool import ENOUGH, Pool, pool_size

SPACE = SearchSpace(
    method="aand",
    defaults=AANDConfig(),
    dimensions={
        "margin": Dimension(kind="float", low=0.0, high=1.0),
        "prototypes": Dimension(kind="int", low=10, high=90),
    },
)
NAMES = tuple("abcdefghijkl")


def make(names=NAMES, **given):
    return Pool(dict.fromkeys(names, SPACE), **{"size": 4, "seed": 0, **given})


class Sweep:
    """Asks the pool as the studies do; a trial's number is how many its category had before."""

    def __init__(self, pool, names=NAMES, space=SPACE):
        self.pool, self.tried = pool, {name: [] for name in names}
        for name in names:
            self._asked(name, 0, space.start(), space.start())

    def _asked(self, name, entry, shared, values):
        self.pool.asked(name, len(self.tried[name]), entry, shared)
        self.tried[name].append(values)

    def ask(self, name):
        offered = self.pool.offer(name, self.tried[name])
        if offered is not None:
            self._asked(name, offered.entry, offered.shared, offered.values)
        return offered


@pytest.mark.parametrize(("trials", "of_pool"), [(1, 1), (2, 1), (3, 2), (8, 4), (9, 5)])
def test_half_of_the_trials_are_of_the_pool(trials, of_pool):
    assert pool_size(trials) == of_pool


def test_all_categories_try_the_same_and_each_its_share():
    sweep = Sweep(make())
    rounds = [[sweep.ask(name) for name in NAMES] for _ in range(3)]
    for number, asked in enumerate(rounds, 1):
        assert {each.entry for each in asked} == {number}
        assert len({tuple(each.values.items()) for each in asked}) == 1
    assert all(sweep.ask(name) is None for name in NAMES)
    distances = [SPACE.distance(one, other) for one in sweep.tried["a"] for other in sweep.tried["a"] if one != other]
    assert min(distances) >= 0.05


def test_a_category_that_has_not_had_its_defaults_waits_for_them():
    assert make().offer("a", []) is None


def test_the_same_is_drawn_again_from_the_same_results_and_another_for_another_seed():
    drawn = []
    for seed in (0, 0, 1):
        sweep = Sweep(make(seed=seed))
        sweep.pool.ended("a", 0, (0.5,))
        drawn.append([dict(sweep.ask(name).values) for name in ("a", "a", "b")])
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_sampler_learns_from_ranks_over_all_categories():
    """The objectives of the categories have other scales, and all rise with the margin."""
    sweep = Sweep(make(size=24))
    for _ in range(23):
        for place, name in enumerate(NAMES):
            offered = sweep.ask(name)
            sweep.pool.ended(name, offered.entry, (100.0**place * (1.0 + offered.values["margin"]),))
    margins = [values["margin"] for values in sweep.tried["a"]]
    drawn_at_random, modelled = margins[1:7], margins[7:]
    assert sum(modelled) / len(modelled) > sum(drawn_at_random) / len(drawn_at_random) + 0.1
    assert sweep.pool.best("a") == max(range(24), key=lambda number: margins[number])


def test_a_portfolio_comes_before_what_is_drawn():
    configs = [AANDConfig(margin=margin).as_dict() for margin in (0.9, 0.91, 0.1)]
    sweep = Sweep(make(size=5, portfolio=configs))
    asked = [sweep.ask("a").values["margin"] for _ in range(3)]
    assert asked[:2] == [0.9, 0.1]  # the second one is nearly the first
    assert asked[2] not in (0.9, 0.91, 0.1)


def test_without_draws_there_are_the_defaults_and_the_portfolio():
    sweep = Sweep(make(("a",), size=3, portfolio=[AANDConfig(margin=0.9).as_dict()], draws=False), ("a",))
    assert sweep.ask("a").values["margin"] == 0.9
    assert sweep.ask("a") is None


def beaten(sweep, categories, *, of=99):
    """Entry 1 loses against the defaults in the first ``of`` categories, and wins in the rest."""
    for place, name in enumerate(categories):
        offered = sweep.ask(name)
        assert offered.entry == 1
        sweep.pool.ended(name, 0, (0.5,))
        sweep.pool.ended(name, 1, (0.4 if place < of else 0.6,))


def test_what_nearly_always_loses_is_spared_the_others():
    sweep = Sweep(make())
    beaten(sweep, NAMES[: ENOUGH - 1])
    assert sweep.ask(NAMES[ENOUGH - 1]).entry == 1
    sweep = Sweep(make())
    beaten(sweep, NAMES[:ENOUGH])
    assert sweep.ask(NAMES[ENOUGH]).entry == 2
    # Who has tried it has had one of its share, and goes on to the same next one.
    assert sweep.ask("a").entry == 2


def test_what_wins_now_and_then_is_not():
    sweep = Sweep(make())
    beaten(sweep, NAMES[:ENOUGH], of=ENOUGH - 2)
    assert sweep.ask(NAMES[ENOUGH]).entry == 1


def test_the_best_is_that_of_the_best_mean_rank_and_not_of_the_category_alone():
    sweep = Sweep(make(("a", "b", "c")), ("a", "b", "c"))
    for name, second in (("a", 0.4), ("b", 0.9), ("c", 0.9)):
        sweep.pool.ended(name, 0, (0.5,))
        assert sweep.pool.best(name) == (0 if name != "a" else None)
        sweep.pool.ended(name, sweep.ask(name).entry, (second,))
    assert {name: sweep.pool.best(name) for name in "abc"} == {"a": 1, "b": 1, "c": 1}


def test_what_did_not_end_is_worse_than_all_and_is_no_categorys_best():
    sweep = Sweep(make(("a", "b")), ("a", "b"))
    for name in "ab":
        sweep.pool.ended(name, 0, (0.1,))
        sweep.pool.ended(name, sweep.ask(name).entry, None)
    assert sweep.pool.judged() == {0: 0.0, 1: 1.0}
    assert sweep.pool.best("a") == 0
    # Tried again it has a value, which a failure does not take back.
    sweep.pool.ended("a", 1, (0.7,))
    sweep.pool.ended("a", 1, None)
    assert sweep.pool.judged() == {0: 0.5, 1: 0.5}


def test_spaces_of_their_own_take_what_is_shared_as_near_as_they_can():
    narrow = dataclasses.replace(SPACE, dimensions={"margin": Dimension(kind="float", low=0.0, high=0.2)})
    spaces = {"a": narrow, "b": SPACE, "c": SPACE}
    pool = Pool(spaces, size=3, seed=0, portfolio=[AANDConfig(margin=0.9, prototypes=20).as_dict()])
    for name, space in spaces.items():
        pool.asked(name, 0, 0, space.start())
    assert pool.offer("b", [SPACE.start()]).values == {"margin": 0.9, "prototypes": 20}
    assert pool.offer("a", [{"margin": 0.0}]).values == {"margin": 0.2}
    # What is nearly its own defaults there is not tried again, and what nobody else was offered is not in the pool.
    assert pool.offer("a", [narrow.start()]) is None and pool.offer("a", [narrow.start()]) is None
    first = pool.offer("b", [SPACE.start()])
    assert (first.entry, first.values) == (1, {"margin": 0.9, "prototypes": 20})
    pool.asked("b", 1, first.entry, first.shared)
    assert pool.offer("c", [SPACE.start()]).entry == 1


def test_several_objectives_are_ranked_one_by_one():
    """What is drawn after the start depends on the second one, too."""
    drawn = []
    for sign in (1.0, -1.0):
        sweep = Sweep(make(("a", "b"), size=12, objectives=2), ("a", "b"))
        for _ in range(11):
            for name in "ab":
                offered = sweep.ask(name)
                sweep.pool.ended(name, offered.entry, (offered.values["margin"], sign * offered.values["prototypes"]))
        drawn.append([values["prototypes"] for values in sweep.tried["a"]])
    assert drawn[0][:4] == drawn[1][:4]
    assert drawn[0][4:] != drawn[1][4:]


@pytest.mark.parametrize("sampler", ["cmaes", "nsgaii", "qmc"])
def test_samplers_that_learn_elsewhere_leave_the_pool_to_tpe(sampler):
    drawn = []
    for name in (sampler, "tpe"):
        sweep = Sweep(make(("a", "b"), sampler=name), ("a", "b"))
        drawn.append([dict(sweep.ask("a").values) for _ in range(3)])
    assert drawn[0] == drawn[1]


def test_a_small_space_is_exhausted():
    space = dataclasses.replace(SPACE, dimensions={"width": Dimension(kind="categorical", choices=(0.5, 1.0))})
    pool = Pool({"a": space, "b": space}, size=6, seed=0)
    sweep = Sweep(pool, ("a", "b"), space)
    assert sweep.ask("a").values == {"width": 0.5}
    assert sweep.ask("a") is None
    empty = dataclasses.replace(SPACE, dimensions={})
    assert Sweep(Pool({"a": empty, "b": empty}, size=6, seed=0), ("a", "b"), empty).ask("a") is None
