"""The journal: every record goes to a file first, and to MLflow from there.

The file is the queue between training and the server, so nothing is lost when the server is down, when it hangs, or
when the process is killed. It is only ever appended to; a second, tiny file says how many of its bytes MLflow has
taken. Both are removed when all is sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from kdzoo.errors import StorageError, TrackingError
from kdzoo.storage import appending, write_file
from zoo_registry.store import locks
from zoo_registry.store.files import open_kept


class Journal:
    """An append-only file of lines with a mark up to where they are sent.

    One process at a time: the file is locked while the journal is open (on a file system without locks, that is the
    caller's care). Appending is safe from many threads; sending is for one.

    Args:
        path: the file; made, with its folder, if absent. Lines left by an earlier process are sent first.

    Raises:
        TrackingError: the journal is open already, here or in another process.
        StorageError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_name(path.name + ".sent")
        self._append_lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open_kept(path, append=True, mode=0o600)
        except OSError as error:
            raise StorageError(f"cannot write the tracking journal {path}: {error.strerror}") from error
        try:
            self._lock()
            self._end_torn_line()
        except BaseException:
            os.close(self._file)
            raise
        self._sent = self._read_mark()

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return os.fstat(self._file).st_size

    @property
    def all_sent(self) -> bool:
        """True when every line is marked as sent."""
        return self._sent >= self.size

    def append(self, line: bytes) -> None:
        """Adds a line, which ends in a newline.

        Raises:
            StorageError: the disk is full or gone.
        """
        with self._append_lock:
            try:
                before = self.size
                try:
                    left = memoryview(line)
                    while left:
                        left = left[os.write(self._file, left) :]
                except OSError:
                    os.ftruncate(self._file, before)  # half a line would spoil the next one
                    raise
            except OSError as error:
                raise StorageError(f"cannot write the tracking journal {self.path}: {error.strerror}") from error

    def unsent(self) -> Iterator[tuple[bytes, int]]:
        """Each whole line not yet sent, with the offset of its end; lines appended meanwhile are included."""
        with self.path.open("rb") as reader:
            reader.seek(self._sent)
            while (line := reader.readline()).endswith(b"\n"):
                yield line, reader.tell()

    def unsent_count(self) -> int:
        """Number of lines not yet sent."""
        return sum(1 for _ in self.unsent())

    def mark_sent(self, offset: int) -> None:
        """Remembers that all lines before ``offset`` are sent.

        Raises:
            StorageError: the mark cannot be written.
        """
        # A torn mark could skip lines; a lost one only sends some twice.
        write_file(self._mark, str(offset).encode(), durable=False)
        self._sent = offset

    def set_aside(self, line: bytes) -> Path:
        """Keeps a line that the server refuses, for a person to look at; returns the file."""
        path = self.path.with_name(self.path.name + ".refused")
        with appending(path) as file:
            file.write(line)
        return path

    def sync(self) -> None:
        """Puts the lines safely on disk."""
        os.fsync(self._file)

    def close(self) -> None:
        """Closes the file; removes it when all is sent."""
        if self.all_sent:
            # The mark goes first: a file without its mark is sent again, a mark without its file would skip new lines.
            self._mark.unlink(missing_ok=True)
            self.path.unlink(missing_ok=True)
        file, self._file = self._file, -1  # a late append must fail, not write to whatever gets this number next
        os.close(file)

    def _lock(self) -> None:
        try:
            locks.try_lock(self._file)
        except OSError as error:
            if error.errno in locks.HELD:
                raise TrackingError(
                    f"the tracking journal {self.path} is in use",
                    hint="a running sweep sends its own records; wait for its process to end",
                ) from error
            if error.errno not in locks.NONE:
                raise

    def _end_torn_line(self) -> None:
        """A line cut short by a kill or a full disk must not swallow the next one."""
        if self.size and os.pread(self._file, 1, self.size - 1) != b"\n":
            self.append(b"\n")

    def _read_mark(self) -> int:
        try:
            offset = int(self._mark.read_text())
        except (FileNotFoundError, ValueError):
            return 0
        return offset if 0 <= offset <= self.size else 0
