"""What MLflow and the sweep's folder are told of a sweep as a whole: that it began, and how it ended."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Self

from kdzoo.errors import KdzooError, StorageError
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.ground import Ground
from kdzoo.search.run.publisher import reference
from kdzoo.search.workers.reasons import reason
from kdzoo.tracking import CategoryEnd, SweepStatus, SweepTracker

_HASTY_SECONDS = 1.0


class SweepLog:
    """Says how a sweep ended, whichever way it does: leaving the block by an error says so.

    Args:
        ground: the sweep.
        view: told when MLflow is out of reach.
    """

    def __init__(self, ground: Ground, view: SweepView) -> None:
        plan = ground.plan
        self._ground = ground
        self.tracker = SweepTracker(
            plan.settings.mlflow_uri,
            artifacts=plan.settings.mlflow_artifacts,
            spool=ground.folder.journal,
            sweep=plan.name,
            run_key=ground.written.run_key,
            method=plan.method,
            dataset=plan.dataset.name,
            protocol=plan.options.protocol,
            teacher=plan.options.teacher,
            objective=plan.options.objective,
            warn=view.note,
        )
        """MLflow's side of it, for trials and categories."""

    def __enter__(self) -> Self:
        plan = self._ground.plan
        asked = {"trials": plan.trials, "categories": ",".join(plan.spaces), "zoo": self._ground.registry.uri}
        # MLflow lets no parameter change, and a resumed sweep may have more trials.
        params = {} if self._ground.resumed else {**asked, **plan.strategy.as_dict(), **plan.options.as_dict()}
        self.tracker.start(params=params, tags={"trials": plan.trials, **({"group": plan.group} if plan.group else {})})
        return self

    def ended(self, board: SweepBoard) -> SweepBoard:
        """Says that the sweep ended by itself, or because somebody asked it to; gives the board back.

        One whose trials are over without a single result has failed, for the reason of its first category.
        """
        status: SweepStatus = "finished" if board.done() >= board.total else "interrupted"
        failure = "" if any(outcome.metrics for outcome in board.outcomes.values()) else _first_reason(board)
        if status == "finished" and failure:
            status = "failed"
        metrics = {"elapsed_seconds": board.elapsed(), **_reused(board)}
        self.tracker.end(status, metrics=metrics, ends=_category_ends(board))
        self._ground.folder.end(status, failure if status == "failed" else "")
        return board

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, KeyboardInterrupt):
                self.tracker.end("interrupted")
                self.tracker.close(_HASTY_SECONDS)
            elif error is not None:
                self.tracker.end("failed")
                with suppress(StorageError):  # a disk that is away is what the error says
                    self._ground.folder.end("failed", str(error) if isinstance(error, KdzooError) else reason(error))
        finally:
            self.tracker.close()


def _first_reason(board: SweepBoard) -> str:
    """Why the first category that says so has no result."""
    said = next(((name, outcome.reason) for name, outcome in board.outcomes.items() if outcome.reason), None)
    return "" if said is None else f"{said[0]}: {said[1]}"


def _reused(board: SweepBoard) -> dict[str, float]:
    """What first stages of other trials saved, where they saved anything."""
    trials, seconds = board.reused()
    return {"reused_trials": trials, "reused_seconds": seconds} if trials else {}


def _category_ends(board: SweepBoard) -> list[CategoryEnd]:
    """How the categories ended, for the description of the sweep's run."""
    return [
        CategoryEnd(
            category=category,
            metrics=outcome.metrics,
            published=reference(outcome.published),
            champion=outcome.published is not None and outcome.published.promoted,
            reason=outcome.reason,
        )
        for category, outcome in board.outcomes.items()
    ]
