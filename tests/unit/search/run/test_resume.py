"""What a driver takes over from those before it."""

from unittest.mock import Mock

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.search.record.board import SweepBoard
from kdzoo.search.run.resume import take_over
from kdzoo.search.study.finals import FinalTrial
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.study.turns import Turns


@pytest.fixture
def plan(tmp_path):
    make_dataset(tmp_path / "parts")
    return small_plan(tmp_path, name="resumed", trials=2, strategy=Strategy(seeds=2, finalists=2))


def studies_of(plan, tmp_path):
    return CategoryStudies(
        plan.spaces, storage=tmp_path / "studies.db", trials=plan.trials, seed=0, strategy=plan.strategy
    )


@pytest.mark.parametrize(("trials", "left"), [(2, 0), (5, 3)])
def test_trials_of_a_final_round_take_none_of_the_search(plan, tmp_path, trials, left):
    """A resumed sweep may have more trials: so many more are searched, whatever a final round had before."""
    category = next(iter(plan.spaces))
    studies = studies_of(plan, tmp_path)
    told = {"status": "finished", "objective": 0.5, "seconds": 1.0}
    for _ in range(2):
        studies.tell(category, studies.ask(category).number, objective=0.5, stopped=False, outcome=told)
    config = plan.spec(category, {}).config.as_dict()
    studies.enqueue_finals(category, [FinalTrial(of=number, seed=1, config=config) for number in (0, 1)])
    for _ in range(2):
        studies.tell(category, studies.ask(category).number, objective=0.6, stopped=False, outcome=told)
    board = SweepBoard(plan.spaces, trials=trials, objective="image_auroc")
    take_over(plan, board, studies, Mock(), Mock())
    assert (board.searched(category), board.done(category), board.finals) == (2, 4, {category: 2})
    assert [row.final and row.final.seed for row in board.of(category)] == [None, None, 1, 1]
    assert board.total == trials * len(plan.spaces) + 2
    turns = Turns([category], trials=trials, priority="fair", done={category: 4}, more=board.finals)
    asked = 0
    while turns.next(lambda name: None) is not None:
        turns.began(category)
        asked += 1
    assert asked == left
    studies.close()
