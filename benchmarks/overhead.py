"""What a trial costs beside training and evaluation: a sweep's own way against Ray Tune's default, in one run.

A sweep keeps its workers from trial to trial, with teacher and decoded images. The peer is the same sweep with Ray
Tune's default, `reuse_actors=False`: a new worker process for each trial. Both train the same trials, one at a time,
on a local Ray that is up already, and write to the same kind of SQLite, MLflow and checkpoint files.

The overhead of a trial is the time from the end of the one before it to its own end, less what it spent on training and
measuring: asking the study, handing over or starting the worker, building the model, opening the data, reports,
checkpoints, MLflow's journal. The first trial of a sweep has no such time and is left out.

    python benchmarks/overhead.py
    python benchmarks/overhead.py --trials 60 --teacher resnet18 --image-size 256
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray
from ray import tune

from kdzoo.data.catalog import open_dataset
from kdzoo.search.record.board import SweepBoard
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run import sweep
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions

CATEGORY = "weave"
LIMIT_SECONDS = 0.3
"""Of the median, on a machine that is not busy with something else."""


class Clock:
    """A view that notes when each trial ended."""

    def __init__(self) -> None:
        self.ended: dict[str, float] = {}

    def update(self, board: SweepBoard) -> None:
        """Looks for trials that have ended since the last time."""
        now = time.perf_counter()
        for row in board.rows.values():
            if row.ended:
                self.ended.setdefault(row.trial_id, now)

    def note(self, text: str) -> None:
        """Prints what a person would be told."""
        print(f"  note: {text}")


def plan_of(folder: Path, name: str, arguments: argparse.Namespace) -> SweepPlan:
    """A sweep of `rd` over one category of the demo data set, each trial a few short epochs."""
    settings = Settings.from_environment({"KDZOO_HOME": str(folder)})
    dataset = open_dataset("demo", settings)
    changes = {"epochs": arguments.epochs, "batch_size": 8}
    return SweepPlan(
        name=name,
        method="rd",
        dataset=dataset,
        spaces={CATEGORY: SpaceFile("rd").space(dataset.name, CATEGORY, changes=changes)},
        options=RunOptions(teacher=arguments.teacher, image_size=arguments.image_size, evaluations=1),
        trials=arguments.trials,
        settings=settings,
        max_concurrent=1,
    )


def overheads(folder: Path, name: str, arguments: argparse.Namespace) -> list[float]:
    """Seconds of each trial after the first."""
    clock = Clock()
    board = sweep.run_sweep(plan_of(folder, name, arguments), clock)
    failed = [row.reason for row in board.rows.values() if row.failed]
    if failed:
        raise SystemExit(f"a trial failed: {failed[0]}")
    order = sorted(clock.ended, key=lambda trial: clock.ended[trial])
    pairs = itertools.pairwise(order)
    return [clock.ended[now] - clock.ended[before] - board.rows[now].seconds for before, now in pairs]


@contextmanager
def tune_default() -> Iterator[None]:
    """Lets sweeps start a worker a trial, as Ray Tune does unless told otherwise."""
    own = tune.TuneConfig
    tune.TuneConfig = lambda **given: own(**{**given, "reuse_actors": False})
    try:
        yield
    finally:
        tune.TuneConfig = own


def show(name: str, seconds: list[float]) -> None:
    """One line."""
    high = statistics.quantiles(seconds, n=20)[-1]
    print(f"{name:28} median {statistics.median(seconds):6.3f} s   p95 {high:6.3f} s   ({len(seconds)} trials)")


def main() -> None:
    """Runs both and prints their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40, help="of the sweep; the peer runs a quarter of them")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--teacher", default="kdzoo-tiny")
    parser.add_argument("--image-size", type=int, default=64)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        try:
            ours = overheads(Path(name), "reused", arguments)
            arguments.trials = max(4, arguments.trials // 4)
            with tune_default():
                default = overheads(Path(name), "started", arguments)
        finally:
            ray.shutdown()
    show("kdzoo, workers reused", ours)
    show("Ray Tune's default", default)
    print(f"ratio of the medians: {statistics.median(default) / statistics.median(ours):.1f}")
    print(f"under {LIMIT_SECONDS} s at the median: {'yes' if statistics.median(ours) < LIMIT_SECONDS else 'no'}")


if __name__ == "__main__":
    main()
