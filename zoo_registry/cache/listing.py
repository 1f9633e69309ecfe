"""What a cache of blobs holds, for those who want to look at it or to empty it."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo_registry.errors import RegistryError
from zoo_registry.format.layout import parse_manifest_key
from zoo_registry.format.manifest import Manifest
from zoo_registry.store import files

_log = logging.getLogger(__name__)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NOTE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class CachedFile:
    """A file of the cache.

    Attributes:
        path: where it is.
        kind: ``blob``; ``note``, a small file of a store kept for when the store is out of reach, or
            what the store has proved; or ``rest``, what a
            fetch left that was stopped or is still going on.
        what: of a blob the release and role that it was seen in, such as ``aand/demo/weave 3 weights``, else its
            digest; of anything else its path in the cache.
        size: bytes.
        used: when it was last written or, if it is a blob, read, in seconds since 1970; as exact as the file system
            is (most note a reading once a day).
    """

    path: Path
    kind: Literal["blob", "note", "rest"]
    what: str
    size: int
    used: float


def cached_files(root: Path) -> list[CachedFile]:
    """The files of a cache, those used longest ago first.

    Args:
        root: the folder that `BlobCache` was given; need not exist.

    Raises:
        StoreUnavailableError: the folder cannot be listed.
    """
    with files.storage_errors("list", root):
        owners = dict(_owners(root / "seen"))
        found = [_cached(root, path, owners) for path in _plain_files(root)]
    return sorted((file for file in found if file is not None), key=lambda file: (file.used, file.path))


def remove_file(root: Path, file: CachedFile) -> None:
    """Deletes a file of the cache; who has it open keeps it.

    Raises:
        StoreUnavailableError: it cannot be deleted.
        ValueError: it is not below ``root``.
    """
    file.path.relative_to(root)
    with files.storage_errors("delete", file.path):
        file.path.unlink(missing_ok=True)


def _plain_files(root: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for folder, _, names in os.walk(root, onerror=fail, followlinks=False):
        yield from (Path(folder, name) for name in names)


def _cached(root: Path, path: Path, owners: dict[str, str]) -> CachedFile | None:
    try:
        status = path.lstat()
    except FileNotFoundError:  # renamed to its place, or removed, meanwhile
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    place = path.relative_to(root)
    kind: Literal["blob", "note", "rest"] = "rest"
    what = place.as_posix()
    if place.parts[0] == "sha256" and _DIGEST.fullmatch(path.name):
        kind, what = "blob", owners.get(path.name, path.name)
    elif place.parts[0] in ("seen", "proved"):
        kind = "note"
    used = max(status.st_atime, status.st_mtime) if kind == "blob" else status.st_mtime  # looking here reads notes
    return CachedFile(path=path, kind=kind, what=what, size=status.st_size, used=used)


def _owners(seen: Path) -> Iterator[tuple[str, str]]:
    """Digest and name of each blob that a kept manifest speaks of."""
    for path in _plain_files(seen):
        key = path.relative_to(seen).as_posix().partition("/")[2]
        if parse_manifest_key(key) is None:
            continue
        try:
            with files.open_regular(path) as file:
                manifest = Manifest.parse(file.read(_NOTE_BYTES))
        except (RegistryError, OSError) as error:
            _log.debug("%s does not say what blobs there are: %s", path, error)
            continue
        for role, blob in manifest.blobs.items():
            yield blob.sha256, f"{manifest.entry} {manifest.release} {role}"
