"""Ends the wait for a node that does not come: Ray waits without end, also where nothing can ever take what waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from ray.tune.experiment import Trial

from kdzoo.errors import SweepError
from kdzoo.search.workers.places import Places

PATIENCE_SECONDS: Final = 600.0
"""How long no living node can take anything before a sweep ends: a cluster that grows by itself brings one sooner."""
_LOOK_SECONDS: Final = 5.0
_NOTE_SECONDS: Final = 60.0
"""A person is told sooner than the sweep ends, and not of every node that is replaced."""


class NodeWatch:
    """Looks every few seconds whether a living node could take what waits, however busy that node is.

    Args:
        places: knows the nodes, and which of them trials keep away from.
        note: told when nothing can run for some time.
        taken: tells what of the cluster is in use.
        patience: seconds without any such node that are borne; default `PATIENCE_SECONDS`.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        places: Places,
        note: Callable[[str], None],
        *,
        taken: Callable[[], str] = str,
        patience: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._note, self._clock = places, note, clock
        self._patience = PATIENCE_SECONDS if patience is None else patience
        self._looked, self._since = -_LOOK_SECONDS, float("inf")
        self._noted = False
        self._taken, self._waits_since, self._said = taken, float("inf"), 0

    def see_trials(self, trials: Iterable[Trial]) -> None:
        """Looks at the trials of a run, of which those that train or wait count.

        Raises:
            SweepError: for too long there is no node for any of them.
        """
        if not self._time_to_look():
            return
        living = [trial for trial in trials if not trial.is_finished()]
        if any(trial.status != Trial.PENDING for trial in living):
            self._judge(homeless=False, what="")
            self._say_that_all_wait(waits=False)
            return
        asked = ((trial.placement_group_factory.bundles[0], self._places.kept_from(trial.trial_id)) for trial in living)
        homeless = bool(living) and not self._places.any_can_go(asked)
        self._judge(homeless=homeless, what="a trial")
        self._say_that_all_wait(waits=bool(living) and not homeless)

    def see_tasks(self, needs: Mapping[str, float], kept_from: Collection[frozenset[str]]) -> None:
        """Looks at the tasks that measure categories.

        Args:
            needs: what each of them needs.
            kept_from: of each, the nodes it keeps away from.

        Raises:
            SweepError: for too long there is no node for any of them.
        """
        if self._time_to_look():
            homeless = bool(kept_from) and not self._places.any_can_go((needs, nodes) for nodes in kept_from)
            self._judge(homeless=homeless, what="the measuring of a category")

    def _say_that_all_wait(self, *, waits: bool) -> None:
        """A word after a minute, and again after five times as long as the time before."""
        if not waits:
            self._waits_since, self._said = float("inf"), 0
            return
        self._waits_since = min(self._waits_since, self._looked)
        waited = self._looked - self._waits_since
        if waited >= _NOTE_SECONDS * 5**self._said:
            self._said += 1
            self._note(
                f"no trial has begun for {waited / 60:.0f} min: {self._taken()}, by others or by workers that start; "
                "the sweep waits"
            )

    def _time_to_look(self) -> bool:
        now = self._clock()
        due = now - self._looked >= _LOOK_SECONDS
        if due:
            self._looked = now
        return due

    def _judge(self, *, homeless: bool, what: str) -> None:
        if not homeless:
            self._since, self._noted = float("inf"), False
            return
        self._since = min(self._since, self._looked)
        waited = self._looked - self._since
        if waited >= self._patience:
            raise SweepError(
                f"no node is left for {what}: {self._places.told()}", hint="mend a node, or start another one"
            )
        if waited >= _NOTE_SECONDS and not self._noted:
            self._noted = True
            left = (self._patience - waited) / 60
            self._note(f"no node can take {what}; the sweep waits {left:.0f} minutes for one: {self._places.told()}")
