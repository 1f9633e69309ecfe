"""A network between a client and the S3 server that loses, delays, refuses and damages what passes."""

from __future__ import annotations

import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from helpers.s3_server import Answer

WRITE_FAULTS = ("drop request", "lose answer", "503", "503 though done", "409", "412", "slow")
READ_FAULTS = ("drop request", "lose answer", "503", "cut", "flip", "slow")


class Chaos:
    """Does something to a share of all requests.

    Args:
        seed: of the dice.
        share: of the requests that are disturbed, 0 to 1.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._dice = random.Random(seed)
        self._share = share
        self.met: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
        """The answer to a request, or something else.

        Args:
            environ: of the request.
            answer: does the request.
        """
        method = environ["REQUEST_METHOD"]
        if self._dice.random() >= self._share:
            return answer()
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ
        faults = READ_FAULTS if method in ("GET", "HEAD") else WRITE_FAULTS
        fault = self._dice.choice(faults)
        if fault in ("409", "412") and not conditional:
            fault = "503"
        self.met[fault] += 1
        return self._do(fault, environ, answer)

    def _do(self, fault: str, environ: dict[str, Any], answer: Callable[[], Answer]) -> Answer:
        if fault == "slow":
            time.sleep(0.02)
            return answer()
        if fault == "503 though done":
            answer()
            return _refusal("503 Slow Down", "SlowDown")
        if fault in ("503", "409", "412"):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            status = {"503": "503 Slow Down", "409": "409 Conflict", "412": "412 Precondition Failed"}[fault]
            code = {"503": "SlowDown", "409": "ConditionalRequestConflict", "412": "PreconditionFailed"}[fault]
            return _refusal(status, code)
        if fault == "drop request":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return _refusal("503 Slow Down", "SlowDown")
        status, headers, body = answer()
        if fault == "lose answer":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        elif fault == "flip" and body:
            at = self._dice.randrange(len(body))
            body = body[:at] + bytes([body[at] ^ (1 << self._dice.randrange(8))]) + body[at + 1 :]
        elif fault == "cut" and body:
            body = body[: self._dice.randrange(len(body))]  # the announced length stays
        return status, headers, body


def _refusal(status: str, code: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>made to fail</Message></Error>".encode()
    return status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))], body
