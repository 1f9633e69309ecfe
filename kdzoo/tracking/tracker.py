"""The sweep's tracker: calls return at once, one thread talks to MLflow, and nothing that is logged is lost.

A call appends a record to the journal on disk (`kdzoo.tracking.journal`) and wakes the thread
(`kdzoo.tracking.sender`). When MLflow is down, the thread rests and tries again, training goes on, and what is left at
the end is sent by `replay`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from kdzoo.metrics.names import METRIC_NAMES
from kdzoo.tracking.journal import Journal
from kdzoo.tracking.notes import NOTE_TAG, CategoryEnd, category_note, sweep_note
from kdzoo.tracking.records import (
    MAX_PARAM,
    MAX_TAG,
    Cost,
    Level,
    Record,
    RunRef,
    RunState,
    SweepStatus,
    TrialStatus,
    fitted_metrics,
    fitted_texts,
)
from kdzoo.tracking.reference import ReleaseRef
from kdzoo.tracking.sender import Sender

_TRIAL_STATE: Final[Mapping[str, RunState]] = {
    "finished": "FINISHED",
    "stopped_early": "FINISHED",
    "interrupted": "KILLED",
    "failed": "FAILED",
}
_SWEEP_STATE: Final[Mapping[str, RunState]] = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class SweepTracker:
    """Writes one sweep to MLflow: a sweep run, a run a category nested in it, a run a trial nested in that.

    Lives in the driver. All methods but `close` return at once, whatever the server does, and raise nothing of its.
    After a resume, make it again with the same run key and spool: the same runs are found and continued.

    Args:
        uri: MLflow tracking URI.
        artifacts: folder for pictures where MLflow runs without a server.
        spool: file of the sweep's journal; made if absent.
        sweep: the sweep's name, as people see it.
        run_key: what the sweep's runs are found by, unique in the experiment; default the sweep's name, which a later
            sweep may bear again.
        method: such as ``"aand"``.
        dataset: such as ``"visa"``.
        protocol: what selection may look at.
        teacher: the backbone's name; None where it is a searched parameter.
        objective: the metric that is maximised, such as ``"image_auroc"``.
        warn: told, from any thread, once when MLflow fails, and at the end what was not sent.

    Raises:
        TrackingError: another process tracks this sweep.
        StorageError: the journal cannot be made.
    """

    def __init__(
        self,
        uri: str,
        *,
        artifacts: Path,
        spool: Path,
        sweep: str,
        method: str,
        dataset: str,
        protocol: str,
        objective: str,
        teacher: str | None = None,
        run_key: str | None = None,
        warn: Callable[[str], None],
    ) -> None:
        base = {"sweep": sweep, "method": method, "dataset": dataset, "protocol": protocol, "teacher": teacher}
        self._tags = _tags({**base, "objective": objective})
        self._experiment = f"kdzoo/{method}/{dataset}"
        self._sweep = RunRef(
            experiment=self._experiment, key=run_key or sweep, name=sweep, tags=self._base_tags("sweep")
        )
        self._trials: dict[str, RunRef] = {}
        self._journal = Journal(spool)
        self._sender = Sender(uri, artifacts, self._journal, warn)

    def start(self, *, params: Mapping[str, object], tags: Mapping[str, object] | None = None) -> None:
        """The sweep begins, or goes on after a resume.

        Args:
            params: what was asked for.
            tags: further tags, their names without the ``kdzoo.`` prefix.
        """
        said = {**_tags({**(tags or {}), "status": "running"}), NOTE_TAG: sweep_note(self._tags)}
        self._log(self._sweep, params=params, tags=said, state="RUNNING")

    def category_run(self, category: str) -> dict[str, str]:
        """Where a category's run is found: its ``experiment``, and the ``run``'s tag ``kdzoo.key``; for a manifest."""
        ref = self._category(category)
        return {"experiment": ref.experiment, "run": ref.key}

    def start_category(self, category: str, *, tags: Mapping[str, object] | None = None) -> None:
        """A category's study begins.

        Args:
            category: such as ``"candle"``.
            tags: further tags without the ``kdzoo.`` prefix, such as ``split_digest``.
        """
        self._log(self._category(category), tags=_tags({**(tags or {}), "status": "running"}), state="RUNNING")

    def start_trial(
        self,
        trial_id: str,
        category: str,
        *,
        params: Mapping[str, object],
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """A trial begins, or goes on after a lost worker.

        Args:
            trial_id: unique in the sweep.
            category: the category it trains on.
            params: its configuration.
            tags: further tags without the ``kdzoo.`` prefix.
        """
        parent = self._category(category)
        self._trials[trial_id] = RunRef(
            experiment=self._experiment,
            key=f"{parent.key}/{trial_id}",
            name=trial_id,
            tags={**self._base_tags("trial"), **_tags({"category": category})},
            parent=parent,
        )
        status = _tags({**(tags or {}), "status": "running"})
        self._log(self._trials[trial_id], params=params, tags=status, state="RUNNING")

    def log_epoch(self, trial_id: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """A trial's metrics after an epoch.

        Args:
            trial_id: as given to `start_trial` in this process.
            epoch: counted over all stages, from 0.
            metrics: values; those that are not finite are left out.
        """
        if self._known(trial_id):
            self._log(self._trials[trial_id], metrics=metrics, step=epoch)

    def end_trial(
        self,
        trial_id: str,
        *,
        status: TrialStatus,
        metrics: Mapping[str, float],
        cost: Cost,
        reason: str | None = None,
        tags: Mapping[str, object] | None = None,
    ) -> None:
        """A trial ended.

        Args:
            trial_id: as given to `start_trial` in this process.
            status: how it ended.
            metrics: its final metrics, ``val_*``.
            cost: what it took.
            reason: why it failed or was stopped.
            tags: further tags without the ``kdzoo.`` prefix.
        """
        if not self._known(trial_id):
            return
        ref, said = self._trials[trial_id], _tags({**(tags or {}), "status": status, "reason": reason})
        self._log(ref, metrics={**metrics, **cost.as_metrics()}, tags=said, state=_TRIAL_STATE[status])

    def end_category(
        self,
        category: str,
        *,
        status: TrialStatus,
        metrics: Mapping[str, float],
        cost: Cost,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, object] | None = None,
        best_trial: str | None = None,
        release: int | None = None,
        published: ReleaseRef | None = None,
        champion: bool = False,
        reason: str | None = None,
        picture: bytes | None = None,
    ) -> None:
        """A category's study ended and its best trial was measured.

        Args:
            category: such as ``"candle"``.
            status: ``"failed"`` where no trial was usable.
            metrics: ``test_*`` of the best trial, and its ``val_*``.
            cost: of all its trials together.
            params: the best trial's configuration.
            tags: further tags without the ``kdzoo.`` prefix, such as ``split_digest``.
            best_trial: the trial that was measured.
            release: number of the release that was published, if any.
            published: that release, to be shown in the model registry.
            champion: whether it became its entry's champion.
            reason: what went wrong.
            picture: PNG bytes of the best and worst cases, kept as ``cases.png``.
        """
        ref, texts = self._category(category), {"status": status, "release": release, "reason": reason}
        if release is not None:
            texts["champion"] = "false"  # "true" is said when MLflow's alias is moved to it, which is right after
        end = CategoryEnd(
            category=category, metrics=metrics, published=published, champion=champion, reason=reason or ""
        )
        said = _tags({**(tags or {}), **texts, "best_trial": best_trial})
        self._log(
            ref,
            params=params or {},
            metrics={**metrics, **cost.as_metrics()},
            tags={**said, NOTE_TAG: category_note(ref.tags, end, best_trial)},
            state=_TRIAL_STATE[status],
            picture=picture,
            published=published,
            champion=champion,
        )

    def end(
        self, status: SweepStatus, *, metrics: Mapping[str, float] | None = None, ends: Sequence[CategoryEnd] = ()
    ) -> None:
        """The sweep ended.

        Args:
            status: how it ended; an interrupted one may be resumed.
            metrics: of the sweep as a whole, such as its cost.
            ends: how its categories ended, for its description; its ``test_*`` are means over them.
        """
        said = {**_tags({"status": status}), NOTE_TAG: sweep_note(self._tags, ends)}
        values = {**(metrics or {}), **_means(ends)}
        self._log(self._sweep, metrics=values, tags=said, state=_SWEEP_STATE[status])

    def close(self, timeout: float = 30.0) -> int:
        """Sends what is left, and says what could not be sent; that stays in the spool for `replay`.

        Args:
            timeout: seconds to wait for MLflow.

        Returns:
            Number of records not sent; 0 when MLflow has everything.
        """
        return self._sender.close(timeout)

    def _category(self, category: str) -> RunRef:
        tags = {**self._base_tags("category"), **_tags({"category": category})}
        key = f"{self._sweep.key}/{category}"
        return RunRef(experiment=self._experiment, key=key, name=category, tags=tags, parent=self._sweep)

    def _base_tags(self, level: Level) -> dict[str, str]:
        return {**self._tags, **_tags({"level": level})}

    def _known(self, trial_id: str) -> bool:
        if trial_id not in self._trials:
            # A mistake of the caller's, but not one to stop a night's sweep for.
            self._sender.tell(
                trial_id, f"trial {trial_id} was never started in this process; its metrics are not logged"
            )
        return trial_id in self._trials

    def _log(
        self,
        run: RunRef,
        *,
        params: Mapping[str, object] | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        step: int = 0,
        state: RunState | None = None,
        picture: bytes | None = None,
        published: ReleaseRef | None = None,
        champion: bool = False,
    ) -> None:
        record = Record(
            run=run,
            time_ms=int(time.time() * 1000),
            params=fitted_texts(params or {}, MAX_PARAM),
            tags=tags or {},
            metrics=fitted_metrics(metrics or {}),
            step=step,
            state=state,
            picture=picture,
            published=published,
            champion=champion,
        )
        self._sender.put(record)


def _means(ends: Sequence[CategoryEnd]) -> dict[str, float]:
    """The mean of each test metric that every category has; none where one has no result."""
    names = [f"test_{name}" for name in METRIC_NAMES]
    shared = [name for name in names if ends and all(name in end.metrics for end in ends)]
    return {name: fmean(end.metrics[name] for end in ends) for name in shared}


def _tags(values: Mapping[str, object]) -> dict[str, str]:
    return fitted_texts({f"kdzoo.{name}": value for name, value in values.items()}, MAX_TAG)
