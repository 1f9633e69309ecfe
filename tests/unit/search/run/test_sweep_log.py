"""How a sweep ended stands in its folder and in MLflow, whichever way it ended."""

from types import SimpleNamespace

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.record.board import CategoryOutcome, SweepBoard, TrialRow
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run.sweep_log import SweepLog
from kdzoo.search.study.strategy import Strategy
from kdzoo.settings import Settings
from kdzoo.tracking.environment import prepare_mlflow
from kdzoo.training.spec import RunOptions


@pytest.fixture
def ground(tmp_path):
    settings = Settings.from_environment({"KDZOO_HOME": str(tmp_path)})
    folder = SweepFolder(tmp_path / "sweeps" / "night")
    folder.path.mkdir(parents=True)
    plan = SimpleNamespace(
        settings=settings,
        name="night",
        method="aand",
        dataset=SimpleNamespace(name="parts"),
        group="",
        options=RunOptions(teacher="random-resnet18", image_size=64, protocol="holdout"),
        strategy=Strategy(),
        trials=1,
        spaces={"bottle": None},
    )
    written, registry = SimpleNamespace(run_key="night-1"), SimpleNamespace(uri="zoo")
    return SimpleNamespace(plan=plan, folder=folder, written=written, registry=registry, resumed=False)


def told(ground):
    """What MLflow has of the sweep."""
    prepare_mlflow()
    from kdzoo.tracking.store import open_client

    client = open_client(ground.plan.settings.mlflow_uri)
    (run,) = client.search_runs([client.get_experiment_by_name("kdzoo/aand/parts").experiment_id])
    return run.info.status, run.data.tags["kdzoo.status"]


def board_of(status, outcome_metrics, reason=""):
    board = SweepBoard(["bottle"], trials=1, objective="image_auroc")
    row = TrialRow("bottle-0000", "bottle", 0, {})
    board.start(row)
    board.end(row, status)
    board.outcomes["bottle"] = CategoryOutcome(
        category="bottle",
        best=None,
        metrics=outcome_metrics,
        published=None,
        seconds=1.0,
        gpu_seconds=0.0,
        reason=reason,
    )
    return board


@pytest.fixture
def view():
    return SimpleNamespace(note=print)


def test_a_sweep_that_an_error_ends_has_failed_with_its_reason(ground, view):
    with pytest.raises(SweepError), SweepLog(ground, view):
        raise SweepError("no node of the cluster is left", hint="start one")
    assert (ground.folder.state(), ground.folder.failure()) == ("failed", "no node of the cluster is left")
    assert told(ground) == ("FAILED", "failed")


def test_a_sweep_without_a_single_result_has_failed(ground, view):
    with SweepLog(ground, view) as log:
        log.ended(board_of("failed", {}, reason="no usable trial: the loss became nan"))
    assert ground.folder.state() == "failed"
    assert ground.folder.failure() == "bottle: no usable trial: the loss became nan"
    assert told(ground) == ("FAILED", "failed")


@pytest.mark.parametrize("status", ["finished", "interrupted"])
def test_one_with_a_result_or_cut_off_has_not(ground, view, status):
    with SweepLog(ground, view) as log:
        log.ended(board_of(status, {"val_image_auroc": 0.9} if status == "finished" else {}))
    assert (ground.folder.state(), ground.folder.failure()) == (status, "")


def test_ctrl_c_is_no_failure(ground, view):
    with pytest.raises(KeyboardInterrupt), SweepLog(ground, view):
        raise KeyboardInterrupt
    assert (ground.folder.state(), ground.folder.failure()) == ("interrupted", "")
