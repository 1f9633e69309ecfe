"""Who runs this process."""

from __future__ import annotations

import getpass
import os
import socket

from zoo_registry.format.alias import MAX_WHO, plain


def this_person() -> str:
    """Who runs this process, as ``user@host``: what a move says of its mover unless told otherwise."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container's user often has a number and no name
        user = f"uid{os.getuid()}" if hasattr(os, "getuid") else "somebody"
    return plain(f"{user}@{socket.gethostname()}", longest=MAX_WHO)
