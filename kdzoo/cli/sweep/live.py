"""A sweep as it is watched: a live table where a person looks, lines where a log is kept. All of it on stderr."""

from __future__ import annotations

import time
from datetime import timedelta

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from kdzoo.cli.tables import plain, plain_console
from kdzoo.search.record.board import SweepBoard, TrialRow


class LiveView:
    """Shows a `SweepBoard`.

    Args:
        title: above the table.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._board: SweepBoard | None = None
        self._console = plain_console(stderr=True)
        self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True)
        self._lines = not self._console.is_terminal
        self._told: set[str] = set()
        self._published: set[str] = set()
        self._measuring: set[str] = set()
        self._running: list[TrialRow] = []

    def __enter__(self) -> LiveView:
        if not self._lines:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._lines:
            self._live.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        self._say(text, "yellow")

    def update(self, board: SweepBoard) -> None:
        """The board changed."""
        self._board = board
        if self._lines:
            self._tell(board)

    def preparing(self, category: str, done: int, total: int) -> None:
        """A category is made ready."""
        if category:
            self._say(f"Making {category} ready ({done + 1}/{total})")
        elif self._lines:
            self._say("Waiting for Ray")

    def _tell(self, board: SweepBoard) -> None:
        for row in self._running:
            if row.ended:
                value = "" if row.objective is None else f", {board.objective} {row.objective:.4f}"
                said = row.status.replace("_", " ")
                self._say(
                    f"[{board.ended()}/{board.total}] {row.category} trial {row.number} {said} after {row.epoch} of "
                    f"{row.total_epochs} epochs{value}; {_left(board)}"
                )
        before, self._running = self._running, list(board.running())
        if self._running and not before and not board.ended():
            first = self._running[0]
            self._say(f"Training has begun: {first.category} trial {first.number} of {board.total} trials in all")
        for category in board.categories:
            if category not in self._measuring and board.ended(category) >= board.trials:
                self._measuring.add(category)
                if category not in board.outcomes:
                    self._say(f"{category} has had its trials: its best one is measured on the report's images")
        for category, phase in board.phases.items():
            if phase == "publishing" and category not in self._published:
                self._published.add(category)
                self._say(f"{category} is being published")
        for category, outcome in board.outcomes.items():
            if category not in self._told:
                self._told.add(category)
                if outcome.published is not None:
                    self._say(f"{category} is measured: {outcome.published.note}")

    def _say(self, text: str, style: str = "") -> None:
        """A line that says when it was written: a log is read the morning after."""
        self._console.print(plain(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", style), soft_wrap=True)

    def _table(self) -> RenderableType:
        board = self._board
        if board is None:
            return plain(f"{self._title}: starting Ray …")
        table = Table(title=plain(self._title), title_justify="left", title_style="bold")
        for name in ("category", "trials", "running", "stopped early", "failed", f"best {board.objective}", "release"):
            table.add_column(plain(name), justify="left" if name in ("category", "running") else "right")
        for category in board.categories[:40]:
            table.add_row(*map(plain, (category, *self._cells(board, category))))
        if len(board.categories) > 40:
            table.add_row(f"… {len(board.categories) - 40} more", "", "", "", "", "", "")
        bar = Table.grid(padding=(0, 1))
        bar.add_row(
            ProgressBar(total=board.total, completed=board.ended(), width=40),
            f"{board.ended()}/{board.total} trials, {_time(board.elapsed())} so far, {_left(board)}",
        )
        return Group(table, bar)

    def _cells(self, board: SweepBoard, category: str) -> list[str]:
        running = [row for row in board.of(category) if not row.ended]
        epochs = " ".join(f"{row.epoch}/{row.total_epochs or '?'}" for row in running[:6])
        best, outcome = board.best_value(category), board.outcomes.get(category)
        published = outcome.published if outcome else None
        return [
            f"{board.ended(category)}/{board.trials}",
            epochs,
            str(board.count("stopped_early", category)),
            str(board.count("failed", category)),
            "" if best is None else f"{best:.4f}",
            board.phases.get(category, "") if published is None else str(published.release or "kept"),
        ]


def _left(board: SweepBoard) -> str:
    """How long it will take; of categories whose trials are over, that there is something left to do."""
    text = f"{_time(board.time_left())} left"
    if not board.phases:
        return text
    return f"{text}, {len(board.phases)} of {len(board.categories)} categories being measured or published"


def _time(seconds: float | None) -> str:
    return "?" if seconds is None else str(timedelta(seconds=round(seconds)))
