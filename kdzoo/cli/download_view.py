"""A download as it is watched, on stderr: a bar where a person looks, lines where a log is kept."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from kdzoo.cli.tables import plain
from kdzoo.visible import visible

_LINE_EVERY_S = 10.0


class DownloadView:
    """Shows bytes, rate and time left of each piece of work; a `kdzoo.data.download.fetch.Watcher`."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description:12}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._label, self._total, self._told = "", 0, 0.0

    def __enter__(self) -> DownloadView:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def stage(self, label: str, total: int | None, done: int = 0) -> None:
        """A new piece of work begins; the same one again goes on in its bar, with a rate of its own."""
        if self._task is None or label != self._label:
            self._task = self._progress.add_task(visible(label))
            if not self._console.is_terminal:
                size = f" {total / 1e6:.1f} MB" if total else ""
                self._console.print(plain(f"{label}{size}"))
        self._progress.reset(self._task, total=total, completed=done)
        self._label, self._total, self._told = label, total or 0, time.monotonic()

    def done(self, size: int) -> None:
        """So many bytes of it are done in all."""
        if self._task is not None:
            self._progress.update(self._task, completed=size)
        if not self._console.is_terminal and time.monotonic() - self._told >= _LINE_EVERY_S:
            self._told = time.monotonic()
            share = f" ({size / self._total:.0%})" if self._total else ""
            self._console.print(plain(f"{self._label}: {size / 1e6:.1f} MB{share}"))

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(plain(text, "yellow"), soft_wrap=True)
