"""Progress of a transfer that may begin anew."""

from __future__ import annotations

from zoo_registry.store.files import Progress


class Furthest:
    """Reports each byte once, though a transfer may begin anew.

    Args:
        progress: told the number of bytes that are new; None for nobody.
    """

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._told = 0
        self._now = 0

    def restart(self) -> None:
        """The transfer begins anew."""
        self._now = 0

    def __call__(self, size: int) -> None:
        """``size`` more bytes were moved."""
        self._now += size
        if self._now > self._told and self._progress is not None:
            self._progress(self._now - self._told)
        self._told = max(self._told, self._now)
