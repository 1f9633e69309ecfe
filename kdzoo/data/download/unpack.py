"""Unpacks an archive into a folder that nothing in it can leave."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kdzoo.data.download.archives import Packing
from kdzoo.data.download.member_names import TakenNames, safe_parts
from kdzoo.data.download.members import Member, read_members
from kdzoo.data.files import printable
from kdzoo.errors import ArchiveError, StorageError

_CHUNK = 1024 * 1024
_GIB = 1024**3
# Finder's own data in a zip: no part of any data set, and it would hide that all else lies in one folder.
_NOISE = "__MACOSX"

Progress = Callable[[int], None]
"""Told how many bytes of the archive have been dealt with so far."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UnpackLimits:
    """What an archive may grow to. The defaults are several times what the largest known data set needs.

    Raises:
        ValueError: a limit is not positive.
    """

    members: int = 200_000
    """Files, folders and links."""
    member_bytes: int = 2 * _GIB
    """Bytes of one file, unpacked."""
    total_bytes: int = 200 * _GIB
    """Bytes of all files, unpacked."""
    ratio: float = 50.0
    """Bytes unpacked for a byte of the archive, in all; small archives may always have ``free_bytes``."""
    free_bytes: int = 64 * 1024 * 1024
    """Bytes unpacked that no ratio is asked of."""

    def __post_init__(self) -> None:
        if min(self.members, self.member_bytes, self.total_bytes, self.ratio, self.free_bytes) <= 0:
            raise ValueError("limits of an archive must be positive")

    def total_of(self, archive_bytes: int) -> int:
        """The most that an archive of this size may take unpacked, bytes."""
        return min(self.total_bytes, max(self.free_bytes, int(archive_bytes * self.ratio)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Unpacked:
    """What was written: number of files, and their bytes."""

    files: int
    size: int


def unpack(
    archive: Path, packing: Packing, folder: Path, *, limits: UnpackLimits, progress: Progress | None = None
) -> Unpacked:
    """Unpacks an archive into a folder that is empty and known to nobody else.

    Only folders and plain files are made, with names that were checked; a link becomes a copy of the file it leads to,
    which must have come before it. So there is nothing on the disk that could lead out of the folder. Sizes are
    counted as they are written, not believed.

    Args:
        archive: the archive's file.
        packing: how it is packed.
        folder: exists and is empty; what was written to it stays when this raises.
        limits: what the archive may grow to.
        progress: told how far the archive was read.

    Returns:
        What was written.

    Raises:
        ArchiveError: damaged; a member that leads out, is no file, folder or link, meets another one's name, or is
            too large; too many members.
        StorageError: the disk is full, or cannot be written.
    """
    try:
        writer = _Writer(folder, limits, limits.total_of(archive.stat().st_size))
        with read_members(archive, packing) as members:
            for member in members:
                writer.write(member)
                if progress is not None:
                    progress(member.position)
    except OSError as error:
        where = printable(error.filename or archive)
        raise StorageError(
            f"cannot unpack {printable(archive)}: {error.strerror or error} ({where})",
            hint="free some space, or unpack elsewhere with --root DIR",
        ) from error
    return Unpacked(files=writer.files, size=writer.size)


class _Writer:
    """Writes members below a folder, and counts."""

    def __init__(self, folder: Path, limits: UnpackLimits, total: int) -> None:
        self._folder, self._limits, self._total = folder, limits, total
        self._names = TakenNames()
        self._folders: set[Path] = {folder}
        self._members = 0
        self.files = 0
        self.size = 0

    def write(self, member: Member) -> None:
        self._members += 1
        if self._members > self._limits.members:
            raise ArchiveError(f"the archive holds more than {self._limits.members} members")
        parts = safe_parts(member.name)
        shown = printable(member.name)
        if parts[:1] == (_NOISE,):
            return
        if member.kind == "other":
            raise ArchiveError(f"the archive holds '{shown}', which is no file, folder or link")
        path = self._folder.joinpath(*parts)
        if member.kind == "folder":
            self._names.take(parts, "folder")
            self._make(path)
            return
        if not parts:
            raise ArchiveError(f"the archive holds a file without a name ('{shown}')")
        linked = self._linked(member) if member.kind == "link" else None
        self._names.take(parts, "file")
        self._make(path.parent)
        if linked is None:
            with member.open() as source:
                self._copy(source, path, shown)
        else:
            with linked.open("rb") as source:
                self._copy(source, path, shown)
        self.files += 1

    def _linked(self, member: Member) -> Path:
        try:
            parts = safe_parts(member.target)
        except ArchiveError as error:
            raise ArchiveError(f"a link leads elsewhere, '{printable(member.name)}': {error.message}") from error
        if not self._names.is_file(parts):
            raise ArchiveError(
                f"the archive holds the link '{printable(member.name)}' to '{printable(member.target)}', "
                "which is no file that came before it"
            )
        return self._folder.joinpath(*parts)

    def _make(self, folder: Path) -> None:
        if folder not in self._folders:
            folder.mkdir(parents=True, exist_ok=True)
            self._folders.add(folder)

    def _copy(self, source: IO[bytes], path: Path, shown: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        size = 0
        with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                self.size += len(chunk)
                if size > self._limits.member_bytes:
                    raise ArchiveError(f"'{shown}' in the archive is larger than {self._limits.member_bytes} bytes")
                if self.size > self._total:
                    raise ArchiveError(f"the archive grows to more than {self._total} bytes at '{shown}'")
                file.write(chunk)


def find_root(folder: Path, holds: tuple[str, ...]) -> Path:
    """The data set's own folder in what was unpacked: the folder itself, or the only folder in it, and so on.

    Args:
        folder: what was unpacked into.
        holds: names that lie directly in the data set's folder.

    Raises:
        ArchiveError: there is no such folder.
    """
    place = folder
    while not all((place / name).exists() for name in holds):
        inside = sorted(place.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            raise ArchiveError(
                f"the archive does not hold what it should: no {', '.join(holds)} beside each other in it; "
                f"it has {', '.join(printable(path.name) for path in inside[:10]) or 'nothing'}"
            )
        place = inside[0]
    return place
