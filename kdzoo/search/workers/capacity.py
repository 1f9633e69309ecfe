"""Room asked of a cluster that grows by itself, waited for, and given back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from ray.autoscaler import sdk

from kdzoo.errors import SweepError
from kdzoo.search.workers.node_watch import PATIENCE_SECONDS
from kdzoo.search.workers.slots import Room, room_for

_MOST: Final = 1000
"""Trials for which room is asked at once; how many nodes there may be is for the cluster's own limits to say."""
_LOOK_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 60.0
"""The same is asked for again: another sweep of the cluster may have asked since, or given back what it had."""
_TOLD_AGAIN: Final = 5.0
"""A person is told after a minute, and again after this many times as long as before."""


class Capacity:
    """Asks the cluster's autoscaler for room for a sweep's trials; on a cluster of fixed size nobody listens.

    Without it a cluster that scales from nothing would see one trial that waits, and add one node after the other. Ray
    keeps one such wish a cluster, the last one that was told: sweeps that share a cluster take turns.

    Args:
        needs: what a trial holds, by Ray's names.
        note: told of waits.
        patience: seconds that are waited for the first node; default that of `kdzoo.search.workers.node_watch`.
        clock: seconds that only grow.
        request: asks, as `ray.autoscaler.sdk.request_resources` does.
        room: tells what there is room for now.
    """

    def __init__(
        self,
        needs: Mapping[str, float],
        note: Callable[[str], None],
        *,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        request: Callable[..., Any] = sdk.request_resources,
        room: Callable[[Mapping[str, float]], Room] = room_for,
    ) -> None:
        self._needs = {kind: wanted for kind, wanted in needs.items() if wanted}
        self._note, self._patience, self._clock = note, patience, clock
        self._request, self._room = request, room
        self._asked, self._at = 0, float("-inf")

    def ask(self, trials: int) -> None:
        """Asks for room for some trials at once: never for more than before, so that nodes go as a sweep ends.

        Args:
            trials: that are left to run, or may run at once.
        """
        wanted = min(trials, _MOST, self._asked or trials)
        now = self._clock()
        if now - self._at < (_AGAIN_SECONDS if wanted == self._asked else _ASK_SECONDS):
            return
        self._asked, self._at = wanted, now
        self._request(bundles=[dict(self._needs)] * wanted)

    def wait(self) -> None:
        """Waits until there is a node that could take a trial, be it busy.

        Raises:
            SweepError: none came in time.
        """
        if self._room(self._needs).whole:
            return
        asked = " and ".join(f"{wanted:g} {kind}s" for kind, wanted in self._needs.items())
        self._note(
            f"no node of the cluster has the {asked} of a trial yet: it was asked for them, and the sweep waits up to "
            f"{self._patience / 60:.0f} minutes"
        )
        began, due = self._clock(), 60.0
        while not self._room(self._needs).whole:
            waited = self._clock() - began
            if waited >= self._patience:
                raise SweepError(
                    f"no node that has the {asked} of a trial came within {self._patience / 60:.0f} minutes",
                    hint="start one, see the limits of the cluster's autoscaler, or ask for less by --gpus-per-trial, "
                    "--cpus-per-trial or --device cpu",
                )
            if waited >= due:
                due *= _TOLD_AGAIN
                self._note(f"the sweep has waited {waited / 60:.0f} min for a node that has {asked}")
            time.sleep(_LOOK_SECONDS)
        self._note(f"a node with {asked} is there after {self._clock() - began:.0f} s")

    def release(self) -> None:
        """Asks for nothing any more."""
        if self._asked:
            self._asked = 0
            # At the end of a sweep, perhaps since the cluster is gone: what ended it is to be told, not this.
            with contextlib.suppress(Exception):
                self._request(bundles=[])
