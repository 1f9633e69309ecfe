"""A sweep of a thousand categories on hundreds of GPUs, simulated: what the driver's decisions cost, and what follows.

The searcher, the studies (in their SQLite file), the scheduler, the board and the monitor are the real ones, and so is
the time that each of their decisions takes. Trials are simulated: a clock of their own, durations, learning curves,
failures and lost workers from a seed. The driver is one thread: while it decides, the GPUs whose reports wait stand
still, which is what utilisation shows. GPUs may come by and by, and a worker takes its time. What Ray Tune adds to a
report and to a trial is measured by `benchmarks.tune_driver` and added to the driver's clock; MLflow's journal is
timed on the real file.

    python -m benchmarks.scale                                                  # 50 categories x 16 trials, 32 GPUs
    python -m benchmarks.scale --categories 1000 --trials 64 --gpus 256         # hours of GPUs in half an hour
    python -m benchmarks.scale --gpus 64 --node 8 --first 180 --every 15        # a cluster that grows from zero
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from benchmarks.growing import Cluster, Growth, offered, run
from benchmarks.simulated_trials import METRICS, Counting, DrawnStudies, World
from kdzoo.data.catalog import CATALOG, Dataset
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.monitor import SweepMonitor
from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.run.searcher import CategorySearcher
from kdzoo.search.space.space import SpaceFile
from kdzoo.search.study.studies import CategoryStudies
from kdzoo.search.workers.checkpoints import Checkpoints
from kdzoo.search.workers.places import Places
from kdzoo.settings import Settings
from kdzoo.tracking.journal import Journal
from kdzoo.training.spec import RunOptions


@dataclass
class Driver:
    """The real parts, each call timed; and the driver's clock, on which the costs are laid one after another.

    Attributes:
        searcher: the real one.
        scheduler: the real one.
        monitor: the real one.
        report_cost: seconds that Tune adds to a report.
        trial_cost: seconds that Tune adds to a trial.
        studies_cost: seconds of asking and telling that the calls themselves do not take.
        clock: by which the calls are timed.
    """

    searcher: CategorySearcher
    scheduler: CategoryScheduler
    monitor: SweepMonitor
    report_cost: float
    trial_cost: float
    studies_cost: float
    clock: Callable[[], float]
    free: float = 0.0
    busy: float = 0.0
    real: float = 0.0
    trials: list[Trial] = field(default_factory=list)
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def timed(self, decision: str) -> Iterator[None]:
        """Lays the time of a block on the driver's clock."""
        began = self.clock()
        yield
        self.spent(decision, self.clock() - began)

    def spent(self, decision: str, spent: float) -> None:
        """Lays what a decision took on the driver's clock."""
        self.times[decision].append(spent)
        self.real += spent
        self._lay(spent)

    def _lay(self, seconds: float) -> None:
        self.free += seconds
        self.busy += seconds

    def ask(self) -> Trial | None:
        """The next trial, entered in its race, as Tune does it; None when there is none."""
        identity = f"{len(self.trials):08x}"
        began = self.clock()
        config = self.searcher.suggest(identity)
        if not isinstance(config, dict):
            return None
        self.spent("ask", self.clock() - began)
        trial = Trial("unused", trial_id=identity, config=config, stub=True)
        self._lay(self.trial_cost + self.studies_cost)
        with self.timed("add"):
            self.scheduler.on_trial_add(None, trial)
        self.trials.append(trial)
        return trial

    def start(self, trial: Trial) -> None:
        """A trial's worker is ready."""
        with self.timed("start"):
            self.monitor.on_trial_start(0, self.trials, trial)

    def report(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Takes in a report in the order in which Tune tells of it; gives whether the trial is over."""
        self._lay(self.report_cost)
        with self.timed("report"):
            over = result["done"] or (self.scheduler.on_trial_result(None, trial, result) == TrialScheduler.STOP)
            if not over:
                self.searcher.on_trial_result(trial.trial_id, result)
            self.monitor.on_trial_result(0, self.trials, trial, result)
        if over:
            trial.run_metadata.last_result = result
            with self.timed("tell"):
                self.scheduler.on_trial_complete(None, trial, result)
                self.searcher.on_trial_complete(trial.trial_id, result)
                self.monitor.on_trial_complete(0, self.trials, trial)
        return bool(over)


def journal_seconds(folder: Path) -> float:
    """What MLflow's journal takes for the record of one epoch: the median of 2,000 lines of its size."""
    journal = Journal(folder / "mlflow.jsonl")
    line = json.dumps({"run": "weave-0001", "metrics": {f"val_{name}": 0.123456789 for name in METRICS}}).encode()
    spent = []
    for _ in range(2000):
        began = time.perf_counter()
        journal.append(line)
        spent.append(time.perf_counter() - began)
    journal.close()
    return statistics.median(spent)


def show_progress(driver: Driver, reports: int) -> None:
    """A word once a minute."""
    print(f"  {len(driver.trials)} trials, {reports} reports, {memory() / 1e6:.0f} MB", file=sys.stderr, flush=True)


def show_ramp(cluster: Cluster, end: float) -> None:
    """Prints how soon the GPUs worked, and how much of what was there was used in the beginning and altogether."""
    for name, until in (("first 10 min", 600.0), ("first hour", 3600.0), ("all", end)):
        worked = sum(min(seconds, max(0.0, until - (at - seconds))) for at, seconds in cluster.trained)
        there = offered(cluster.growth, until)
        if until <= end and there:
            print(f"of the GPU time that was there in the {name}: {100 * worked / there:.1f} % in training")
    full = "never" if cluster.full is None else f"after {cluster.full:,.0f} s"
    last = cluster.growth.arrivals()[-1][0]
    print(f"all {cluster.growth.gpus} GPUs in training {full}, the last of them was there after {last:,.0f} s")


def memory() -> int:
    """Bytes that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def build(folder: Path, asked: argparse.Namespace) -> tuple[Driver, World, Any, Counting]:
    """The real parts of a sweep over made-up categories."""
    file = SpaceFile(asked.method)
    plan = SweepPlan(
        name="scale",
        method=asked.method,
        dataset=Dataset(info=CATALOG["mvtec"], root=folder / "none"),
        spaces={f"part-{number:05d}": file.space("mvtec", f"part-{number:05d}") for number in range(asked.categories)},
        options=RunOptions(),
        trials=asked.trials,
        settings=Settings.from_environment({"KDZOO_HOME": str(folder)}),
        gpus_per_trial=1.0,
    )
    sweep = SweepFolder(plan.folder)
    studies: Any = (
        DrawnStudies(plan, asked.seed)
        if asked.drawn
        else CategoryStudies(plan.spaces, storage=sweep.studies, trials=plan.trials, seed=asked.seed)
    )
    told: Any = Counting()
    board = SweepBoard(plan.spaces, trials=plan.trials, objective=plan.options.objective)
    monitor = SweepMonitor(
        plan, board, tracker=told, studies=studies, checkpoints=Checkpoints(sweep), conclusions=told, view=told
    )
    driver = Driver(
        searcher=CategorySearcher(plan, studies, sweep),
        scheduler=CategoryScheduler(plan.longest_selection(), places=Places(told.note, living=list)),
        monitor=monitor,
        report_cost=asked.report_ms / 1e3 + journal_seconds(folder),
        trial_cost=asked.trial_ms / 1e3,
        studies_cost=(asked.ask_ms + asked.tell_ms) / 1e3 if asked.drawn else 0.0,
        clock=time.thread_time if asked.clock == "cpu" else time.perf_counter,
    )
    return driver, World(plan, asked.epoch_seconds, asked.seed), studies, told


def show_decisions(driver: Driver) -> None:
    """Prints what each kind of decision takes, and how that grows through the sweep."""
    print(f"{'decision':9s} {'count':>9s} {'median':>9s} {'p95':>9s} {'worst':>9s}   median by tenths of the sweep, ms")
    for decision, times in driver.times.items():
        ordered, tenth = sorted(times), max(1, len(times) // 10)
        at = [1e3 * ordered[min(int(share * len(ordered)), len(ordered) - 1)] for share in (0.5, 0.95, 1.0)]
        parts = [
            1e3 * statistics.median(times[first : first + tenth])
            for first in range(0, 10 * tenth, tenth)
            if times[first : first + tenth]
        ]
        print(
            f"{decision:9s} {len(times):9,d} "
            + " ".join(f"{value:9.3f}" for value in at)
            + "   "
            + " ".join(f"{part:.3g}" for part in parts)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="aand")
    parser.add_argument("--categories", type=int, default=50)
    parser.add_argument("--trials", type=int, default=16, help="a category")
    parser.add_argument("--gpus", type=int, default=32, help="one trial on each at a time")
    parser.add_argument("--node", type=int, help="GPUs that come together; default all")
    parser.add_argument("--first", type=float, default=0.0, help="seconds until the first node is there")
    parser.add_argument("--every", type=float, default=0.0, help="seconds between nodes")
    parser.add_argument("--worker-start", type=float, default=25.0, help="seconds until a new worker trains")
    parser.add_argument("--one-at-a-time", action="store_true", help="workers start one by one, as Tune has it")
    parser.add_argument("--epoch-seconds", type=float, default=4.0, help="of the median trial")
    parser.add_argument(
        "--hand-over", type=float, default=0.3, help="seconds from one trial's end to the next one's start"
    )
    parser.add_argument(
        "--report-ms", type=float, default=0.0, help="what Tune adds to a report (benchmarks.tune_driver)"
    )
    parser.add_argument("--trial-ms", type=float, default=0.0, help="what Tune adds to a trial")
    parser.add_argument("--drawn", action="store_true", help="no Optuna; its cost by --ask-ms and --tell-ms")
    parser.add_argument("--ask-ms", type=float, default=0.0)
    parser.add_argument("--tell-ms", type=float, default=0.0)
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: on a machine that others use too"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    growth = Growth(
        gpus=asked.gpus,
        at_once=asked.node or asked.gpus,
        first=asked.first,
        every=asked.every,
        worker_start=asked.worker_start,
        one_at_a_time=asked.one_at_a_time,
    )
    with tempfile.TemporaryDirectory() as name:
        folder, began, before = Path(name), time.monotonic(), memory()
        driver, world, studies, told = build(folder, asked)
        cluster = Cluster(growth=growth, now=lambda: driver.free, hand_over=asked.hand_over)
        end, trained, reports = run(driver, world, cluster, lambda count: show_progress(driver, count))
        studies.close()
        size = sum(path.stat().st_size for path in folder.rglob("studies.db*"))
        held = memory() - before
    states = Counter(row.status for row in driver.monitor.board.rows.values())
    print(
        f"\n{asked.categories} categories x {asked.trials} trials of {asked.method} on {asked.gpus} GPUs, "
        f"{asked.epoch_seconds:g} s an epoch: {dict(states)}"
    )
    show_decisions(driver)
    show_ramp(cluster, end)
    print(
        f"reports {reports:,} ({reports / end:.1f} a second), GPU hours of training {trained / 3600:,.0f}\n"
        f"simulated {end / 3600:.1f} h, GPUs in training {100 * trained / (end * asked.gpus):.2f} %\n"
        f"driver busy {driver.busy:,.0f} s = {100 * driver.busy / end:.2f} % of it, kdzoo {driver.real:,.0f} s\n"
        f"driver memory +{held / 1e6:,.0f} MB, studies.db {size / 1e6:,.0f} MB, MLflow's journal {dict(told.calls)}\n"
        f"this took {time.monotonic() - began:,.0f} s"
    )


if __name__ == "__main__":
    main()
