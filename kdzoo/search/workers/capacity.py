"""Room asked of a cluster that grows by itself, waited for, and given back."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import ray
from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
from ray.autoscaler import sdk
from ray.autoscaler.v2.sdk import get_cluster_status
from ray.autoscaler.v2.utils import is_autoscaler_v2
from ray.experimental.internal_kv import _internal_kv_get

from kdzoo.errors import SweepError
from kdzoo.search.workers.node_watch import PATIENCE_SECONDS
from kdzoo.search.workers.room_keeper import RoomKeeper
from kdzoo.search.workers.slots import Room, room_for

_MOST: Final = 1000
"""Trials for which room is asked at once; how many nodes there may be is for the cluster's own limits to say."""
_LOOK_SECONDS: Final = 1.0
_ASK_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 60.0
"""The same is asked for again: another sweep of the cluster may have asked since, or given back what it had."""
_REPORTED_SECONDS: Final = 20.0
"""An autoscaler that has just started says by then what it does; without one nobody does."""
_TOLD_AGAIN: Final = 5.0
"""A person is told after a minute, and again after this many times as long as before."""


def grows() -> bool | None:
    """Whether the cluster that is joined has an autoscaler that can start nodes; None while none has said anything.

    Ray's monitor reports on every cluster. On one of fixed size it names a kind of node after each node that is there.
    """
    own = {f"node_{node['NodeID']}" for node in ray.nodes()}
    if is_autoscaler_v2():
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        return any(node.ray_node_type_name not in own for node in [*status.active_nodes, *status.idle_nodes])
    told = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS) or b"{}").get("autoscaler_report")
    # An autoscaler reports nodes that it started, which may be none, and no others.
    return None if told is None else not own & told["active_nodes"].keys()


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
        grows: tells whether nodes can come; None: not known yet.
        keeper: told whenever something is asked for, and takes it back where this process cannot; default nobody.
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
        grows: Callable[[], bool | None] = grows,
        keeper: RoomKeeper | None = None,
    ) -> None:
        self._needs = {kind: wanted for kind, wanted in needs.items() if wanted}
        self._note, self._patience, self._clock = note, patience, clock
        self._request, self._room, self._grows = request, room, grows
        self._keeper = keeper
        self._asked, self._at, self._noted = 0, float("-inf"), False

    def ask(self, trials: int) -> None:
        """Asks for room for some trials at once: never for more than before, so that nodes go as a sweep ends.

        It is a hint: where it cannot be given a note says so once, and the sweep goes on with the nodes there are.

        Args:
            trials: that are left to run, or may run at once.
        """
        wanted = min(trials, _MOST, self._asked or trials)
        now = self._clock()
        if now - self._at < (_AGAIN_SECONDS if wanted == self._asked else _ASK_SECONDS):
            return
        self._asked, self._at = wanted, now
        if self._keeper is not None:
            self._keeper.alive()
        try:
            self._request(bundles=[dict(self._needs)] * wanted)
        except Exception as error:
            # Ray's own, those of its server, of the network: training needs nothing of this.
            if not self._noted:
                self._note(f"the cluster cannot be asked for nodes, and the sweep goes on with those it has: {error}")
            self._noted = True

    def wait(self) -> None:
        """Waits until there is a node that could take a trial, be it busy; not on a cluster to which none can come.

        Raises:
            SweepError: none came in time.
        """
        if self._room(self._needs).whole or not self._can_grow():
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
            if self._asked:
                self.ask(self._asked)
            time.sleep(_LOOK_SECONDS)
        self._note(f"a node with {asked} is there after {self._clock() - began:.0f} s")

    def _can_grow(self) -> bool:
        """Whether nodes can come; where no autoscaler says anything there is none."""
        until = self._clock() + _REPORTED_SECONDS
        while self._clock() < until:
            # What Ray's server raises while it starts is no answer either.
            with contextlib.suppress(Exception):
                known = self._grows()
                if known is not None:
                    return known
            time.sleep(_LOOK_SECONDS)
        return False

    def release(self) -> None:
        """Asks for nothing any more."""
        if self._asked:
            self._asked = 0
            # At the end of a sweep, perhaps since the cluster is gone: what ended it is to be told, not this.
            with contextlib.suppress(Exception):
                self._request(bundles=[])
            with contextlib.suppress(Exception):
                if self._keeper is not None:
                    self._keeper.end()
