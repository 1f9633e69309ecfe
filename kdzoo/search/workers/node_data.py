"""The data set on every machine of a cluster: it lies there, is made by formula there, or is fetched there."""

from __future__ import annotations

import logging

from kdzoo.data.catalog import Dataset
from kdzoo.data.demo import ensure_demo
from kdzoo.data.download.archives import ARCHIVES
from kdzoo.data.download.install import install
from kdzoo.data.download.place import Place, find_place
from kdzoo.errors import DatasetNotFoundError, SweepError
from kdzoo.settings import Settings

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 60.0
"""A machine that takes longer is passed over: its first trial says what is wrong with it."""


class LoggedWatcher:
    """A download without a person: the worker's log has its stages and notes."""

    def stage(self, label: str, total: int | None, done: int = 0) -> None:
        """A piece of work begins."""
        log.warning("%s", label)

    def done(self, size: int) -> None:
        """Nobody watches the bytes."""

    def note(self, text: str) -> None:
        """Something that a person should read."""
        log.warning("%s", text)


def place_of(dataset: Dataset, settings: Settings) -> Place | None:
    """Where a machine without the data set can fetch it from; None for one that has no archive, or lies elsewhere."""
    if dataset.name not in ARCHIVES or dataset.root != settings.data / dataset.name:
        return None
    return find_place(dataset.name, settings)


def bring(dataset: Dataset, place: Place | None) -> None:
    """Sees to it that the data set is on this machine, under the driver's path.

    Processes that want the same one wait for each other: one of them fetches.

    Args:
        dataset: as the driver opened it.
        place: where it may be fetched from; None when nobody allowed that.

    Raises:
        DatasetNotFoundError: it is not here, and may not be fetched.
        DownloadError: it cannot be had.
        StorageError: there is no room for it.
    """
    if dataset.root.is_dir():
        return
    if dataset.name == "demo":
        ensure_demo(dataset.root)
    elif place is not None:
        install(place, LoggedWatcher())
    else:
        raise DatasetNotFoundError(f"the data set '{dataset.name}' is not in '{dataset.root}'", hint=_hint(dataset))


def check_nodes(dataset: Dataset, place: Place | None) -> None:
    """Finds machines of the cluster that have no data set and cannot come by one, before any trial is sent to them.

    Args:
        dataset: as the driver opened it, which has it.
        place: where it may be fetched from.

    Raises:
        SweepError: naming the machines.
    """
    if place is not None or dataset.name == "demo":
        return
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = ray.get_runtime_context().get_node_id()
    # A machine without cores runs no trials.
    others = [node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here and node["Resources"].get("CPU")]
    asked = {}
    for node in others:
        pinned = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        # No core is asked for: on a busy cluster the task would wait for a trial to end.
        task = ray.remote(_is_here).options(num_cpus=0, max_retries=0, scheduling_strategy=pinned)
        asked[task.remote(dataset)] = str(node["NodeManagerHostname"])
    done, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_ANSWER_SECONDS) if asked else ([], [])
    without = sorted(asked[reference] for reference in done if _says_no(reference))
    if without:
        raise SweepError(
            f"{len(without)} of {len(others) + 1} nodes have no data set '{dataset.name}' in '{dataset.root}': "
            f"{', '.join(without)}",
            hint=_hint(dataset),
        )


def _is_here(dataset: Dataset) -> bool:
    return dataset.root.is_dir()


def _says_no(reference: object) -> bool:
    import ray

    try:
        return not ray.get(reference)
    except ray.exceptions.RayError:
        return False  # its first trial says what is wrong with it


def _hint(dataset: Dataset) -> str:
    fetch = ", or let each node fetch it by --download" if dataset.name in ARCHIVES else ""
    return f"put it there under the same path, or on storage that all nodes mount{fetch}"
