"""A progress bar for each step of what looks after a zoo."""

from __future__ import annotations

from kdzoo.cli.progress import Bar


class StepBars:
    """A progress bar on stderr for each step, one after the other."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Bar | None = None

    def __enter__(self) -> StepBars:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Told the step and how far it is; a new step ends the bar of the one before."""
        if what != self._what:
            self._end()
            self._what, self._bar = what, Bar(what)
        if self._bar is not None and total:
            self._bar(done, total)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
