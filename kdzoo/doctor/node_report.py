"""What one machine of a cluster says of itself; `look` runs there, as a Ray task."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from kdzoo._version import __version__
from kdzoo.data.catalog import Dataset
from kdzoo.doctor.disk import look_at_folder
from kdzoo.doctor.finding import Finding
from kdzoo.errors import DatasetError
from kdzoo.search.workers.node_checks import sees
from kdzoo.settings import Settings

_SAME_EVERYWHERE = ("ray", "torch", "timm", "numpy")


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What was seen on a machine.

    Attributes:
        versions: of Python, kdzoo and the packages that must be the same on every node.
        gpus: how many PyTorch can use.
        sees_home: whether the file that the driver put into its home is there.
        fingerprints: category to digest of what lies there; empty when no data set was asked for.
        dataset_trouble: why the data set cannot be read here; empty when it can, or none was asked for.
        disk: of the cache.
    """

    versions: Mapping[str, str]
    gpus: int
    sees_home: bool
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    dataset_trouble: str = ""
    disk: Finding


def look(node: str, settings: Settings, marker: Path, dataset: Dataset | None) -> NodeReport:
    """Looks at the machine that this runs on.

    Args:
        node: its name for people.
        settings: the driver's; trials use the same cache path on every node.
        marker: a file that the driver has just made in its home.
        dataset: the data set as the driver opened it; workers look for it under the same path.
    """
    fingerprints: dict[str, str] = {}
    trouble = ""
    try:
        fingerprints = fingerprints_of(dataset)
    except (DatasetError, OSError) as error:
        trouble = str(error)
    return NodeReport(
        versions=versions(),
        gpus=_usable_gpus(),
        sees_home=sees(marker),
        fingerprints=fingerprints,
        dataset_trouble=trouble,
        disk=look_at_folder("cache", settings.cache, "KDZOO_CACHE", node=node),
    )


def versions() -> dict[str, str]:
    """Of Python, kdzoo and what must be the same everywhere; without the tag that tells a CUDA from a CPU build."""
    found = {"python": platform.python_version(), "kdzoo": __version__}
    for name in _SAME_EVERYWHERE:
        try:
            found[name] = version(name).partition("+")[0]
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def fingerprints_of(dataset: Dataset | None) -> dict[str, str]:
    """Category to digest over names, labels and file sizes.

    Raises:
        DatasetError: a category cannot be read.
    """
    if dataset is None:
        return {}
    return {name: dataset.category(name).fingerprint() for name in dataset.categories()}


def _usable_gpus() -> int:
    if os.environ.get("CUDA_VISIBLE_DEVICES") == "":
        # Ray hides all GPUs from a task that asked for none, and one that asks waits for a running sweep to end.
        del os.environ["CUDA_VISIBLE_DEVICES"]
    import torch

    return int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
