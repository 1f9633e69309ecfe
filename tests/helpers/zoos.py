"""Small zoos of made-up releases."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo_registry import Registry
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.format.signing import SigningKey, TrustedKeys
from zoo_registry.store.folder import FolderStore
from zoo_registry.zoo.registry import Release
from zoo_registry.zoo.states import Demand

ENTRY = "rd/demo/weave"


class FarFolder(FolderStore):
    """A folder that counts as remote, so that what is read from it is kept in the cache."""

    is_remote = True


def far_registry(folder: Path, cache: Path, *, offline: bool = False, told: list[str] | None = None) -> Registry:
    """A registry whose store counts as remote."""
    warn = (told if told is not None else []).append
    return Registry(FarFolder(folder), BlobCache(cache), offline=offline, on_warning=warn)


def machine(
    folder: Path,
    name: str,
    *,
    key: SigningKey | None = None,
    demand: Demand | None = None,
    far: bool = False,
    offline: bool = False,
    told: list[str] | None = None,
) -> Registry:
    """A zoo as a machine of that name sees it: one with a cache of its own.

    Args:
        folder: the zoo.
        name: of the machine.
        key: signs what it writes.
        demand: what it asks of aliases and withdrawals.
        far: the store counts as remote.
        offline: it is not asked.
        told: takes the warnings.
    """
    store = FarFolder(folder) if far else FolderStore(folder)
    warn = (told if told is not None else []).append
    registry = Registry(store, BlobCache(folder.parent / name), offline=offline, on_warning=warn)
    if key is not None:
        registry.signatures.sign_by(lambda: key)
    if demand is not None:
        registry.states.demand(lambda: demand)
    return registry


def by(key: SigningKey, **given: Any) -> Demand:
    """A demand for signatures of a key."""
    return Demand(trusted=TrustedKeys(keys=(key.public,), source="my keys"), **given)


def filler(data: bytes) -> Callable[[Path], str]:
    """What brings ``data`` into a `BlobCache`."""

    def fill(path: Path) -> str:
        path.write_bytes(data)
        return hashlib.sha256(data).hexdigest()

    return fill


def publish(folder: Path, text: str, *, entry: str = ENTRY, alias: str | None = "champion") -> Release:
    """Publishes a release with one blob that holds ``text`` and one that all releases share."""
    work = folder.parent / f"{folder.name}-files"
    work.mkdir(exist_ok=True)
    paths = {}
    for role, content in (("weights", text), ("teacher", "the teacher's weights")):
        paths[role] = work / hashlib.sha256(content.encode()).hexdigest()
        paths[role].write_text(content)
    registry = Registry.open(folder, cache=folder.parent / "publisher-cache")
    return registry.publish(entry, {"note": text, "protocol": "holdout"}, paths, alias=alias)


def tree(folder: Path, *under: str) -> dict[str, bytes]:
    """All files of a folder, or of some of its folders, by their path in it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in (under or (".",))
        for path in (folder / part).rglob("*")
        if path.is_file()
    }
