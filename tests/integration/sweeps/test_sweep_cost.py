"""What a sweep spends: first stages trained once for many trials, and a folder that does not grow with the trials."""

import dataclasses
import json

import pytest
from helpers.command import run
from helpers.layouts import make_dataset
from helpers.local_ray import CORES
from helpers.sweeps import Watcher, small_plan
from mlflow import MlflowClient

from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.record.overview import one_sweep
from kdzoo.search.run.disk import checkpoint_demand
from kdzoo.search.run.sweep import run_sweep
from kdzoo.search.workers.cluster import Node
from kdzoo.teachers.backbone import load_teacher

KEEP, AT_ONCE, FIRST, TRIALS = 2, CORES, 6, 8
SECOND_STAGE = ("distil_learning_rate", "hkd_weight")


def plan_in(folder, *, trials):
    """One category, and a space whose trials differ in the second stage alone."""
    plan = small_plan(folder, name="cheap", trials=trials, keep=KEEP, changes={"bottle": {"amplify_epochs": 3}})
    spaces = {
        category: dataclasses.replace(
            space, dimensions={key: space.dimensions[key] for key in SECOND_STAGE if key in space.dimensions}
        )
        for category, space in plan.spaces.items()
    }
    return dataclasses.replace(plan, spaces=spaces)


class Scale(Watcher):
    """Weighs the sweep's checkpoints whenever something happens."""

    def __init__(self, plan):
        super().__init__(self.weigh)
        self.folder, self.seen = SweepFolder(plan.folder), []

    def weigh(self, board):
        states = [path for run in self.folder.runs() for path in run.glob("*/checkpoint_*/state.pt")]
        stages = list(self.folder.stages.glob("*/*.safetensors"))
        try:
            size = sum(path.stat().st_size for path in (*states, *stages))
        except FileNotFoundError:
            return  # a worker replaced one meanwhile
        self.seen.append((len(states), len(stages), size))


@pytest.mark.timeout(600)
def test_first_stages_are_shared_and_the_folder_stays_small(tmp_path, local_ray, monkeypatch, capsys):
    make_dataset(tmp_path / "parts", ("bottle",))
    plan = plan_in(tmp_path, trials=FIRST)
    scale = Scale(plan)
    announced = []
    board = run_sweep(plan, scale, announce=announced.append)
    assert board.count("failed") == 0
    assert f"of the best {KEEP} a category" in announced[0]

    # The two that began together may both have trained it; every later one has it from them.
    reused, seconds = board.reused()
    assert FIRST - AT_ONCE <= reused < FIRST
    later = [row for row in board.of("bottle") if row.number >= AT_ONCE]
    assert all(row.reused_seconds > 0 for row in later)
    assert seconds == pytest.approx(sum(row.reused_seconds for row in board.of("bottle")))
    assert len(list(plan.folder.glob("stages/bottle/*.safetensors"))) == 1

    demand = checkpoint_demand(plan, load_teacher(plan.options.teacher), [Node(cpus=AT_ONCE, gpus=0)])
    assert (demand.trials, demand.best, demand.stages) == (2 * AT_ONCE, KEEP, 1)
    assert max(states for states, _, _ in scale.seen) <= demand.trials + demand.best
    assert max(size for _, _, size in scale.seen) <= demand.total
    best = {row.trial_id for row in board.ranked("bottle")[:KEEP]}
    assert {path.parents[1].name for path in plan.folder.glob("trials*/*/checkpoint_*/state.pt")} == best

    # More trials later: a resumed sweep has the stage from its folder, and still keeps two.
    more = plan_in(tmp_path, trials=TRIALS)
    board = run_sweep(more, Watcher(), resume=True)
    added = [row for row in board.of("bottle") if row.number >= FIRST]
    assert len(added) == TRIALS - FIRST
    assert all(row.reused_seconds > 0 for row in added)
    assert len(list(plan.folder.glob("trials*/*/checkpoint_*/state.pt"))) == KEEP
    check_told(more, board, monkeypatch, capsys)


def check_told(plan, board, monkeypatch, capsys):
    """What was saved stands in the sweep's folder, on the screen and in MLflow."""
    reused, seconds = board.reused()
    summary, _ = one_sweep(SweepFolder(plan.folder))
    assert (summary.reused_trials, summary.reused_seconds) == (reused, pytest.approx(seconds))
    monkeypatch.setenv("KDZOO_HOME", str(plan.settings.home))
    told = f"Stage 1 was reused in {reused} of {TRIALS} trials: {seconds:.1f} s of training saved"
    assert told in run(capsys, "sweep", "show", "cheap").out
    assert json.loads(run(capsys, "sweep", "show", "cheap", "--json").out)["reused_trials"] == reused
    client = MlflowClient(plan.settings.mlflow_uri)
    experiment = client.get_experiment_by_name("kdzoo/aand/parts")
    runs = client.search_runs([experiment.experiment_id], "tags.`kdzoo.level` = 'trial'")
    assert sum("reused_seconds" in run.data.metrics for run in runs) == reused
    (sweep,) = client.search_runs([experiment.experiment_id], "tags.`kdzoo.level` = 'sweep'")
    assert sweep.data.metrics["reused_trials"] == reused
