"""The images of a sweep before it begins: split, and decoded; of large data sets only the first categories'."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from kdzoo.errors import KdzooError
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.record.plan_file import DataDigests
from kdzoo.search.study.strategy import COSTS
from kdzoo.training.data import TrialData
from kdzoo.training.evaluation import check_objective

log = logging.getLogger(__name__)

BEFORE_SECONDS: Final = 20.0
"""How long all slots wait for images to be decoded that no trial has asked for yet."""

Prepared = Callable[[str, int, int], None]
"""Told ``(category, done, total)`` as categories are made ready."""


class Preparation:
    """Makes the categories of a sweep ready, in their order.

    Decoding is shared through the cache. So a category that is not ready is decoded by the worker of its first trial,
    while others train and this process goes on with those that no worker has asked for. One of which an image cannot be
    read is given up, and the others go on; the sweep ends where all are, or the disk gives up.

    Args:
        plan: the sweep.
        seconds: after which the rest is done in a thread; default `BEFORE_SECONDS`.

    Attributes:
        digests: category to what says that its data is what it was.

    Raises:
        KdzooError: a category cannot be split, the disk not be asked, or a person's masks not be used.
    """

    def __init__(self, plan: SweepPlan, *, seconds: float | None = None) -> None:
        self._plan = plan
        self._seconds = BEFORE_SECONDS if seconds is None else seconds
        self._left = deque(
            TrialData(plan.dataset, category, plan.options_of(category), cache=plan.settings.cache)
            for category in plan.spaces
        )
        self.digests = {data.index.category: DataDigests(**data.identity) for data in self._left}
        self._count = len(self._left)
        self._troubles: dict[str, KdzooError] = {}
        self._end: KdzooError | None = None
        self._enough = threading.Event()

    def begin(self, prepared: Prepared | None = None) -> int:
        """Decodes what trials may look at, for as long as the sweep waits for it, and goes on in a thread.

        Args:
            prepared: told of the categories that are made ready before this returns.

        Returns:
            How many categories are left to the thread.

        Raises:
            KdzooError: an image cannot be read, or an objective not be measured.
        """
        began, total = time.monotonic(), len(self._left)
        while self._left and time.monotonic() - began < self._seconds:
            if prepared is not None:
                prepared(self._left[0].index.category, total - len(self._left), total)
            self._make_next_ready()
        if prepared is not None:
            prepared("", total, total)
        left = len(self._left)
        if left:
            threading.Thread(target=self._go_on, name="kdzoo-preparing", daemon=True).start()
        return left

    def troubles(self) -> dict[str, KdzooError]:
        """The categories that the thread has given up, and why."""
        return dict(self._troubles)

    def check(self) -> None:
        """Raises what the thread has come upon, if it ends the sweep.

        Raises:
            KdzooError: the disk gave up, or no category is left; then what is wrong with the first.
        """
        if self._end is not None:
            raise self._end
        if len(self._troubles) == self._count:
            raise next(iter(self._troubles.values()))

    def end(self) -> None:
        """The sweep is over: the thread ends after the category that it is at."""
        self._enough.set()

    def _go_on(self) -> None:
        while self._left and not self._enough.is_set():
            category = self._left[0].index.category
            try:
                self._make_next_ready()
                continue
            except KdzooError as error:
                if isinstance(error, OSError):  # the disk is full, or the whole data set is gone
                    self._end = error
                    return
                self._troubles[category] = error
            except Exception as error:
                # Nothing that is known to be wrong with the images: a trial that comes upon it too says so.
                log.warning("'%s' is left to its first trial: %r", category, error)
            self._left.popleft()

    def _make_next_ready(self) -> None:
        data, plan = self._left[0], self._plan
        _ = data.train
        data.check_foreground()
        for name in (plan.options.objective, *(name for name in plan.strategy.also if name not in COSTS)):
            check_objective(data.selection, name)
        self._left.popleft()  # decoded images are on the disk, and need not be mapped here
