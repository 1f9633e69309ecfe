"""A trial that is cut off before its first ten minutes are over counts by the best that it had reached."""

from helpers.layouts import make_dataset
from helpers.sweeps import Watcher, small_plan

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import CHECKPOINT_MINUTES
from kdzoo.search.run.sweep import run_sweep


def test_with_the_default_minutes_a_trial_that_is_stopped_after_some_epochs_is_published(tmp_path, local_ray):
    make_dataset(tmp_path / "parts", ("bottle",))
    long = {"bottle": {"distil_epochs": 400}}  # measured after each 20
    plan = small_plan(tmp_path, name="cut", trials=1, changes=long, checkpoint_minutes=CHECKPOINT_MINUTES)

    def stop(board):
        if any(len(row.measurements) >= 2 for row in board.running()):
            SweepFolder(plan.folder).stop.touch()

    board = run_sweep(plan, Watcher(stop))
    (row,) = board.rows.values()
    assert row.status == "interrupted"
    assert row.objective in [value for _, value in row.measurements]
    assert board.outcomes["bottle"].published.release == 1
