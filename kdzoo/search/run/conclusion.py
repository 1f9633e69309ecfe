"""The end of each category: its best trial measured, published and recorded, and remembered for a resumed sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Any

from kdzoo.comparing import terms_of
from kdzoo.errors import KdzooError
from kdzoo.metrics.baseline_words import baseline_metrics
from kdzoo.metrics.decision_words import decision_rows
from kdzoo.search.record.board import CategoryOutcome, SweepBoard, TrialRow
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.pareto import pareto_trials
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.view import SweepView
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.run.publisher import Publisher, reference
from kdzoo.search.workers.checkpoints import Checkpoints
from kdzoo.search.workers.finished import Finished
from kdzoo.tracking import Cost, SweepTracker
from kdzoo.training.document import examined_metrics
from kdzoo.training.operating_point import as_metrics
from kdzoo.zoo import PICTURE, Published
from zoo_registry import RegistryError


class CategoryConclusions:
    """Concludes categories while others still train. Everything here runs in the driver's main thread.

    Args:
        plan: the sweep.
        board: its state.
        tracker: MLflow's, which never blocks.
        line: has best trials measured.
        publisher: puts measured categories into the zoo.
        checkpoints: of the trials.
        folder: the sweep's.
        view: who watches.
    """

    def __init__(
        self,
        plan: SweepPlan,
        board: SweepBoard,
        *,
        tracker: SweepTracker,
        line: Measurements,
        publisher: Publisher,
        checkpoints: Checkpoints,
        folder: SweepFolder,
        view: SweepView,
    ) -> None:
        self._plan, self._board, self._view = plan, board, view
        self._tracker, self._line, self._publisher = tracker, line, publisher
        self._checkpoints, self._folder = checkpoints, folder
        self._submitted: set[str] = set()
        self.settled: frozenset[str] = frozenset()
        """Categories that earlier drivers concluded, and to which nothing is added now."""

    def leave(self, categories: Collection[str]) -> None:
        """Takes note of categories that earlier drivers concluded: nothing is recorded of them again."""
        self.settled = frozenset(categories)

    @property
    def busy(self) -> bool:
        """Whether any category is being measured or published."""
        return self._line.busy or self._publisher.busy

    def submit(self, category: str) -> None:
        """Starts measuring a category's best trial, once; one that was published as it is by now is left as it is."""
        if category in self._submitted:
            return
        self._submitted.add(category)
        best = self._board.best(category)
        if best is not None and self._published_before(category, best):
            return
        checkpoint = self._checkpoints.of(best.trial_id) if best else None
        if best is None or checkpoint is None:
            failed = [row.reason for row in self._board.of(category) if row.failed]
            why = f"no usable trial: {failed[-1]}" if failed else "no trial was measured"
            self._conclude(category, Finished.failed(why), None)
            return
        self._board.concludes(category, "measuring")
        self._line.submit(category, self._plan.spec_of(category, best.config).as_dict(), checkpoint)

    def take_in(self, *, wait: bool = False) -> None:
        """Has published what is measured by now, and records what is published by now.

        Args:
            wait: until something more is done, if anything is under way.
        """
        for category, finished in self._line.collect(wait=wait and self._line.busy):
            if finished.failure:
                self._conclude(category, finished, None)
            else:
                self._board.concludes(category, "publishing")
                self._view.update(self._board)
                self._publisher.submit(category, finished)
        for category, finished, result in self._publisher.collect(wait=wait and not self._line.busy):
            self._conclude(category, finished, result)

    def _conclude(self, category: str, finished: Finished, result: Published | Exception | None) -> None:
        published, why = None, finished.failure
        if why:
            why += self._checkpoint_left(category)
        elif isinstance(result, RegistryError | KdzooError | OSError | LookupError):
            why = f"not published: {result}; {self._keep(category, finished)}"
        elif isinstance(result, Exception):
            raise result
        else:
            published = result
        best = self._board.best(category) if finished.metrics else None
        outcome = self._outcome(category, best, finished.metrics, published, reason=why, said=finished.document)
        self._board.concluded(outcome)
        self._record(outcome, finished)
        finished.forget()
        if why:
            self._view.note(f"{category}: {why}")
        if finished.unreported:
            # The trained model is kept, as `kdzoo train` does; a person must not take it for a measured one.
            lacking = " ".join(finished.unreported.split())
            self._view.note(f"{category} has no test metrics: {lacking}; mend that, and `kdzoo evaluate` measures it")
        self._view.update(self._board)

    def _outcome(
        self,
        category: str,
        best: TrialRow | None,
        metrics: dict[str, float],
        published: Published | None,
        *,
        reason: str,
        said: Mapping[str, Any],
    ) -> CategoryOutcome:
        rows = self._board.of(category)
        searched = [row for row in rows if row.final is None]
        return CategoryOutcome(
            category=category,
            best=best,
            metrics=metrics,
            published=published,
            seconds=sum(row.seconds for row in rows),
            gpu_seconds=sum(row.gpu_seconds for row in rows),
            reason=reason,
            undefined=dict(said.get("undefined", {})),
            operating_point=dict(said.get("operating_point", {})),
            baseline=dict(said.get("baseline", {})),
            pareto=tuple(pareto_trials(searched, self._board.objective, self._plan.strategy.also)),
        )

    def _published_before(self, category: str, best: TrialRow) -> bool:
        """Whether an earlier driver published this very trial; then its outcome stands."""
        kept = self._folder.outcome(category)
        if kept is None or kept["published"] is None or kept["best"] != best.number:
            return False
        outcome = self._outcome(
            category,
            best,
            dict(kept["metrics"]),
            Published(**kept["published"]),
            reason=str(kept["reason"]),
            said=kept,
        )
        self._board.concluded(outcome)
        if category not in self.settled:
            self._record(outcome, None)
        self._view.update(self._board)
        return True

    def _keep(self, category: str, finished: Finished) -> str:
        """Keeps a detector that the zoo did not take; says where."""
        folder = self._folder.path / "unpublished" / category
        try:
            return f"the detector is kept in '{finished.save(folder)}'"
        except KdzooError as error:
            return f"nor could it be kept: {error}"

    def _checkpoint_left(self, category: str) -> str:
        """Where the best trial's weights are when nothing could be made of them: its checkpoint is never deleted."""
        best = self._board.best(category)
        checkpoint = self._checkpoints.of(best.trial_id) if best else None
        return f"; the best trial's checkpoint is kept in '{checkpoint.path}'" if checkpoint else ""

    def _record(self, outcome: CategoryOutcome, finished: Finished | None) -> None:
        """Tells MLflow's journal, and only then the sweep's folder: what stands there need not be told again."""
        decided = decision_rows(outcome.operating_point)
        terms, examined = (terms_of(finished.document), examined_metrics(finished.document)) if finished else ({}, {})
        kept, best = self._folder.outcome(outcome.category), outcome.best
        # MLflow lets no parameter change: where another trial was the best before, the tag says which run has them.
        same = kept is None or best is None or kept["best"] in (None, best.number)
        self._tracker.end_category(
            outcome.category,
            status="finished" if outcome.metrics else "failed",
            metrics={
                **outcome.metrics,
                **as_metrics(outcome.operating_point),
                **examined,
                **baseline_metrics(outcome.baseline),
                **_kept_epoch(best),
            },
            cost=Cost(seconds=outcome.seconds, gpu_seconds=outcome.gpu_seconds),
            params=best.config if best and same else None,
            tags={
                "split_digest": terms.get("split"),
                "data": terms.get("data"),
                "image_size": terms.get("input size"),
                "resize": terms.get("resizing"),
                "false_alarms": decided.get("false alarms"),
                "misses": decided.get("misses"),
                "stated": decided.get("stated"),
            },
            best_trial=best.trial_id if best else None,
            reason=outcome.reason or None,
            release=outcome.published.release if outcome.published else None,
            published=reference(outcome.published),
            champion=outcome.published is not None and outcome.published.promoted,
            picture=_picture(finished),
        )
        try:
            self._folder.keep_outcome(outcome.category, _kept(outcome))
        except KdzooError as error:
            self._view.note(f"a resumed sweep would look at {outcome.category} again: {error}")


def _picture(finished: Finished | None) -> bytes | None:
    """The cases of a category, where they are there: no result is lost over a picture."""
    try:
        return finished.files.get(PICTURE) if finished is not None else None
    except (KdzooError, OSError):
        return None


def _kept_epoch(best: TrialRow | None) -> dict[str, float]:
    """The epoch of the best trial whose weights are kept, where that is known."""
    return {} if best is None or not best.best_epoch else {"best_epoch": best.best_epoch}


def _kept(outcome: CategoryOutcome) -> dict[str, Any]:
    """What a resumed sweep is to know, as JSON values."""
    return {
        "best": None if outcome.best is None else outcome.best.number,
        "objective": None if outcome.best is None else outcome.best.objective,
        "metrics": outcome.metrics,
        "published": None if outcome.published is None else dataclasses.asdict(outcome.published),
        "seconds": outcome.seconds,
        "reason": outcome.reason,
        "undefined": outcome.undefined,
        "operating_point": outcome.operating_point,
        "baseline": outcome.baseline,
        "pareto": [dataclasses.asdict(trial) for trial in outcome.pareto],
    }
