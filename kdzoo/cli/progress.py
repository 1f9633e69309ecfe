"""A progress bar on stderr."""

from __future__ import annotations

import sys
from typing import Any

import click

from kdzoo.visible import visible


class Bar:
    """A progress bar on stderr that appears with the first step and shows nothing where no person looks.

    Args:
        label: what is being done.
    """

    def __init__(self, label: str) -> None:
        self._label, self._done = label, 0
        self._bar: Any = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def __call__(self, done: int, total: int) -> None:
        """Told ``(done, total)``, as often as one likes."""
        if self._bar is None:
            self._bar = click.progressbar(length=total, label=visible(self._label), file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._done)
        self._done = done
