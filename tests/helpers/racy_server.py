"""A small S3 server that looks first and writes then, so that two requests may both find what they want to find.

    python racy_server.py WINDOW_MS [create swap]

looks ``WINDOW_MS`` before it writes, at creations, swaps or both (default), prints its address, and ends with its
standard input. It stands for the servers out there that do so; how wide their window is depends on their load.
"""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_META = "x-amz-meta-"
_CREATE, _SWAP = "create", "swap"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, window_s: float, racy: frozenset[str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.window_s = window_s
        self.racy = racy
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.lock = threading.Lock()

    def write(self, key: str, data: bytes, metadata: dict[str, str], if_none: str | None, if_match: str | None) -> int:
        """Writes an object under a condition; gives the HTTP status."""
        kind = _CREATE if if_match is None else _SWAP
        if kind in self.racy:
            refused = self._look(key, if_none, if_match)
            if not refused:
                time.sleep(self.window_s)
                self.objects[key] = (data, metadata)
            return refused or 200
        with self.lock:
            refused = self._look(key, if_none, if_match)
            if not refused:
                self.objects[key] = (data, metadata)
            return refused or 200

    def _look(self, key: str, if_none: str | None, if_match: str | None) -> int:
        found = self.objects.get(key)
        if if_none is not None and found is not None:
            return 412
        if if_match is not None:
            return 404 if found is None else 412 * (if_match != etag(found[0]))
        return 0


def etag(data: bytes) -> str:
    """As S3 writes it: the md5, in quotes."""
    return f'"{hashlib.md5(data).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of each request."""

    def do_GET(self) -> None:
        key, query = self._asked()
        if "list-type" in query:
            prefix = query.get("prefix", [""])[0]
            start = key.strip("/") + "/"
            names = sorted(name.removeprefix(start) for name in self.server.objects if name.startswith(start + prefix))
            items = "".join(
                f"<Contents><Key>{escape(name)}</Key><Size>1</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for name in names
            )
            self._answer(200, f"<ListBucketResult>{items}</ListBucketResult>".encode())
            return
        found = self.server.objects.get(key)
        if found is None:
            self._answer(404)
            return
        data, metadata = found
        self._answer(200, data, {"ETag": etag(data), **metadata})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        key, query = self._asked()
        data = self._body()
        if "uploadId" in query:
            self.server.uploads[query["uploadId"][0]][int(query["partNumber"][0])] = data
            self._answer(200, headers={"ETag": etag(data)})
            return
        if "/" not in key:  # a bucket
            self._answer(200)
            return
        metadata = {name: value for name, value in self.headers.items() if name.lower().startswith(_META)}
        if_none, if_match = self.headers.get("If-None-Match"), self.headers.get("If-Match")
        status = self.server.write(key, data, metadata, if_none, if_match)
        self._answer(status, headers={"ETag": etag(data)} if status == 200 else {})

    def do_POST(self) -> None:
        key, query = self._asked()
        self._body()
        if "uploads" in query:
            upload = hashlib.md5(f"{key} {time.monotonic_ns()}".encode()).hexdigest()
            self.server.uploads[upload] = {}
            made = f"<UploadId>{upload}</UploadId>"
            self._answer(200, f"<InitiateMultipartUploadResult>{made}</InitiateMultipartUploadResult>".encode())
            return
        parts = self.server.uploads[query["uploadId"][0]]
        data = b"".join(parts[number] for number in sorted(parts))
        status = self.server.write(key, data, {}, self.headers.get("If-None-Match"), None)
        self._answer(status, b"<CompleteMultipartUploadResult/>" if status == 200 else b"")

    def do_DELETE(self) -> None:
        key, query = self._asked()
        if "uploadId" in query:
            self.server.uploads.pop(query["uploadId"][0], None)
        else:
            self.server.objects.pop(key, None)
        self._answer(204)

    def _asked(self) -> tuple[str, dict[str, list[str]]]:
        parts = urlsplit(self.path)
        return unquote(parts.path).lstrip("/"), parse_qs(parts.query, keep_blank_values=True)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        if status >= 400:
            code = {404: "NoSuchKey", 412: "PreconditionFailed"}[status]
            body = f"<Error><Code>{code}</Code><Message>made up</Message></Error>".encode()
        self.send_response_only(status)
        said = {"Last-Modified": formatdate(usegmt=True), "Content-Length": str(len(body)), **(headers or {})}
        for name, value in said.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def racy_server(window_ms: float, *racy: str) -> Iterator[str]:
    """Runs such a server in a process of its own for the block; gives its address."""
    command = [sys.executable, __file__, str(window_ms), *racy]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.wait(10)


def main() -> None:
    """The program."""
    window_ms, *racy = sys.argv[1:]
    server = _Server(float(window_ms) / 1000, frozenset(racy or (_CREATE, _SWAP)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
