"""Small zoos of made-up releases."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from zoo_registry import Registry
from zoo_registry.cache.blobs import BlobCache
from zoo_registry.store.folder import FolderStore
from zoo_registry.zoo.registry import Release

ENTRY = "rd/demo/weave"


class FarFolder(FolderStore):
    """A folder that counts as remote, so that what is read from it is kept in the cache."""

    is_remote = True


def far_registry(folder: Path, cache: Path, *, offline: bool = False, told: list[str] | None = None) -> Registry:
    """A registry whose store counts as remote."""
    warn = (told if told is not None else []).append
    return Registry(FarFolder(folder), BlobCache(cache), offline=offline, on_warning=warn)


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
