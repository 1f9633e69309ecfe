"""GPUs that come by and by, workers that take their time to start, and what the driver gives them to do."""

import heapq
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray.tune.experiment import Trial

from kdzoo.search.workers.slots import Room, Slots

_LOOK_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a cluster grows.

    Attributes:
        gpus: in the end.
        at_once: that come together, as those of a node do.
        first: seconds until the first come.
        every: seconds between them.
        worker_start: seconds from a free GPU to a worker that trains: Python, PyTorch, teacher.
        one_at_a_time: no worker starts before the last one has, as Ray Tune has it by itself.
    """

    gpus: int
    at_once: int
    first: float
    every: float
    worker_start: float
    one_at_a_time: bool = False

    def arrivals(self) -> list[tuple[float, int]]:
        """When how many GPUs come."""
        counts = [min(self.at_once, self.gpus - come) for come in range(0, self.gpus, self.at_once)]
        return [(self.first + number * self.every, count) for number, count in enumerate(counts)]


@dataclass
class Cluster:
    """The GPUs that are there, and their workers. The driver asks for trials through the real `Slots`.

    Attributes:
        growth: what comes when.
        now: tells the driver's clock.
        hand_over: seconds from one trial's end to the next one's start in the same worker.
    """

    growth: Growth
    now: Callable[[], float]
    hand_over: float
    up: int = 0
    held: int = 0
    idle: int = 0
    running: int = 0
    starting: int = 0
    trained: list[tuple[float, float]] = field(default_factory=list)
    waiting: deque[Trial] = field(default_factory=deque)
    events: list[tuple[float, int, str, Any]] = field(default_factory=list)
    full: float | None = None
    _order: int = 0

    def __post_init__(self) -> None:
        self.slots = Slots(lambda: self.running, lambda: Room(whole=self.up, free=self.up - self.held), clock=self.now)
        for at, count in self.growth.arrivals():
            self.push(at, "node", count)

    def push(self, at: float, kind: str, what: Any) -> None:
        """Has something happen at a time."""
        self._order += 1
        heapq.heappush(self.events, (at, self._order, kind, what))

    def may_ask(self, living: int) -> bool:
        """Whether the driver asks for one more trial now."""
        if self.growth.one_at_a_time:
            return not self.starting and not self.waiting
        return self.slots.one_more(living)

    def take(self, trial: Trial) -> None:
        """A trial was asked for: it goes to a worker that is idle, to a new one, or waits."""
        if self.idle:
            self.idle -= 1
            self._start(trial, self.hand_over)
        elif self.held < self.up:
            self.held += 1
            self._start(trial, self.growth.worker_start)
        else:
            self.waiting.append(trial)

    def came(self, count: int) -> None:
        """GPUs came."""
        self.up += count
        while self.waiting and self.held < self.up:
            self.held += 1
            self._start(self.waiting.popleft(), self.growth.worker_start)

    def began(self) -> None:
        """A worker has a trial's first epoch before it."""
        self.starting, self.running = self.starting - 1, self.running + 1
        if self.full is None and self.running == self.growth.gpus:
            self.full = self.now()

    def ended(self) -> None:
        """A trial ended; its worker takes one that waits."""
        self.running, self.idle = self.running - 1, self.idle + 1
        if self.waiting:
            self.take(self.waiting.popleft())

    def _start(self, trial: Trial, seconds: float) -> None:
        self.starting += 1
        self.push(self.now() + seconds, "begin", trial)


def offered(growth: Growth, until: float) -> float:
    """GPU seconds that were there up to a time."""
    return sum(count * max(0.0, until - at) for at, count in growth.arrivals())


def run(driver: Any, world: Any, cluster: Cluster, tell: Callable[[int], None]) -> tuple[float, float, int]:
    """Runs all trials; gives the simulated seconds, the GPU seconds of training, and the reports.

    Args:
        driver: of `benchmarks.scale`.
        world: the trials' lives.
        cluster: where they run.
        tell: told the number of reports once a minute.
    """
    end, reports, shown, living, look_due = 0.0, 0, time.monotonic(), 0, False

    def fill() -> None:
        nonlocal living, look_due
        while cluster.may_ask(living):
            trial = driver.ask()
            if trial is None:
                return
            living += 1
            cluster.take(trial)
        if not look_due and (cluster.held < cluster.up or cluster.idle):
            look_due = True  # as Tune does, which asks again after every event and ten times a second
            cluster.push(driver.free + _LOOK_SECONDS, "look", None)

    fill()
    while cluster.events:
        at, _, kind, what = heapq.heappop(cluster.events)
        if kind == "node" and not living:
            continue
        driver.free = max(driver.free, at)
        if kind == "node":
            cluster.came(what)
        elif kind == "look":
            look_due = False
        elif kind == "begin":
            driver.start(what)
            cluster.began()
            life = world.life(what.config)
            cluster.push(driver.free + life.next_seconds(), "report", (what, life))
        else:
            trial, life = what
            seconds = life.next_seconds()
            cluster.trained.append((at, seconds))
            reports, end = reports + 1, max(end, driver.free)
            if driver.report(trial, life.report()):
                living -= 1
                cluster.ended()
            else:
                cluster.push(driver.free + life.next_seconds(), "report", what)
        fill()
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            tell(reports)
    return end, sum(seconds for _, seconds in cluster.trained), reports
