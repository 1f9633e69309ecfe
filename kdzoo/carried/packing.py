"""A detector's folder as a single file, and back: an uncompressed tar of which every byte is settled.

The same release with the same signatures gives the same file: members stand in one order, without time or owner. Read
is that form alone, so there is no member that could be a link, lie elsewhere, or be another's. The last member has
the digests of all others, as ``sha256sum`` writes them: damage on the way is found, also where no manifest is.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from kdzoo.detector_files import (
    DOCUMENT_FILE,
    MANIFEST_FILE,
    MEMBERS,
    PICTURE_FILE,
    TEACHER_FILE,
    WEIGHTS_FILE,
    is_signature,
)
from kdzoo.errors import CheckpointError, StorageError
from kdzoo.storage import written
from zoo_registry.store.files import CHUNK, create, open_regular

SUMS_FILE: Final = "SHA256SUMS"

_BLOCK = 512
_LARGEST = 8**11 - 1
"""Bytes of a member: what the header's field holds."""
_MOST_MEMBERS = 262
_SMALL = {MANIFEST_FILE: 8 * 2**20, DOCUMENT_FILE: 8 * 2**20, SUMS_FILE: 65_536}
_SIGNATURE_BYTES = 4096
_RANKS = {MANIFEST_FILE: 0, DOCUMENT_FILE: 2, WEIGHTS_FILE: 3, TEACHER_FILE: 4, PICTURE_FILE: 5, SUMS_FILE: 6}
_NEEDED = (DOCUMENT_FILE, WEIGHTS_FILE, TEACHER_FILE)


def pack(members: Mapping[str, bytes | Path], out: Path, *, digests: Mapping[str, str]) -> None:
    """Writes a detector's files as one file, whole or not at all.

    Args:
        members: name, as a detector's folder has it, to content or file.
        out: the file; what was there is replaced.
        digests: sha256 hex that members must have, by name.

    Raises:
        CheckpointError: a file is not the one that its digest says.
        StorageError: a file cannot be read, is larger than 8 GiB, or ``out`` cannot be written.
    """
    lines = []
    with written(out) as file:
        for name in sorted(members, key=_place):
            with _opened(members[name], name) as source:
                made = _put(file, name, source)
            if digests.get(name, made) != made:
                raise CheckpointError(
                    f"'{name}' is not the one that the detector names by its digest",
                    hint="the files of a detector belong together: pull or copy all of them again",
                )
            lines.append(f"{made}  {name}\n")
        _put(file, SUMS_FILE, io.BytesIO("".join(lines).encode()))
        file.write(bytes(2 * _BLOCK))


def unpack(path: Path, folder: Path) -> dict[str, str]:
    """Writes the files of a packed detector into a folder of its own, which is to be thrown away when this fails.

    Args:
        path: a file that `pack` wrote.
        folder: empty.

    Returns:
        The sha256 hex of each file, by name.

    Raises:
        CheckpointError: it is no such file, or is truncated or altered.
        StorageError: it cannot be read.
        OSError: the folder cannot be written.
    """
    try:
        stream = open_regular(path)
    except OSError as error:
        raise StorageError(f"cannot read '{path}': {error.strerror or error}") from error
    with stream:
        reader = _Reader(path, stream)
        found: dict[str, str] = {}
        while (member := reader.next_member()) is not None:
            name, size = member
            if name == SUMS_FILE:
                reader.see_sums(size, found)
                return found
            found[name] = reader.take(folder / name, size)
    raise reader.wrong(f"it has no {SUMS_FILE}")


class _Reader:
    """Reads a packed file from its start to its end, and takes nothing that `pack` would not have written."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path, self._stream = path, stream
        self._left = os.fstat(stream.fileno()).st_size
        self._last: tuple[int, str] = (-1, "")
        self._members = 0

    def wrong(self, why: str) -> CheckpointError:
        """The error of a file that is not as it should be."""
        return CheckpointError(
            f"'{self._path}' is no whole packed detector: {why}",
            hint="copy it again; `kdzoo zoo pack` makes such a file",
        )

    def next_member(self) -> tuple[str, int] | None:
        """Name and size of what comes next; None at the end of the members."""
        header = self._read(_BLOCK)
        if not any(header):
            return None
        name, size = header[:100].rstrip(b"\0").decode("ascii", "replace"), _octal(header[124:135])
        known = name in MEMBERS or name == SUMS_FILE
        if not known or size is None or header != _header(name, size):
            raise self.wrong("there is something else in it" if self._members else "it begins otherwise")
        place = _place(name)
        if place <= self._last:
            raise self.wrong(f"'{name}' stands at the wrong place")
        self._last, self._members = place, self._members + 1
        most = _SIGNATURE_BYTES if is_signature(name) else _SMALL.get(name, _LARGEST)
        if size > most or self._members > _MOST_MEMBERS:
            raise self.wrong(f"'{name}' is larger than it may be" if size > most else "it holds too many files")
        if size > self._left:
            raise self.wrong("it ends too early")
        return name, size

    def take(self, target: Path, size: int) -> str:
        """Writes a member's bytes to a new file, and gives their sha256."""
        made, left = hashlib.sha256(), size
        with create(target) as file:
            while left:
                piece = self._read(min(left, CHUNK))
                made.update(piece)
                file.write(piece)
                left -= len(piece)
        self._skip_padding(size)
        return made.hexdigest()

    def see_sums(self, size: int, made: Mapping[str, str]) -> None:
        """Reads the last member and what follows, and compares the digests that it has with those of the others."""
        said = self._read(size)
        self._skip_padding(size)
        for name, digest in made.items():
            if f"{digest}  {name}".encode() not in said.splitlines():
                raise self.wrong(f"'{name}' was altered")
        if said != "".join(f"{digest}  {name}\n" for name, digest in made.items()).encode():
            raise self.wrong("its list of digests was altered")
        if any(self._read(2 * _BLOCK)) or self._left or self._stream.read(1):
            raise self.wrong("something follows its end")
        lacking = [name for name in _NEEDED if name not in made]
        if lacking:
            raise self.wrong(f"it has no {lacking[0]}")

    def _skip_padding(self, size: int) -> None:
        if any(self._read(-size % _BLOCK)):
            raise self.wrong("there is something between its files")

    def _read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError as error:
            raise StorageError(f"cannot read '{self._path}': {error.strerror or error}") from error
        if len(data) != size:
            raise self.wrong("it ends too early")
        self._left -= size
        return data


def _place(name: str) -> tuple[int, str]:
    """Where a member stands among the others."""
    return (1 if is_signature(name) else _RANKS[name], name)


def _header(name: str, size: int) -> bytes:
    """A member's block, as POSIX.1-1988 (ustar) has it: a plain file that everybody may read, of nobody, at no time."""
    before = name.encode().ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0"
    after = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(155) + bytes(12)
    return before + b"%06o\0 " % (sum(before) + 8 * ord(" ") + sum(after)) + after


def _octal(field: bytes) -> int | None:
    return int(field, 8) if field and set(field) <= set(b"01234567") else None


def _opened(source: bytes | Path, name: str) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return open_regular(source)
    except OSError as error:
        raise StorageError(f"cannot read {name} '{source}': {error.strerror or error}") from error


def _put(file: BinaryIO, name: str, source: BinaryIO) -> str:
    """Appends a member, and gives the sha256 of its bytes."""
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    if size > _LARGEST:
        raise StorageError(f"'{name}' is larger than the 8 GiB that a file in a packed detector may have")
    file.write(_header(name, size))
    made, count = hashlib.sha256(), 0
    while chunk := source.read(CHUNK):
        made.update(chunk)
        count += len(chunk)
        file.write(chunk)
    if count != size:
        raise StorageError(f"'{name}' changed while it was packed")
    file.write(bytes(-size % _BLOCK))
    return made.hexdigest()
