"""What `kdzoo cache` shows and deletes: decoded entries and files of the zoo's cache, in one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from kdzoo.data.cache.store import (
    DECODED,
    FEATURES,
    StoredEntry,
    in_use,
    remove,
    remove_unfinished,
    size_limit,
    stored_entries,
    unfinished_bytes,
)
from zoo_registry.cache.listing import CachedFile, cached_files, remove_file

Kind = Literal["decoded", "features", "zoo"]

_BUILT: tuple[Kind, ...] = (DECODED, FEATURES)

# A fetch that goes on writes more often than that.
_FETCH_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CacheItem:
    """One thing that can be deleted by itself.

    Attributes:
        kind: ``decoded`` images, ``features`` of images, or a file of the ``zoo``.
        what: ``dataset/category``, or what the file is.
        part: which part of the data, or which kind of file.
        images: how many, 0 where that says nothing.
        side: S of the images, pixels, 0 where that says nothing.
        size: bytes.
        used: seconds since 1970.
        folder: where it lies.
    """

    kind: Kind
    what: str
    part: str
    images: int
    side: int
    size: int
    used: float
    folder: Path
    in_use: Callable[[], bool]
    """Whether a process uses it."""
    remove: Callable[[], bool]
    """Deletes it, unless it is in use; says whether it is gone."""
    is_of: Callable[[str], bool]
    """Whether it is of a data set or of ``dataset/category``."""

    def may_go(self, older_than: float | None, *, now: float) -> bool:
        """Whether it is among what is to be deleted.

        Args:
            older_than: seconds it must not have been used for; None takes all.
            now: seconds since 1970.
        """
        age = now - self.used
        if self.part == "note":  # small, and as good tomorrow; a note's age says when its store changed
            return older_than is None
        if self.part == "rest":
            return age > max(_FETCH_S, older_than or 0.0)
        return older_than is None or age > older_than

    def document(self) -> dict[str, Any]:
        """For programs."""
        used = datetime.fromtimestamp(self.used, UTC).isoformat(timespec="seconds")
        numbers = {} if self.kind == "zoo" else {"images": self.images, "side": self.side}
        what = {"kind": self.kind, "what": self.what, "part": self.part}
        return {**what, **numbers, "bytes": self.size, "last_used": used, "path": str(self.folder)}


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheView:
    """A cache as it was when it was looked at.

    Attributes:
        folder: of the cache.
        items: those used longest ago first, decoded entries before features before files of the zoo.
        limit: the most bytes that decoded entries and features may take.
        unfinished: bytes of builds under way, and of killed ones, of either kind.
    """

    folder: Path
    items: tuple[CacheItem, ...]
    limit: int
    unfinished: dict[Kind, int]

    @classmethod
    def of(cls, folder: Path, limit: int | None) -> CacheView:
        """Looks at a cache.

        Args:
            folder: the cache, need not exist.
            limit: the limit that was set, None for the default.

        Raises:
            StorageError: the decoded cache cannot be read.
            StoreUnavailableError: the zoo's cannot.
        """
        zoo, unfinished = folder / "zoo", {kind: unfinished_bytes(folder / kind) for kind in _BUILT}
        entries = [(kind, entry) for kind in _BUILT for entry in stored_entries(folder / kind)]
        used = sum(entry.size for _, entry in entries) + sum(unfinished.values())
        items = (
            *(_of_entry(kind, entry) for kind, entry in entries),
            *(_of_file(zoo, file) for file in cached_files(zoo)),
        )
        return cls(folder=folder, items=items, limit=size_limit(folder / DECODED, limit, used), unfinished=unfinished)

    def sizes(self) -> dict[Kind, int]:
        """Bytes of each kind; of features only where there are any."""
        sizes: dict[Kind, int] = {**self.unfinished, "zoo": 0}
        for item in self.items:
            sizes[item.kind] += item.size
        return {kind: size for kind, size in sizes.items() if size or kind != "features"}

    def tidy(self) -> None:
        """Deletes what killed builds have left.

        Raises:
            StorageError: the cache cannot be read.
        """
        for kind in _BUILT:
            remove_unfinished(self.folder / kind)

    def document(self) -> dict[str, Any]:
        """Folder, totals and limit, for programs."""
        sizes = self.sizes()
        return {
            "cache": str(self.folder),
            "bytes": {**sizes, "total": sum(sizes.values())},
            "unfinished_bytes": sum(self.unfinished.values()),
            "limit_bytes": self.limit,
        }


def _of_entry(kind: Kind, entry: StoredEntry) -> CacheItem:
    return CacheItem(
        kind=kind,
        what=entry.name or entry.folder.name[:12],
        part=entry.part,
        images=entry.images,
        side=entry.side,
        size=entry.size,
        used=entry.used,
        folder=entry.folder,
        in_use=partial(in_use, entry),
        remove=partial(remove, entry),
        is_of=entry.is_of,
    )


def _of_file(root: Path, file: CachedFile) -> CacheItem:
    def gone() -> bool:
        remove_file(root, file)
        return True

    return CacheItem(
        kind="zoo",
        what=file.what,
        part=file.kind,
        images=0,
        side=0,
        size=file.size,
        used=file.used,
        folder=file.path,
        in_use=lambda: False,  # whoever has a blob open keeps it
        remove=gone,
        is_of=lambda dataset: False,
    )
