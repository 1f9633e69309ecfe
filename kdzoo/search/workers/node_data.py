"""The data set on every machine of a cluster: it lies there, is made by formula there, or is fetched there."""

from __future__ import annotations

import logging

from kdzoo.data.catalog import Dataset
from kdzoo.data.demo import ensure_demo
from kdzoo.data.download.archives import ARCHIVES
from kdzoo.data.download.install import install
from kdzoo.data.download.place import Place, find_place
from kdzoo.errors import DatasetNotFoundError
from kdzoo.settings import Settings

log = logging.getLogger(__name__)


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
        raise DatasetNotFoundError(
            f"the data set '{dataset.name}' is not in '{dataset.root}'", hint=where_to_put(dataset)
        )


def lacking(dataset: Dataset, place: Place | None) -> bool:
    """Whether a machine may be without the data set for good: it is neither made nor fetched there."""
    return place is None and dataset.name != "demo"


def where_to_put(dataset: Dataset) -> str:
    """What to do about a machine without the data set."""
    fetch = ", or let each node fetch it by --download" if dataset.name in ARCHIVES else ""
    return f"put it there under the same path, or on storage that all nodes mount{fetch}"
