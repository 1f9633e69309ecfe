"""How much disk a sweep's checkpoints take at most, against what one really writes."""

import dataclasses
import shutil

import pytest
import torch
from helpers.trials import TEACHER, small_spec, toy

from kdzoo.errors import SweepError
from kdzoo.methods.rd.config import RDConfig
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.run.disk import CheckpointDemand, check_not_full, check_room, checkpoint_demand, largest_model
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.workers.cluster import Node
from kdzoo.settings import Settings
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training.checkpoint import save_state
from kdzoo.training.data import TrialData
from kdzoo.training.spec import RunOptions
from kdzoo.training.trainer import Trainer

RATE = {"learning_rate": Dimension(kind="float", low=1e-4, high=1e-2)}


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER)


def test_a_state_is_no_larger_than_reckoned(tmp_path, teacher):
    spec, dataset = small_spec("rd", epochs=2, protocol="holdout"), toy(tmp_path)
    trainer = Trainer(
        spec, TrialData(dataset, "bottle", spec.options, cache=tmp_path / "cache"), teacher, torch.device("cpu")
    )
    trainer.step()
    save_state(tmp_path / "state.pt", trainer.state())
    space = SearchSpace(method="rd", defaults=spec.config, dimensions=RATE)
    reckoned, real = 4 * largest_model(space, teacher), (tmp_path / "state.pt").stat().st_size
    assert 0.5 * reckoned < real < 1.02 * reckoned


def test_a_moving_average_is_one_more_copy(tmp_path, teacher):
    spec, dataset = small_spec("rd", epochs=2, protocol="holdout", ema=0.5), toy(tmp_path)
    trainer = Trainer(
        spec, TrialData(dataset, "bottle", spec.options, cache=tmp_path / "cache"), teacher, torch.device("cpu")
    )
    trainer.step()
    save_state(tmp_path / "state.pt", trainer.state())
    save_state(tmp_path / "over.pt", trainer.state(over=True))
    plan = SweepPlan(
        name="night",
        method="rd",
        dataset=dataset,
        spaces={"bottle": SearchSpace(method="rd", defaults=spec.config, dimensions=RATE)},
        options=spec.options,
        trials=1,
        settings=Settings.from_environment({"KDZOO_HOME": str(tmp_path)}),
    )
    demand = checkpoint_demand(plan, teacher, [Node(cpus=1, gpus=0)])
    assert demand.state == 5 * demand.learned
    assert 4 * demand.learned < (tmp_path / "state.pt").stat().st_size < 1.02 * demand.state
    assert (tmp_path / "over.pt").stat().st_size < 1.1 * demand.learned


def test_what_runs_at_once_and_what_is_kept(tmp_path, teacher):
    space = SearchSpace(method="rd", defaults=RDConfig(), dimensions=RATE)
    plan = SweepPlan(
        name="night",
        method="rd",
        dataset=toy(tmp_path),
        spaces=dict.fromkeys(("bottle", "cable", "screw"), space),
        options=RunOptions(),
        trials=10,
        settings=Settings.from_environment({"KDZOO_HOME": str(tmp_path)}),
        cpus_per_trial=2.0,
        gpus_per_trial=0.5,
    )
    nodes = [Node(cpus=16, gpus=1), Node(cpus=3, gpus=8), Node(cpus=64, gpus=0)]
    # Two by the first one's GPU, one by the second one's cores, none on the third.
    demand = checkpoint_demand(plan, teacher, nodes)
    assert (demand.trials, demand.best, demand.stages) == (2 * 3, 3, 0)
    assert demand.total == 9 * demand.state
    assert checkpoint_demand(dataclasses.replace(plan, keep=4), teacher, nodes).total == 18 * demand.state
    assert checkpoint_demand(dataclasses.replace(plan, max_concurrent=2), teacher, nodes).trials == 2 * 2
    assert checkpoint_demand(dataclasses.replace(plan, gpus_per_trial=0.0), teacher, nodes).trials == 2 * 30


def test_a_disk_with_less_room_is_refused(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    small = CheckpointDemand(state=1000, trials=2, best=1)
    assert check_room(small, tmp_path) > 0
    large = CheckpointDemand(state=free, trials=2, best=1)
    with pytest.raises(SweepError, match=r"may take \d+\.\d GB, and '.*' has \d+\.\d GB") as caught:
        check_room(large, tmp_path)
    assert "--max-concurrent" in caught.value.hint
    assert check_room(large, tmp_path, kept=3 * free) > 0


def test_a_full_disk_ends_the_sweep_and_nothing_else_does(tmp_path):
    full = "OSError: [Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"
    check_not_full(tmp_path, state=10**18, why="its worker died")
    check_not_full(tmp_path, state=1, why=full)  # the worker's own disk, say
    check_not_full(tmp_path / "away", state=10**18, why=full)
    with pytest.raises(SweepError, match=r"the disk of '.*' is full: .* are left, and one checkpoint may take 10000"):
        check_not_full(tmp_path, state=10**18, why=full)
