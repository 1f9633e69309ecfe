"""Looks for planted secrets wherever they might come to lie."""

import os
import time
import urllib.error
import urllib.request
from pathlib import Path


def holding(folder, secrets):
    """Files below a folder that hold one of the secrets, and how many files were read.

    Sockets and what is gone meanwhile are passed over; nothing else is.
    """
    read, found = 0, []
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if not path.is_file() or path.is_symlink():
                continue
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            read += 1
            if any(secret.encode() in content for secret in secrets):
                found.append(str(path))
    return found, read


def environments(pids, secrets, *, driver=b"no such command"):
    """Processes in whose environment one of the secrets stands, with their command lines.

    A child that has just been forked has its parent's: where the command is the driver's, it is passed over.
    """
    found = []
    for pid in pids:
        try:
            content, command = Path(f"/proc/{pid}/environ").read_bytes(), Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended meanwhile
        if any(secret.encode() in content for secret in secrets) and driver not in command:
            found.append((pid, command[:80]))
    return found


DASHBOARD = (
    "/api/jobs/",
    "/api/v0/actors?detail=1&limit=1000",
    "/api/v0/tasks?detail=1&limit=1000",
    "/api/v0/workers?detail=1&limit=1000",
    "/api/v0/runtime_envs?detail=1&limit=1000",
    "/logical/actors",
    "/nodes?view=summary",
    "/nodes?view=details",
)
"""What Ray's dashboard asks its own server, and the state API."""


def dashboard(url, secrets, *, seconds=60.0):
    """Pages of Ray's dashboard that hold one of the secrets, and the sizes of all that answered."""
    deadline, sizes, found = time.monotonic() + seconds, {}, []
    for page in DASHBOARD:
        while page not in sizes and time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://{url}{page}", timeout=10) as answer:
                    content = answer.read()
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                if isinstance(error, urllib.error.HTTPError) and error.code == 404:
                    break  # not one of this version's
                time.sleep(0.5)
                continue
            sizes[page] = len(content)
            if any(secret.encode() in content for secret in secrets):
                found.append(page)
    return found, sizes
