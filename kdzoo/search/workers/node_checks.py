"""Is every machine of the cluster fit for a trial? It must see the driver's home, and have the data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from kdzoo.data.catalog import Dataset
from kdzoo.data.download.place import Place
from kdzoo.errors import SweepError
from kdzoo.search.workers.node_data import lacking, where_to_put
from kdzoo.search.workers.places import Places, can_take

_ANSWER_SECONDS: Final = 60.0
"""A machine that takes longer is passed over: its first trial says what is wrong with it."""
_PATIENT_SECONDS: Final = 5.0
_LOOK_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 180.0
"""A machine that was not fit is asked again: a mount that was missing may be there by now."""
_SEEN_AFTER: Final = (0.0, 0.5, 1.0, 2.0)
"""Seconds between looks for a file: a network file system may take a moment to show one that is new."""

HOME_HINT: Final = "put KDZOO_HOME on storage that every node mounts under the same path"


def sees(marker: Path) -> bool:
    """Whether this machine sees a file that the driver has just made in its home."""
    for pause in _SEEN_AFTER:
        time.sleep(pause)
        if marker.is_file():
            return True
    return False


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """What a machine lacks.

    Attributes:
        sees_home: whether it sees the driver's home.
        has_data: whether the data set is there, or can be brought there.
    """

    sees_home: bool
    has_data: bool


_FIT: Final = Fitness(sees_home=True, has_data=True)
"""Also taken for what did not answer: its first trial says what is wrong with it."""


def look(marker: Path, dataset: Dataset | None) -> Fitness:
    """Looks at the machine that this runs on, as a Ray task.

    Args:
        marker: a file in the driver's home.
        dataset: as the driver opened it; None where no machine can lack it.
    """
    return Fitness(sees_home=sees(marker), has_data=dataset is None or dataset.root.is_dir())


class NodeChecks:
    """Asks each machine of the cluster: before the first trial, and one that joins later when it has joined.

    Each is asked once, except one that joined later and is not fit: it is asked again every few minutes.

    Args:
        dataset: as the driver opened it, which has it.
        fetch: where a machine may fetch it from; None when nobody allowed that.
        marker: a file that the driver made in its home, there for as long as this is used.
        note: told of waits.
        needs: what a trial holds, by Ray's names; a machine that could not take one is not asked.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        dataset: Dataset,
        fetch: Place | None,
        marker: Path,
        note: Callable[[str], None],
        *,
        needs: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._needs = dict(needs)
        self._dataset, self._marker, self._note, self._clock = dataset, marker, note, clock
        self._wanted = dataset if lacking(dataset, fetch) else None
        self._task: Any = ray.remote(look)
        self._known = {str(ray.get_runtime_context().get_node_id())}
        self._asked: dict[Any, tuple[str, str]] = {}
        self._looked = float("-inf")
        self._unfit: dict[str, float] = {}

    def check(self) -> None:
        """Asks all machines that are there, before any trial is sent to them.

        Raises:
            SweepError: naming those that lack something.
        """
        self._ask()
        count, found = len(self._asked) + 1, dict[str, Fitness]()
        self._collect(found, _PATIENT_SECONDS)
        if self._asked:
            names = sorted(name for _, name in self._asked.values())
            nodes = f"{len(names)} {'node' if len(names) == 1 else 'nodes'}"
            self._note(f"waiting {_ANSWER_SECONDS:g} s at most for {nodes} to answer: {', '.join(names[:3])}")
            self._collect(found, _ANSWER_SECONDS - _PATIENT_SECONDS)
        self._asked.clear()
        blind = sorted(name for name, fit in found.items() if not fit.sees_home)
        if blind:
            raise SweepError(
                f"{len(blind)} of {count} nodes do not see the driver's KDZOO_HOME, where trials keep their "
                f"checkpoints: {', '.join(blind)} (looked for '{self._marker}')",
                hint=HOME_HINT,
            )
        without = sorted(name for name, fit in found.items() if not fit.has_data)
        if without:
            raise SweepError(
                f"{len(without)} of {count} nodes have no data set '{self._dataset.name}' in '{self._dataset.root}': "
                f"{', '.join(without)}",
                hint=where_to_put(self._dataset),
            )

    def see_new(self, places: Places) -> None:
        """Every few seconds: asks machines that have joined, and has trials keep away from those that are not fit."""
        now = self._clock()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        self._ask()
        ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0) if self._asked else ([], [])
        for reference in ready:
            node, _ = self._asked.pop(reference)
            self._tell(places, node, _answer(reference))

    def _tell(self, places: Places, node: str, fit: Fitness | None) -> None:
        """Has trials keep away from a machine that is not fit, and go to one that is fit by now."""
        if fit is None:
            # Nothing came back: the first trial says what is wrong with it; one that was not fit stays so.
            if node in self._unfit:
                self._unfit[node] = self._clock()
        elif fit.sees_home and fit.has_data:
            if self._unfit.pop(node, None) is not None:
                places.let_back(node)
        else:
            self._unfit[node] = self._clock()
            lacks_data = f"the data set '{self._dataset.name}' is not in '{self._dataset.root}'"
            lacks_home = "it does not see the driver's KDZOO_HOME, where trials keep their checkpoints"
            places.keep_away(node, lacks_data if fit.sees_home else lacks_home)

    def _ask(self) -> None:
        for node in ray.nodes():
            if not node["Alive"] or not self._is_due(node["NodeID"]) or not can_take(node, self._needs):
                continue
            self._known.add(node["NodeID"])
            pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            # No core is asked for: on a busy cluster the task would wait for a trial to end.
            task = self._task.options(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
            name = str(node["NodeManagerHostname"])
            self._asked[task.remote(self._marker, self._wanted)] = (node["NodeID"], name)

    def _is_due(self, node: str) -> bool:
        """Whether a machine is to be asked: it never was, or it was not fit some minutes ago."""
        if node not in self._known:
            return True
        under_way = node in {asked for asked, _ in self._asked.values()}
        return not under_way and self._clock() - self._unfit.get(node, float("inf")) >= _AGAIN_SECONDS

    def _collect(self, found: dict[str, Fitness], seconds: float) -> None:
        if not self._asked:
            return
        ready, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=seconds)
        for reference in ready:
            node, name = self._asked.pop(reference)
            found[name if name not in found else f"{name} ({node[:8]})"] = _answer(reference) or _FIT


def _answer(reference: object) -> Fitness | None:
    """What a machine said; None where nothing came back."""
    try:
        fit: Fitness = ray.get(reference)
    except ray.exceptions.RayError:
        return None
    return fit
