"""An S3 server on loopback, with faults that a test switches on.

moto answers over HTTP in a thread of this process. Its conditional writes are not atomic, so one lock is held around
every request: the server then behaves as S3 promises.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from helpers.serving import serving
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

CREDENTIALS = {"aws_access_key_id": "test-key", "aws_secret_access_key": "test-secret", "region_name": "us-east-1"}

Answer = tuple[str, list[tuple[str, str]], bytes]


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Set one of ``status`` (refuse without doing it), ``lose_answer`` (do it, then hang up), ``ignore_conditions`` (do it
    as if no If-Match or If-None-Match were sent) and ``change`` (alter the body of the answer).
    """

    method: str
    contains: str = ""
    times: int = 1
    status: str = ""
    code: str = ""
    lose_answer: bool = False
    ignore_conditions: bool = False
    change: Callable[[bytes], bytes] | None = None
    seen: int = 0


@dataclass
class S3Server:
    """A running server."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path, with the query, of every request."""
    chaos: Callable[[dict[str, Any], Callable[[], Answer]], Answer] | None = None
    """What stands between the requests and the server; see `helpers.chaos`."""
    _clients: dict[int, Any] = field(default_factory=dict)

    def client(self, *, attempts: int = 3) -> Any:
        """A boto3 client that waits little and tries ``attempts`` times in all; the same one for all who ask.

        Making one takes boto3 as long as hundreds of requests.
        """
        if attempts not in self._clients:
            config = Config(
                retries={"mode": "standard", "total_max_attempts": attempts},
                connect_timeout=2,
                read_timeout=5,
                max_pool_connections=16,
            )
            session = boto3.session.Session(**CREDENTIALS)
            self._clients[attempts] = session.client("s3", endpoint_url=self.url, config=config)
        return self._clients[attempts]

    def variables(self) -> dict[str, str]:
        """The environment in which boto3 finds this server."""
        names = {"region_name": "AWS_DEFAULT_REGION"}
        given = {names.get(name, name.upper()): value for name, value in CREDENTIALS.items()}
        return given | {"AWS_ENDPOINT_URL": self.url}

    def new_bucket(self, client: Any) -> str:
        """Makes a bucket of its own and gives its name."""
        name = f"zoo-{uuid.uuid4().hex[:12]}"
        client.create_bucket(Bucket=name)
        return name

    @contextlib.contextmanager
    def fault(self, **settings: Any) -> Iterator[Fault]:
        """Switches a fault on for the block, and asserts at its end that it was met."""
        fault = Fault(**settings)
        self.faults.append(fault)
        try:
            yield fault
        finally:
            self.faults.remove(fault)
        assert fault.seen, f"no {fault.method} request came to be disturbed"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Says nothing of each request."""


class _Application:
    """moto's application, one request at a time, with the server's faults."""

    def __init__(self, server: S3Server) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server = server
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        with self._lock:
            path = environ["PATH_INFO"] + ("?" + environ["QUERY_STRING"] if environ.get("QUERY_STRING") else "")
            method = environ["REQUEST_METHOD"]
            self._server.requests.append((method, path))
            fault = self._met(method, path)
            if fault is not None and fault.status:
                status, headers, body = _refusal(fault)
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            else:
                if fault is not None and fault.ignore_conditions:
                    environ.pop("HTTP_IF_MATCH", None)
                    environ.pop("HTTP_IF_NONE_MATCH", None)
                if self._server.chaos is not None:
                    status, headers, body = self._server.chaos(environ, lambda: self._run(environ))
                else:
                    status, headers, body = self._run(environ)
            if fault is not None and fault.lose_answer:
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            if fault is not None and fault.change is not None:
                body = fault.change(body)
                headers = [(k, v) for k, v in headers if not k.lower().startswith(("content-length", "x-amz-checksum"))]
                headers.append(("Content-Length", str(len(body))))
        start_response(status, headers)
        return [body]

    def _met(self, method: str, path: str) -> Fault | None:
        for fault in self._server.faults:
            if fault.method == method and fault.contains in path and fault.seen < fault.times:
                fault.seen += 1
                return fault
        return None

    def _run(self, environ: dict[str, Any]) -> Answer:
        said: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            said[:] = [status, headers]

        parts = self._moto(environ, start)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        return said[0], said[1], body


def _refusal(fault: Fault) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{fault.code}</Code><Message>made to fail</Message></Error>".encode()
    return fault.status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body


@contextlib.contextmanager
def s3_server() -> Iterator[S3Server]:
    """Runs a server on a free port of loopback for the block."""
    server = S3Server(url="")
    httpd = make_server("127.0.0.1", 0, _Application(server), threaded=True, request_handler=_Quiet)
    with serving(httpd) as server.url:
        yield server


@contextlib.contextmanager
def another_s3_server() -> Iterator[S3Server]:
    """Runs a server in a process of its own: all in one process have the same buckets. Its requests are not counted."""
    program = (
        "import sys; from helpers.s3_server import s3_server\nwith s3_server() as s: print(s.url, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield S3Server(url=process.stdout.readline().strip())
        finally:
            process.stdin.write("\n")
            process.stdin.close()
