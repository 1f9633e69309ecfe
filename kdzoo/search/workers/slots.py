"""How many trials may be under way at once: as many as the cluster has room for now, which may be more in a minute."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import ray
from ray._private.state import available_resources_per_node

_LOOK_SECONDS: Final = 1.0
_BURST_SECONDS: Final = 1.0
"""Asking studies takes a twentieth of a second each; hundreds of workers must not wait for the last of them."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """What a cluster has room for, in trials.

    Attributes:
        whole: that it takes altogether, whoever uses it now.
        free: that it would take now.
    """

    whole: int
    free: int


def room_for(needs: Mapping[str, float], closed: Collection[str] = ()) -> Room:
    """Room of the cluster that is joined.

    Args:
        needs: kind of resource to how much of it a trial holds; at least one is not 0.
        closed: ids of nodes that trials keep away from; what they have does not count.
    """
    asked = {kind: wanted for kind, wanted in needs.items() if wanted}
    living = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in closed]
    free = dict(ray.available_resources())
    for node, unused in available_resources_per_node().items() if closed else ():
        if node in closed:
            free |= {kind: free.get(kind, 0.0) - unused.get(kind, 0.0) for kind in asked}
    return Room(whole=sum(_fit(one, asked) for one in living), free=max(0, _fit(free, asked)))


def note_if_busy(needs: Mapping[str, float], note: Callable[[str], None]) -> None:
    """Says before the first trial that it will have to wait for the work of others.

    Args:
        needs: what a trial holds; a machine that could take one is there.
        note: told.
    """
    if room_for(needs).free == 0:
        note(f"the cluster is busy with other work: {taken(needs)}; the sweep waits for room for a trial")


def taken(needs: Mapping[str, float]) -> str:
    """How much of what a trial needs is in use, for people."""
    there, free = ray.cluster_resources(), ray.available_resources()
    kinds = [kind for kind, wanted in needs.items() if wanted]
    counts = (f"{there.get(kind, 0.0) - free.get(kind, 0.0):g} of {there.get(kind, 0.0):g} {kind}s" for kind in kinds)
    return f"{' and '.join(counts)} are taken"


def _fit(there: Mapping[str, float], asked: Mapping[str, float]) -> int:
    """How many times all of what is asked for is there."""
    return int(min(there.get(kind, 0.0) / wanted for kind, wanted in asked.items()) + 1e-6)


class Slots:
    """Says whether one more trial may be asked for.

    A trial is drawn as late as possible, when there is room for it: its study then knows most. Room is what trials of
    this sweep hold and what is free, so that a cluster that others use, too, does not make it draw trials that only
    wait. One trial always may: its demand is what a cluster that grows from nothing sees.

    Args:
        running: tells how many trials run.
        room: tells what the cluster has room for; looked at once a second.
        most: trials at once; None for as many as there is room for.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        running: Callable[[], int],
        room: Callable[[], Room],
        *,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._running, self._room, self._most, self._clock = running, room, most, clock
        self._seen, self._looked = Room(whole=0, free=0), float("-inf")
        self._held = self._placed = self._asked = 0
        self._burst: float | None = None

    def one_more(self, living: int) -> bool:
        """Whether a trial may be asked for.

        Args:
            living: trials of this run that were asked for and have not ended.
        """
        may = living == 0 or (living < self._limit(living) and not self._burst_is_over())
        if not may:
            self._burst = None
        return may

    def _limit(self, living: int) -> int:
        now = self._clock()
        if now - self._looked >= _LOOK_SECONDS:
            self._looked, self._seen = now, self._room()
            # What was asked for before the last look holds its room by now; what was since may be counted as free yet.
            self._placed, self._asked = self._asked, living
        # What ran at once keeps its workers from trial to trial: a trial that ended leaves room that nobody sees.
        self._held = min(max(self._held, self._running()), self._seen.whole)
        limit = min(max(self._held, self._placed + self._seen.free), self._seen.whole)
        return limit if self._most is None else min(limit, self._most)

    def _burst_is_over(self) -> bool:
        now = self._clock()
        self._burst = now if self._burst is None else self._burst
        return now - self._burst >= _BURST_SECONDS
