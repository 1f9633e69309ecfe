"""What a sweep makes of being asked to end: Ctrl-C (SIGINT), and SIGTERM as batch systems and containers send it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupt_afterwards() -> Iterator[None]:
    """Keeps a Ctrl-C until the block is left; a second one ends it at once.

    For what must not be left half-way, such as Ray's start, in which a `KeyboardInterrupt` may also be lost.

    Raises:
        KeyboardInterrupt: Ctrl-C came meanwhile.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if asked:
        raise KeyboardInterrupt


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Takes SIGTERM for Ctrl-C: what is finished is measured and published before the end.

    Ray's own handler would end the driver at once. It is set by Ray's start, so this comes after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        # Shells start what runs in the background with Ctrl-C ignored; that must not swallow a SIGTERM.
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
