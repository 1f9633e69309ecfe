"""What lies in an archive, one member at a time, read forward and never written by the readers of the archive."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import posixpath
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

from kdzoo.data.download.archives import Packing
from kdzoo.data.files import printable
from kdzoo.errors import ArchiveError, KdzooError, StorageError

_LONGEST_LINK = 4096
# No header, long name or attribute of an honest archive is larger; a forged one would fill the memory.
_LARGEST_READ = 16 * 1024 * 1024
_ZIPPED = ("zip", "whl")

# What the standard library raises for damaged archives, beside its own errors: it checks little before it computes.
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, lzma.LZMAError, zlib.error, struct.error, EOFError,
    ValueError, OverflowError, RecursionError, NotImplementedError, LookupError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One member of an archive, as it says of itself; nothing of it is checked yet."""

    name: str
    """As in the archive."""
    kind: Literal["file", "folder", "link", "other"]
    """``other`` is a device, a pipe, or what else cannot be data."""
    target: str
    """Of a link: the name in the archive that it leads to. Empty otherwise."""
    open: Callable[[], IO[bytes]]
    """Opens a file's bytes, once and before the next member is asked for."""
    position: int
    """How far the archive was read up to here, bytes of the file; for progress."""


@contextlib.contextmanager
def read_members(path: Path, packing: Packing) -> Iterator[Iterator[Member]]:
    """Opens an archive.

    Args:
        path: the archive's file.
        packing: how it is packed.

    Yields:
        Its members in order.

    Raises:
        ArchiveError: damaged, encrypted, or not packed that way; also from the iterator and from reading a member.
        StorageError: the file cannot be read.
    """
    with archive_errors(path), contextlib.ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        if packing in _ZIPPED:
            yield _zip_members(stack.enter_context(zipfile.ZipFile(file)))
        else:
            stream = _decompressed(file, packing)
            stack.callback(stream.close)
            yield _tar_members(stream, file)


@contextlib.contextmanager
def archive_errors(path: Path) -> Iterator[None]:
    """Turns what reading a damaged archive raises inside into errors that name it."""
    try:
        yield
    except KdzooError:
        raise
    except _DAMAGED as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ArchiveError(f"the archive {printable(path)} is damaged: {printable(said)[:200]}") from error
    except RuntimeError as error:  # zipfile's word for an encrypted member
        raise ArchiveError(f"the archive {printable(path)} cannot be read: {printable(str(error))[:200]}") from error


def unpacked_bytes(path: Path, packing: Packing, expansion: float) -> int:
    """How much an archive takes unpacked, bytes: exact for zip and tar, a guess for what only unpacking tells.

    Args:
        path: the archive's file.
        packing: how it is packed.
        expansion: bytes unpacked for a byte packed, where it must be guessed.

    Raises:
        ArchiveError: damaged.
        StorageError: the file cannot be read.
    """
    try:
        if packing in _ZIPPED:
            with archive_errors(path), zipfile.ZipFile(path) as packed:
                return sum(entry.file_size for entry in packed.infolist())
        size = path.stat().st_size
    except OSError as error:
        raise StorageError(f"cannot read {printable(path)}: {error.strerror or error}") from error
    return size if packing == "tar" else int(size * expansion)


def _decompressed(file: BinaryIO, packing: Packing) -> IO[bytes]:
    if packing == "tar.xz":
        return lzma.open(file)
    if packing == "tar.gz":
        return cast(IO[bytes], gzip.GzipFile(fileobj=file))
    return file


class _Forward:
    """A stream that tarfile may only read forward, and not too much at once.

    Going back in a compressed stream would unpack it again from its beginning.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._position = stream, 0
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        self.last = self._stream.read(size)
        self._position += len(self.last)
        return self.last

    def seek(self, position: int) -> None:
        if position < self._position:
            raise tarfile.ReadError("a member that lies before the one just read")
        while position > self._position:
            if not self.read(min(position - self._position, 1024 * 1024)):
                raise tarfile.ReadError("unexpected end of data")

    def tell(self) -> int:
        return self._position


def _tar_members(stream: IO[bytes], file: BinaryIO) -> Iterator[Member]:
    forward = _Forward(stream)
    with tarfile.TarFile(fileobj=forward, mode="r", encoding="utf-8") as packed:  # type: ignore[arg-type]  # reads, seeks and tells only
        while (entry := packed.next()) is not None:
            yield _tar_member(packed, entry, file.tell())
            packed.members.clear()  # type: ignore[attr-defined]  # else it remembers every member there was
    if forward.last.strip(b"\0"):
        raise tarfile.ReadError("a header in the middle is not one")


def _tar_member(packed: tarfile.TarFile, entry: tarfile.TarInfo, position: int) -> Member:
    def opened() -> IO[bytes]:
        data = packed.extractfile(entry)
        if data is None:
            raise tarfile.ReadError(f"no data for '{entry.name}'")
        return data

    target = ""
    kind: Literal["file", "folder", "link", "other"] = "other"
    if entry.isdir():
        kind = "folder"
    elif entry.isreg() and not entry.issparse() and entry.size >= 0:
        kind = "file"
    elif entry.islnk() or entry.issym():
        kind = "link"
        target = entry.linkname if entry.islnk() else _seen_from(entry.name, entry.linkname)
    return Member(name=entry.name, kind=kind, target=target, open=opened, position=position)


def _zip_members(packed: zipfile.ZipFile) -> Iterator[Member]:
    position = 0
    for entry in packed.infolist():
        yield _zip_member(packed, entry, position)
        position += entry.compress_size


def _zip_member(packed: zipfile.ZipFile, entry: zipfile.ZipInfo, position: int) -> Member:
    mode = stat.S_IFMT(entry.external_attr >> 16)
    target = ""
    kind: Literal["file", "folder", "link", "other"] = "other"
    if stat.S_ISLNK(mode):
        kind = "link"
        with packed.open(entry) as data:
            text = data.read(_LONGEST_LINK + 1)
        if len(text) > _LONGEST_LINK:
            raise zipfile.BadZipFile(f"the link '{entry.filename}' is too long")
        target = _seen_from(entry.filename, text.decode("utf-8", "surrogateescape"))
    elif entry.is_dir() or stat.S_ISDIR(mode):
        kind = "folder"
    elif mode in (0, stat.S_IFREG):
        kind = "file"
    # The name before zipfile cut it at a zero byte: both must be harmless, and the longer one is the stricter test.
    return Member(
        name=entry.orig_filename, kind=kind, target=target, open=lambda: packed.open(entry), position=position
    )


def _seen_from(name: str, target: str) -> str:
    """Where a symbolic link leads, from the archive's top: written from its own folder unless absolute."""
    if target.startswith("/"):
        return target
    return posixpath.normpath(posixpath.join(posixpath.dirname(name.rstrip("/")), target))
