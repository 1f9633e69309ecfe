"""Ctrl-C that waits a little for a good place to stop, and comes at once the second time."""

from __future__ import annotations

import _thread
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

WAIT_SECONDS: Final = 10.0
"""For the end of an epoch, after which a training can be gone on with."""


class GentleStop:
    """While it is entered, the first Ctrl-C is only noted; it comes as `KeyboardInterrupt` some seconds later.

    Args:
        told: called at the first Ctrl-C.
        seconds: until it comes, if nobody stops by himself; a second Ctrl-C comes at once.
    """

    def __init__(self, told: Callable[[], None], *, seconds: float = WAIT_SECONDS) -> None:
        self._told, self._seconds = told, seconds
        self._timer: threading.Timer | None = None
        self._before: Any = None
        self.is_asked = False

    def __enter__(self) -> GentleStop:
        is_main = threading.current_thread() is threading.main_thread()
        # Shells start what runs in the background with Ctrl-C ignored.
        if is_main and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def here(self) -> None:
        """A good place to stop.

        Raises:
            KeyboardInterrupt: Ctrl-C came before.
        """
        if self.is_asked:
            raise KeyboardInterrupt

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.is_asked:
            raise KeyboardInterrupt
        self.is_asked = True
        self._timer = threading.Timer(self._seconds, _thread.interrupt_main)
        self._timer.daemon = True
        self._timer.start()
        self._told()
