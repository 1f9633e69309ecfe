"""Fetches one file over HTTP: goes on where it was, tries again when the connection drops."""

from __future__ import annotations

import http.client
import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import Request

from kdzoo._version import __version__
from kdzoo.data.download.http import open_url, reason_of, temporary_status
from kdzoo.data.files import printable
from kdzoo.errors import DownloadError, KdzooError, StorageError
from kdzoo.storage import appending, write_file

_CHUNK = 256 * 1024
_PROGRESS = 1024 * 1024


class Watcher(Protocol):
    """Told how the work goes."""

    def stage(self, label: str, total: int | None, done: int = 0) -> None:
        """A piece of work begins, of so many bytes, of which some were done before; the same may begin again."""

    def done(self, size: int) -> None:
        """So many bytes of it are done in all."""

    def note(self, text: str) -> None:
        """Something that a person should read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FetchPolicy:
    """How patient a download is.

    Raises:
        ValueError: a number is out of its range.
    """

    attempts: int = 8
    """Tries in a row without a megabyte of progress, at least 1."""
    first_attempts: int = 3
    """Tries while the server has never answered, at least 1: a wrong address should not take minutes."""
    first_wait_s: float = 1.0
    """Seconds before the second try; doubled for each further one."""
    longest_wait_s: float = 60.0
    """Seconds between two tries at most, whatever the server asks for."""
    timeout_s: float = 30.0
    """Seconds without a byte after which a connection is given up, above 0."""
    largest: int = 100 * 1024**3
    """Bytes at most."""

    def __post_init__(self) -> None:
        if min(self.attempts, self.first_attempts, self.largest) < 1 or self.timeout_s <= 0:
            raise ValueError("attempts and sizes must be at least 1, and the timeout above 0")
        if self.first_wait_s < 0 or self.longest_wait_s < 0:
            raise ValueError("waits must not be negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What the server said of the file when its part was begun."""

    url: str
    etag: str
    modified: str
    total: int | None

    def validator(self) -> str:
        """What ``If-Range`` may compare: a strong ETag, else the date; empty when there is neither."""
        return self.etag if self.etag.startswith('"') else self.modified


class _TryAgainError(Exception):
    """A try that failed but may be repeated.

    Args:
        reason: for people.
        wait_s: what the server asks to wait, seconds.
    """

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def fetch(
    url: str, part: Path, *, policy: FetchPolicy, watcher: Watcher, announced: Callable[[int], None] | None = None
) -> int:
    """Fetches a file into ``part``, going on with what an earlier call left there.

    Beside the part lies a small JSON file that says of which version of the file it is (address, ETag, date, size).
    With it the server is asked for the rest only; a server that does not do ranges, or has another version by now,
    sends the whole file, and the part begins anew. That the bytes are right is for the caller to check by digest.

    Args:
        url: http or https; redirects are followed, but not from https to http.
        part: the file; its folder exists, and no other process writes it.
        policy: how patient to be.
        watcher: told how it goes.
        announced: called with the bytes still to come, before they do; may raise.

    Returns:
        The file's size, bytes.

    Raises:
        DownloadError: the server refuses, sends a web page or too much, or cannot be reached after all tries; names
            the address.
        StorageError: the part cannot be written.
    """
    return _Fetch(url, part, policy, watcher, announced).run()


def forget(part: Path) -> None:
    """Removes a part and what is known of it."""
    part.unlink(missing_ok=True)
    _known_path(part).unlink(missing_ok=True)


def _known_path(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


class _Fetch:
    """One file on its way."""

    def __init__(
        self, url: str, part: Path, policy: FetchPolicy, watcher: Watcher, announced: Callable[[int], None] | None
    ) -> None:
        self._url, self._part, self._policy, self._watcher = url, part, policy, watcher
        self._announced = announced
        self._answered = False

    def run(self) -> int:
        failed, mark = 0, self._size()
        while True:
            try:
                return self._try()
            except KdzooError:
                raise
            except _TryAgainError as again:
                reason, asked = str(again), again.wait_s
            except OSError as error:
                raise StorageError(
                    f"cannot write {printable(self._part)}: {error.strerror or error}",
                    hint="free some space, or download to another disk with --root DIR; run the command again to go on",
                ) from error
            # Only what was never reached before counts: a server that ignores ranges begins anew each time.
            if self._size() - mark >= _PROGRESS:
                failed, mark = 0, self._size()
            failed += 1
            allowed = self._policy.attempts if self._answered else self._policy.first_attempts
            if failed >= allowed:
                raise DownloadError(f"cannot fetch {self._url}: {reason} ({failed} tries)")
            wait = self._policy.first_wait_s * 2 ** (failed - 1) if asked is None else asked
            wait = min(wait, self._policy.longest_wait_s)
            self._watcher.note(f"{reason}; trying again in {wait:.0f} s")
            time.sleep(wait)

    def _try(self) -> int:
        known, have = self._known(), self._size()
        if known is None and have:
            forget(self._part)
            have = 0
        headers = {"User-Agent": f"kdzoo/{__version__}", "Accept-Encoding": "identity"}
        if known is not None and have:
            headers["Range"] = f"bytes={have}-"
            if known.validator():
                headers["If-Range"] = known.validator()
        try:
            response = open_url(Request(self._url, headers=headers), self._policy.timeout_s)
        except HTTPError as error:
            with error:
                self._answered = True
                if error.code == 416 and have:
                    return self._nothing_left(have, error.headers.get("Content-Range") or "")
                self._refused(error)
        except (URLError, http.client.HTTPException, OSError) as error:
            self._unreachable(error)
        with response:
            self._answered = True
            return self._receive(response, known, have)

    def _refused(self, error: HTTPError) -> None:
        reason = (error.reason or "").splitlines()
        said = f"the server answers {error.code} {printable(reason[0]) if reason else ''}".rstrip()
        if temporary_status(error.code):
            after = error.headers.get("Retry-After") or ""
            raise _TryAgainError(said, float(after) if re.fullmatch(r"\d{1,6}", after) else None) from error
        raise DownloadError(f"cannot fetch {self._url}: {said}") from error

    def _unreachable(self, error: Exception) -> None:
        reason, hopeless = reason_of(error, self._url)
        if hopeless:
            raise DownloadError(f"cannot fetch {self._url}: {reason}") from error
        raise _TryAgainError(reason) from error

    def _nothing_left(self, have: int, content_range: str) -> int:
        """The server has no bytes after the part's: it is whole, or of another version."""
        if content_range.replace(" ", "") == f"bytes*/{have}":
            return have
        forget(self._part)
        raise _TryAgainError("the file on the server is another one than before, beginning anew")

    def _receive(self, response: Any, known: _Known | None, have: int) -> int:
        if "text/html" in (response.headers.get("Content-Type") or "").lower():
            raise DownloadError(f"cannot fetch {self._url}: the server sends a web page, not an archive")
        length = response.headers.get("Content-Length") or ""
        coming = int(length) if re.fullmatch(r"\d{1,18}", length) else None
        total: int | None
        if response.status == 206:
            total = self._check_range(response.headers.get("Content-Range") or "", known, have)
        elif response.status == 200:
            have, total = 0, coming
            forget(self._part)
            self._remember(response.headers, total)
        else:
            raise DownloadError(f"cannot fetch {self._url}: the server answers {response.status}, which holds no file")
        if total is not None and total > self._policy.largest:
            raise DownloadError(f"cannot fetch {self._url}: it is announced as {total} bytes, more than it can be")
        if self._announced is not None and total is not None:
            self._announced(total - have)
        self._watcher.stage("Downloading", total, have)
        size = self._append(response, have, total)
        if total is not None and size < total:
            raise _TryAgainError(f"the connection ended after {size} of {total} bytes")
        return size

    def _check_range(self, text: str, known: _Known | None, have: int) -> int:
        """The whole file's size from a ``Content-Range`` that goes on where the part ends."""
        match = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", text.strip())
        if match is None or known is None or int(match[1]) != have or known.total not in (None, int(match[3])):
            forget(self._part)
            raise _TryAgainError("the server sends another part than asked for, beginning anew")
        return int(match[3])

    def _append(self, response: IO[bytes], have: int, total: int | None) -> int:
        size = have
        with appending(self._part) as file:
            while True:
                try:
                    chunk = response.read(_CHUNK)
                except (http.client.HTTPException, OSError) as error:
                    raise _TryAgainError(f"the connection was lost ({reason_of(error, self._url)[0]})") from error
                if not chunk:
                    break
                size += len(chunk)
                if size > (self._policy.largest if total is None else total):
                    raise DownloadError(f"cannot fetch {self._url}: the server sends more than it announced")
                file.write(chunk)
                self._watcher.done(size)
            file.flush()
            os.fsync(file.fileno())
        return size

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _known(self) -> _Known | None:
        """What is known of the part; None when it is of another address, or that cannot be told."""
        path = _known_path(self._part)
        if not path.exists():
            return None
        try:
            content = json.loads(path.read_bytes())
            match content:
                case {"url": self._url, "etag": str(etag), "modified": str(modified), "total": int() | None as total}:
                    return _Known(url=self._url, etag=etag, modified=modified, total=total)
        except (ValueError, RecursionError):
            self._watcher.note(f"{printable(path)} is damaged, beginning anew")
        return None

    def _remember(self, headers: Any, total: int | None) -> None:
        # Kept within what may be sent back in a header line.
        etag, modified = (re.sub(r"[^\x20-\x7e]", "", headers.get(name) or "") for name in ("ETag", "Last-Modified"))
        known = _Known(url=self._url, etag=etag[:512], modified=modified[:128], total=total)
        path = _known_path(self._part)
        path.parent.stat()  # a folder that is gone, such as an unmounted disk's, is not made again
        write_file(path, (json.dumps(asdict(known)) + "\n").encode())
