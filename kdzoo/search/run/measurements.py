"""Who measures a category: a worker that has just trained, between two trials; a task once the training is over."""

from __future__ import annotations

from collections import deque
from typing import Any

from ray import tune

from kdzoo.errors import StorageError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.workers.finish import FinishingLine
from kdzoo.search.workers.finished import Finished
from kdzoo.search.workers.measuring import Measuring
from kdzoo.search.workers.workbench import state_in


class Measurements:
    """Has best trials measured. Everything here runs in the driver's main thread.

    While there is training, what is to be measured is the next thing that a worker does: the searcher hands it out like
    a trial, before any trial. The worker is warm, and often the one that has just had the category's last trial. What
    is left when the training ends is measured by tasks.

    Args:
        folder: the sweep's.
        line: measures by tasks.
        teacher: the driver's weights of it.
    """

    def __init__(self, folder: SweepFolder, line: FinishingLine, teacher: bytes) -> None:
        self._folder, self._line, self._teacher = folder, line, teacher
        self._waiting: deque[Measuring] = deque()
        self._handed_out: dict[str, Measuring] = {}
        self._ended: list[tuple[str, Finished]] = []
        self._training_is_over = False

    def submit(self, category: str, spec: dict[str, Any], checkpoint: tune.Checkpoint) -> None:
        """Has a category's best trial measured."""
        asked = Measuring(
            category=category,
            spec=spec,
            state=state_in(checkpoint.path),
            folder=str(self._folder.measured / category),
        )
        if self._training_is_over:
            self._line.submit(asked)
        else:
            self._waiting.append(asked)

    def hand_out(self) -> Measuring | None:
        """What a worker is to measure next, if anything waits."""
        if not self._waiting:
            return None
        asked = self._waiting.popleft()
        self._handed_out[asked.category] = asked
        return asked

    def measured(self, category: str) -> None:
        """A worker has measured it."""
        asked = self._handed_out.pop(category, None)
        if asked is not None:
            self._take(asked)

    def failed(self, category: str, why: str) -> None:
        """No worker could."""
        self._handed_out.pop(category, None)
        self._ended.append((category, Finished.failed(f"it could not be measured: {why}")))

    def end_training(self) -> None:
        """There are no more workers: tasks measure what is left."""
        self._training_is_over = True
        for asked in (*self._handed_out.values(), *self._waiting):
            self._line.submit(asked)
        self._handed_out.clear()
        self._waiting.clear()

    def collect(self, *, wait: bool = False) -> list[tuple[str, Finished]]:
        """What is done by now.

        Args:
            wait: some seconds for one more, if tasks run.
        """
        for asked, why in self._line.collect(wait=wait and not self._ended):
            if why:
                self._ended.append((asked.category, Finished.failed(why)))
            else:
                self._take(asked)
        ended, self._ended = self._ended, []
        return ended

    @property
    def busy(self) -> bool:
        """Whether anything is to be measured, or was and is not collected."""
        return bool(self._waiting or self._handed_out or self._ended) or self._line.busy

    def _take(self, asked: Measuring) -> None:
        folder = self._folder.measured / asked.category
        try:
            finished = Finished.taken(folder, self._teacher)
        except (StorageError, OSError) as error:
            finished = Finished.failed(str(error))
        self._ended.append((asked.category, finished))
