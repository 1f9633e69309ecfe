"""What a driver takes over from those before it: ended trials onto the board, interrupted ones back into their studies.

Optuna's studies are the truth; Ray's own snapshots are never read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, get_args

from kdzoo.search.record.board import Ended, SweepBoard, TrialRow
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.monitor import CUT_SHORT, drop_checkpoints, record_end
from kdzoo.search.study.studies import CategoryStudies, PastTrial
from kdzoo.search.workers.checkpoints import Checkpoints, trial_name
from kdzoo.tracking import SweepTracker


def take_over(
    plan: SweepPlan, board: SweepBoard, studies: CategoryStudies, tracker: SweepTracker, checkpoints: Checkpoints
) -> None:
    """Puts the trials that ended on the board, and has those that were under way asked for again.

    Whatever happens meanwhile, doing it again gives the same.

    Args:
        plan: the sweep.
        board: still empty.
        studies: of the sweep.
        tracker: told that interrupted trials are over, so that none looks as if it ran for ever.
        checkpoints: of the sweep; those of ended trials that are not among their category's best are deleted.
    """
    for category in plan.spaces:
        for past in studies.past(category):
            name = trial_name(category, past.number)
            config = _config(plan, category, past) if past.outcome is not None else {}
            row = TrialRow.from_outcome(name, category, past.number, config, past.outcome or {})
            row.final = past.final
            if past.outcome is None:
                _end_interrupted(plan, row, past, tracker)
                studies.interrupt(category, past.number)
            else:
                board.restore(row, _status(past))
                checkpoints.restored(row)
        finals = len(studies.finals(category))
        if finals:
            board.finals[category] = finals  # beside the trials of the search, whose number may have grown
        drop_checkpoints(board, checkpoints, category, keep=plan.kept)


def settled(plan: SweepPlan, board: SweepBoard, folder: SweepFolder, is_over: Callable[[str], bool]) -> set[str]:
    """The categories to which nothing is left to do: all their trials ended, and the best of them is published.

    Args:
        plan: the sweep.
        board: with what earlier drivers did.
        folder: the sweep's.
        is_over: whether nothing of a category is left to train.
    """
    found = set()
    for category in plan.spaces:
        kept = folder.outcome(category)
        if kept is None or kept["published"] is None or not is_over(category):
            continue
        best = board.best(category)
        if best is not None and kept["best"] == best.number:
            found.add(category)
    return found


def _config(plan: SweepPlan, category: str, past: PastTrial) -> dict[str, Any]:
    if past.final is not None:
        return dict(past.final.config)
    return dict(plan.spec(category, past.values).as_dict()["config"])


def _end_interrupted(plan: SweepPlan, row: TrialRow, past: PastTrial, tracker: SweepTracker) -> None:
    """Ends a trial in MLflow that no driver ended there."""
    options = plan.options_of(row.category).as_dict()
    config = plan.spaces[row.category].defaults.as_dict() | dict(past.values)
    if past.final is not None:
        config, options = dict(past.final.config), options | {"seed": past.final.seed}
    tracker.start_trial(row.trial_id, row.category, params={**config, **options})
    row.status, row.reason = "interrupted", CUT_SHORT
    record_end(tracker, row, "interrupted")


def _status(past: PastTrial) -> Ended:
    """How a trial ended; without a word about it, it failed before it had anything to say."""
    status = (past.outcome or {}).get("status")
    return cast(Ended, status) if status in get_args(Ended) else "failed"
