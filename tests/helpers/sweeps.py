"""Small sweeps of real methods on real images, for tests. As a script: one that is long enough to be interrupted."""

import json
import sys
from pathlib import Path

from helpers.databases import make_whole

from kdzoo.addresses import sqlite_path
from kdzoo.data.catalog import open_dataset
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.space.space import SpaceFile
from kdzoo.settings import Settings
from kdzoo.training.spec import RunOptions

SMALL = {"amplify_epochs": 1, "distil_epochs": 3, "epoch_steps": 0, "batch_size": 4, "width": 0.25}
IMPOSSIBLE = {"temperature": 1e-45}
"""So small that the gate divides by zero: the loss is NaN from the first step on."""


class Watcher:
    """A view that keeps the notes, and does something of the test's at each update."""

    def __init__(self, on_update=None):
        self.notes, self._on_update = [], on_update

    def update(self, board):
        if self._on_update is not None:
            self._on_update(board)

    def note(self, text):
        self.notes.append(text)


def small_plan(folder, *, name, trials, changes=None, environ=None, **given):
    """A sweep of `aand` over ``folder/parts``, with a checkpoint after each epoch; ``changes`` by category."""
    settings = Settings.from_environment({"KDZOO_HOME": str(folder / "home"), **(environ or {})})
    database = sqlite_path(settings.mlflow_uri)
    if database is not None:
        make_whole(database)
    dataset = open_dataset(str(folder / "parts"), settings)
    file = SpaceFile("aand")
    return SweepPlan(
        name=name,
        method="aand",
        dataset=dataset,
        spaces={
            category: file.space(dataset.name, category, changes={**SMALL, **(changes or {}).get(category, {})})
            for category in dataset.categories()
        },
        options=RunOptions(teacher="random-resnet18", image_size=64, protocol="holdout"),
        trials=trials,
        settings=settings,
        **{"checkpoint_minutes": 0.0, **given},
    )


def trial_workers(root):
    """Processes in which Ray runs trials, among the descendants of a process."""
    return [pid for pid, name in _below(root).items() if b"Trainable" in name]


def descendants(root):
    """Processes that a process has started, and those that these have; without itself."""
    return [pid for pid in _below(root) if pid != root]


def _below(root):
    """A process and its descendants, with their command lines."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "status").read_text()
                names[int(folder.name)] = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it ended meanwhile
            parents[int(folder.name)] = int(status.split("PPid:")[1].split()[0])

    def descends(pid):
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return {pid: name for pid, name in names.items() if descends(pid)}


def main(folder):
    from helpers.patient_ray import give_time

    from kdzoo.search.run.sweep import run_sweep

    give_time()
    told = set()

    def tell(board):
        for row in board.rows.values():
            if row.ended and row.trial_id not in told:
                told.add(row.trial_id)
                print("ended", row.category, flush=True)

    watcher = Watcher(tell)
    board = run_sweep(small_plan(folder, name="interrupted", trials=500), watcher)
    outcomes = {
        name: [outcome.published and outcome.published.release, outcome.reason, len(board.of(name))]
        for name, outcome in board.outcomes.items()
    }
    print(json.dumps({"outcomes": outcomes, "notes": watcher.notes}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
