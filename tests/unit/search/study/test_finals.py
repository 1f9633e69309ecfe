"""The final round: who takes part, who wins, and when the published one stays. The numbers can be followed by hand."""

import random
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import UsageError
from kdzoo.search.study.finals import PUBLISHED, FinalTrial, Scored, decide, plan_finals
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies

A, B, C, OTHER = ({"width": width} for width in (0.1, 0.2, 0.3, 0.4))


def asked(finals):
    return [(one.of, one.seed) for one in finals]


def test_the_best_few_under_the_other_seeds_and_the_published_one_under_all():
    finals = plan_finals([(4, A), (0, B), (2, C)], OTHER, finalists=2, seeds=(7, 8, 9))
    assert asked(finals) == [(PUBLISHED, 7), (4, 8), (0, 8), (PUBLISHED, 8), (4, 9), (0, 9), (PUBLISHED, 9)]
    assert finals[1] == FinalTrial(of=4, seed=8, config=A) == FinalTrial.from_dict(finals[1].as_dict())


def test_a_configuration_takes_part_once():
    finals = plan_finals([(4, A), (0, dict(A)), (2, C)], dict(C), finalists=2, seeds=(0, 1))
    assert asked(finals) == [(4, 1), (2, 1)]


@pytest.mark.parametrize(
    ("ranked", "published", "seeds"),
    [
        ([], None, (0, 1)),
        ([], OTHER, (0, 1)),
        ([(0, A)], None, (0, 1)),
        ([(0, A)], A, (0, 1)),
        ([(0, A), (1, B)], C, (0,)),
    ],
)
def test_where_there_is_nothing_to_compare_nothing_is_trained(ranked, published, seeds):
    assert plan_finals(ranked, published, finalists=3, seeds=seeds) == []


def scored(**groups):
    """``t4=(0.8, 0.6)``: trial 4 and its second seed; ``p`` is the published one's."""
    number = 100
    for name, values in groups.items():
        of = PUBLISHED if name == "p" else int(name[1:])
        for seed, value in enumerate(values):
            number += 1
            yield Scored(of=of, seed=seed, number=of if seed == 0 and of >= 0 else number, objective=value)


def test_the_mean_decides_and_the_best_seed_of_it_is_published():
    verdict = decide(scored(t0=(0.9, 0.5), t1=(0.7, 0.8)), seeds=(0, 1))
    assert verdict.means == pytest.approx({0: 0.7, 1: 0.75})
    assert verdict.number not in (0, 1)  # the second seed of trial 1 reached more
    assert (verdict.stays, verdict.difference) == (False, None)
    document = verdict.as_document()
    assert document["configurations"][0] == {"trial": 1, "mean": pytest.approx(0.75), "values": [0.7, 0.8]}
    assert "against_published" not in document


def test_of_equal_means_the_earlier_trial_wins():
    assert decide(scored(t3=(0.8, 0.6), t1=(0.6, 0.8)), seeds=(0, 1)).means == pytest.approx({3: 0.7, 1: 0.7})
    assert decide(scored(t3=(0.75, 0.65), t1=(0.8, 0.6)), seeds=(0, 1)).number == 1


@pytest.mark.parametrize(("published", "stays"), [((0.70, 0.60), False), ((0.83, 0.60), True), ((0.9, 0.9), True)])
def test_the_published_one_stays_unless_it_is_beaten_by_more_than_the_standard_error(published, stays):
    ours = (0.80, 0.72)
    verdict = decide(scored(t0=ours, p=published), seeds=(0, 1))
    first, second = (mine - its for mine, its in zip(ours, published, strict=True))
    mean = (first + second) / 2
    error = sqrt(((first - mean) ** 2 + (second - mean) ** 2) / 1) / sqrt(2)
    assert (verdict.difference, verdict.error) == (pytest.approx(mean), pytest.approx(error))
    assert verdict.stays is stays is (mean <= error)
    assert "stays" in verdict.note() and f"{mean:+.4f}" in verdict.note()


def test_what_failed_under_a_seed_takes_no_part():
    verdict = decide(scored(t0=(0.9, None), t1=(0.5, 0.6), p=(0.4, None)), seeds=(0, 1))
    assert (set(verdict.means), verdict.stays, verdict.difference) == ({1}, False, None)
    assert decide(scored(t0=(0.9, None), p=(0.4, 0.4)), seeds=(0, 1)) is None
    assert decide([], seeds=(0, 1)) is None


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6), st.randoms())
def test_the_order_in_which_trials_end_changes_nothing(groups, order):
    all_of_them = list(scored(**{f"t{number}": values for number, values in enumerate(groups)}, p=(0.5, 0.5, 0.5)))
    shuffled = list(all_of_them)
    order.shuffle(shuffled)
    verdict = decide(shuffled, seeds=(0, 1, 2))
    assert verdict == decide(all_of_them, seeds=(0, 1, 2))
    assert max(verdict.means[of] for of in verdict.means if of != PUBLISHED) == max(map(_mean, groups), default=0)


def _mean(values):
    from statistics import fmean

    return fmean(values)


def test_of_lucky_runs_the_mean_chooses_better_than_the_best_single_one():
    """What the round is for: 16 configurations of a true worth, seeds that spread as far as these do."""
    draw, gained = random.Random(5), []
    for _ in range(2000):
        worth = [draw.gauss(0, 1) for _ in range(16)]
        single = [value + draw.gauss(0, 1) for value in worth]
        ranked = sorted(range(16), key=lambda number: -single[number])
        rows = [Scored(of=n, seed=0, number=n, objective=single[n]) for n in ranked[:3]]
        rows += [Scored(of=n, seed=1, number=100 + n, objective=worth[n] + draw.gauss(0, 1)) for n in ranked[:3]]
        means = decide(rows, seeds=(0, 1)).means
        gained.append(worth[max(means, key=means.get)] - worth[ranked[0]])
    assert _mean(gained) > 0.1


def test_a_study_asks_for_them_next_and_learns_nothing_from_them(tmp_path):
    from kdzoo.search.space.space import SpaceFile

    spaces = {"lid": SpaceFile("rd").space("own", "lid", changes={})}
    given = {"storage": tmp_path / "s.db", "trials": 2, "seed": 0}
    studies = CategoryStudies(spaces, **given)
    for objective in (0.5, 0.6):
        told = studies.ask("lid")
        assert told.final is None
        studies.tell("lid", told.number, objective=objective, stopped=False, outcome={"status": "finished"})
    finals = [FinalTrial(of=1, seed=seed, config={"a": 1}) for seed in (1, 2)]
    studies.enqueue_finals("lid", finals)
    first = studies.ask("lid")
    assert (first.final, first.values, first.number) == (finals[0], {}, 2)
    studies.tell("lid", 2, objective=0.9, stopped=False, outcome={"status": "finished", "objective": 0.9})
    assert studies.best("lid") == 0.6
    assert studies.ask("lid").final == finals[1]  # under way when the driver dies
    studies.close()
    again = CategoryStudies(spaces, **given)
    assert [(past.number, past.final) for past in again.past("lid")][2:] == [(2, finals[0]), (3, finals[1])]
    assert again.past("lid")[2].outcome["objective"] == 0.9 and again.past("lid")[3].outcome is None
    again.interrupt("lid", 3)
    repeated = again.ask("lid")
    assert (repeated.final, repeated.again, repeated.number) == (finals[1], (3,), 4)
    assert again.finals("lid") == finals and again.best("lid") == 0.6
    again.close()


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"seeds": 11}, {"finalists": 0}, {"finalists": 21}])
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Strategy(**wrong)


def test_an_earlier_sweeps_strategy_has_no_final_round():
    values = {key: value for key, value in Strategy().as_dict().items() if key not in ("seeds", "finalists")}
    assert Strategy.from_dict(values).seeds == 1
