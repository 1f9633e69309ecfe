"""Measuring after the training, when its workers are gone: by tasks, one a category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ray

from kdzoo.errors import SweepError, WorkerError
from kdzoo.search.workers.measuring import Measuring, measure
from kdzoo.search.workers.node_watch import NodeWatch
from kdzoo.search.workers.places import Places, others
from kdzoo.search.workers.reasons import reason
from kdzoo.search.workers.workbench import Workbench, WorkerContext

_WAIT_SECONDS: Final = 5.0

Ended = tuple[Measuring, str]
"""What was to be measured, and why it was not; empty where it was."""


def finish_trial(context: WorkerContext, asked: Measuring) -> None:
    """Measures a trial in a process of its own.

    Raises:
        WorkerError: this machine cannot do it, but another one may.
    """
    measure(Workbench(context), asked)


class FinishingLine:
    """Runs `finish_trial` as Ray tasks.

    Args:
        context: for the workers.
        needs: what a task holds, by Ray's names.
        places: where a task may run.
        watch: ends the wait for a node that does not come.
    """

    def __init__(self, context: WorkerContext, *, needs: Mapping[str, float], places: Places, watch: NodeWatch) -> None:
        self._places, self._watch, self._needs = places, watch, needs
        options = {
            "num_cpus": needs["CPU"],
            "num_gpus": needs["GPU"],
            "max_retries": 2,
            "retry_exceptions": [WorkerError],
        }
        self._task = ray.remote(**options)(finish_trial)
        self._context = ray.put(context)
        self._running: dict[Any, tuple[Measuring, frozenset[str]]] = {}

    def submit(self, asked: Measuring) -> None:
        """Starts measuring a category's best trial."""
        kept_from = self._places.kept_from_tasks(self._needs)
        task = self._task.options(label_selector=others(kept_from) if kept_from else {})
        self._running[task.remote(self._context, asked)] = (asked, kept_from)

    def collect(self, *, wait: bool = False) -> list[Ended]:
        """What is done by now.

        Args:
            wait: some seconds for one more, if any runs. Where no node is left that could take any, all fail.
        """
        if not self._running:
            return []
        ready, _ = ray.wait(list(self._running), num_returns=1, timeout=_WAIT_SECONDS if wait else 0)
        if wait and not ready:
            try:
                self._watch.see_tasks(self._needs, [kept_from for _, kept_from in self._running.values()])
            except SweepError as error:
                return self._give_up(str(error))
        collected = []
        for reference in ready:
            asked, _ = self._running.pop(reference)
            try:
                ray.get(reference)
                collected.append((asked, ""))
            except ray.exceptions.RayError as error:
                collected.append((asked, f"it could not be measured: {reason(error)}"))
        return collected

    def _give_up(self, why: str) -> list[Ended]:
        given_up = [asked for asked, _ in self._running.values()]
        for reference in self._running:
            ray.cancel(reference)
        self._running.clear()
        text = f"it could not be measured, a resumed sweep tries again: {why}"
        return [(asked, text) for asked in given_up]

    @property
    def busy(self) -> bool:
        """Whether any category is being measured."""
        return bool(self._running)
