"""What Ray Tune's own bookkeeping costs a driver, and how it grows with the number of trials.

A real Tune run on this machine with kdzoo's scheduler, its way of handing out trials and its checkpoint settings, of
trials that do nothing: what is left is the driver. Two arms, each in a process of its own: as kdzoo sets Tune up, and
as Tune is by default (it looks at every trial there ever was after each event, and writes the state of all trials
whenever one of them has made a checkpoint). Times are the driver's CPU seconds: a busy machine changes them little.

    python -m benchmarks.tune_driver
    python -m benchmarks.tune_driver --trials 2000 --arms kdzoo
"""

import argparse
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from kdzoo.search.run.scheduler import CategoryScheduler
from kdzoo.search.workers.cluster import cluster
from kdzoo.search.workers.places import Places
from kdzoo.search.workers.slots import Slots, room_for

CATEGORIES = 50
PARTS = 5
"""The run is shown in so many parts of equally many trials."""


class Idle(tune.Trainable):
    """A trial whose epochs take no time; its reports have the keys that a real trial's have."""

    def setup(self, config: dict[str, Any]) -> None:
        self._epoch = 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._epoch = 0
        return True

    def step(self) -> dict[str, Any]:
        self._epoch += 1
        metrics = {f"val_{name}": 0.5 for name in ("image_auroc", "image_ap", "pixel_auroc", "pixel_ap", "aupro")}
        done = self._epoch >= int(self.config["results"])
        return {
            "epoch": self._epoch,
            "selection_epoch": self._epoch,
            "objective": 0.5,
            "metrics": metrics,
            "done": done,
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        (Path(checkpoint_dir) / "state.pt").write_bytes(b"state")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """There is nothing to go on from."""


class InTurn(Searcher):
    """Hands out trials of all categories in turn, with a configuration of the size of a real one."""

    def __init__(self, trials: int, results: int) -> None:
        super().__init__(metric="objective", mode="max")
        self._left, self._results = trials, results
        self._living: set[str] = set()
        self._slots = Slots(lambda: len(self._living), lambda: room_for({"CPU": 1.0}))

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        if not self._left:
            return str(Searcher.FINISHED)
        if not self._slots.one_more(len(self._living)):
            return None
        self._living.add(trial_id)
        self._left -= 1
        number, category = divmod(self._left, CATEGORIES)
        knobs = {f"knob_{index}": 0.123456789 * index for index in range(24)}
        spec = {"method": "aand", "config": knobs, "options": dict(list(knobs.items())[:12])}
        return {"category": f"c{category:03d}", "number": number, "spec": spec, "results": self._results}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """There is room for another one."""
        self._living.discard(trial_id)

    def save(self, checkpoint_path: str) -> None:
        Path(checkpoint_path).write_text(json.dumps(self._left))

    def restore(self, checkpoint_path: str) -> None:
        self._left = json.loads(Path(checkpoint_path).read_text())


class AsTuneIs(CategoryScheduler):
    """The race of each category, without what kdzoo does about the driver's cost."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return FIFOScheduler.choose_trial_to_run(self, tune_controller)


class Clock(tune.Callback):
    """Notes the driver's CPU time and memory as trials end."""

    def __init__(self, trials: int) -> None:
        self._every, self._ended, self.marks = max(trials // PARTS, 1), 0, [(0, time.process_time())]

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ended += 1
        if self._ended % self._every == 0:
            self.marks.append((self._ended, time.process_time()))


def run(arm: str, trials: int, results: int) -> dict[str, Any]:
    """Runs one arm in this process."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    with tempfile.TemporaryDirectory() as folder, cluster(None, log=Path(os.devnull)):
        if arm != "kdzoo":
            os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = "auto"
        clock, began = Clock(trials), time.monotonic()
        tune.Tuner(
            tune.with_resources(Idle, {"cpu": 1}),
            tune_config=tune.TuneConfig(
                search_alg=InTurn(trials, results),
                scheduler=(CategoryScheduler if arm == "kdzoo" else AsTuneIs)(results, places=Places(print)),
                num_samples=trials,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: f"{trial.config['category']}-{trial.config['number']:04d}",
            ),
            run_config=tune.RunConfig(
                name="trials",
                storage_path=folder,
                callbacks=[clock],
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(
                    num_to_keep=None if arm == "kdzoo" else 1, checkpoint_frequency=5, checkpoint_at_end=True
                ),
            ),
        ).fit()
        (state,) = Path(folder, "trials").glob("experiment_state-*.json")
        return {
            "wall": time.monotonic() - began,
            "marks": clock.marks,
            "state": state.stat().st_size,
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def show(arm: str, trials: int, results: int, found: dict[str, Any]) -> None:
    """Prints milliseconds of driver a trial, part by part, and what the state of all trials takes."""
    marks = found["marks"]
    parts = [1e3 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(marks)]
    shown = "  ".join(f"{part:6.1f}" for part in parts)
    print(
        f"{arm:6s} {trials:6d} trials of {results} reports: driver CPU ms a trial {shown}   "
        f"all {marks[-1][1] - marks[0][1]:6.1f} s of {found['wall']:.0f} s   "
        f"state {found['state'] / trials / 1e3:.1f} kB a trial   driver {found['memory'] / 1e6:.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[500, 2000], help="sizes of the runs")
    parser.add_argument("--results", type=int, default=10, help="reports a trial")
    parser.add_argument("--arms", nargs="+", choices=["kdzoo", "tune"], default=["tune", "kdzoo"])
    asked = parser.parse_args()
    from benchmarks import tune_driver as own  # this module under a name that other processes know

    context = multiprocessing.get_context("spawn")
    for trials in asked.trials:
        for arm in asked.arms:
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                found = pool.submit(own.run, arm, trials, asked.results).result()
            show(arm, trials, asked.results, found)


if __name__ == "__main__":
    main()
