"""A web server on loopback that gives out files, honestly or not."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from helpers.serving import serving


@dataclass
class Fault:
    """What goes wrong with the next ``times`` requests."""

    times: int = 1
    status: int = 0
    """Refuse with this status."""
    headers: dict[str, str] = field(default_factory=dict)
    """More headers, or others, of the answer."""
    send: int | None = None
    """Hang up after so many bytes of the body."""
    add: bytes = b""
    """Bytes after the body."""
    hang_up: bool = False
    """Close the connection without an answer."""
    shift: int = 0
    """Start a range so many bytes later than asked for."""


@dataclass
class FileServer:
    """A running server, and what it gives out."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and headers, names in lower case, of every request."""
    ranges: bool = True
    etags: bool = True
    lengths: bool = True

    def give(self, name: str, content: bytes) -> str:
        """Gives out a file; returns its address."""
        self.files[f"/{name}"] = content
        return f"{self.url}/{name}"

    def asked_ranges(self) -> list[str]:
        """The ``Range`` of every request, empty where it had none."""
        return [headers.get("range", "") for _, headers in self.requests]

    def next_fault(self) -> Fault:
        """The fault that the next request meets."""
        while self.faults and not self.faults[0].times:
            self.faults.pop(0)
        if not self.faults:
            return Fault(times=0)
        self.faults[0].times -= 1
        return self.faults[0]


@contextlib.contextmanager
def file_server() -> Iterator[FileServer]:
    """Runs a server on a free port of loopback for the block."""
    server = FileServer(url="")

    class Handler(BaseHTTPRequestHandler):
        # Else each connection's end would wait for the next request on it.
        protocol_version = "HTTP/1.0"

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing of each request."""

        def do_GET(self) -> None:
            server.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
            fault = server.next_fault()
            if fault.hang_up:
                return
            status, headers, body = _answer(server, self.path, self.headers.get("Range"), self.headers, fault)
            self.send_response(status)
            for key, value in (headers | fault.headers).items():
                self.send_header(key, value)
            self.end_headers()
            # A client that has heard enough hangs up first.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body[: fault.send] + fault.add)

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server.url:
        yield server


def _answer(server, path, asked, conditions, fault):
    """Status, headers and body of an answer."""
    if fault.status:
        return fault.status, {"Content-Length": "0"}, b""
    content = server.files.get(path)
    if content is None:
        return 404, {"Content-Length": "0"}, b""
    headers = {"Content-Type": "application/octet-stream"}
    etag = f'"{hashlib.md5(content).hexdigest()}"'
    if server.etags:
        headers["ETag"] = etag
    match = re.fullmatch(r"bytes=(\d+)-", asked or "")
    same = conditions.get("If-Range") in (None, etag)
    status, start = 200, 0
    if match and server.ranges and same:
        start = int(match[1]) + fault.shift
        if start >= len(content):
            return 416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b""
        status = 206
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    if server.lengths:
        headers["Content-Length"] = str(len(content) - start)
    return status, headers, content[start:]
