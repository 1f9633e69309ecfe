"""HTTP as downloads need it: http and https alone, proxies honoured, and errors in a person's words."""

from __future__ import annotations

import errno
import socket
import ssl
from email.message import Message
from http.client import HTTPException, IncompleteRead
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
    getproxies,
    proxy_bypass,
)

_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})


class Redirects(HTTPRedirectHandler):
    """Follows redirects, but never to where the way could be read or changed by others."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> Request | None:
        """Refuses the step from https to anything else, and to what is neither http nor https."""
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new != "https" and (new != "http" or old == "https"):
            raise HTTPError(req.full_url, code, f"and leads to an address with '{new}:'", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # a Message too


def open_url(request: Request, timeout_s: float) -> Any:
    """Opens an address through the proxies of the environment (``https_proxy``, ``no_proxy``).

    Not `urllib.request.urlopen`, which would also open files and FTP servers that a redirect names.

    Args:
        request: with an http or https address.
        timeout_s: seconds without a byte after which a connection is given up.

    Returns:
        The response, status 200 to 299.

    Raises:
        HTTPError: any other status.
        URLError: the server cannot be reached.
        HTTPException: its answer is no HTTP.
    """
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(), UnknownHandler(), HTTPHandler(), HTTPSHandler(), HTTPDefaultErrorHandler(), Redirects(),
        HTTPErrorProcessor(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener.open(request, timeout=timeout_s)


def temporary_status(code: int) -> bool:
    """Whether a refusal with this status may pass by itself."""
    return code in _TEMPORARY


def reason_of(error: Exception, url: str) -> tuple[str, bool]:
    """Why a server could not be reached, and whether trying again is of no use.

    Args:
        error: from `open_url` or from reading its response.
        url: what was asked for; a proxy on the way to it is mentioned, without its address, which may hold a password.
    """
    cause = error.reason if isinstance(error, URLError) else error
    parts = urlsplit(url)
    via = ""
    if getproxies().get(parts.scheme) and not proxy_bypass(parts.hostname or ""):
        via = f" through the proxy in {parts.scheme}_proxy"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of {parts.hostname} is not trusted{via}: {cause.verify_message}", True
    if isinstance(cause, socket.gaierror):
        return f"no network, or no such host: {parts.hostname}{via}", False
    if isinstance(cause, TimeoutError):
        return f"no answer in time from {parts.hostname}{via}", False
    if isinstance(cause, IncompleteRead):
        return "it ended early", False
    if isinstance(cause, OSError):
        text = cause.strerror or str(cause)
        hopeless = "Tunnel connection failed: 4" in text
        if cause.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            text = f"no network ({text})"
        return f"{text} ({parts.hostname}{via})", hopeless
    kind = type(cause).__name__ if isinstance(cause, HTTPException) else str(cause)
    return f"{kind} ({parts.hostname}{via})", False
