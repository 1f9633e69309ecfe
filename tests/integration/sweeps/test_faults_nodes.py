"""Faults of a cluster of several nodes, done to one sweep that runs: see docs/faults.md for what is promised."""

import pytest
from helpers import faults, faults_mlflow
from helpers.faults import Rig

GIVEN = {"trials": 60, "epochs": 12}


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path / "rig", nodes=3) as made:
        yield made


@pytest.fixture
def drive(rig):
    """A sweep that trains; no MLflow answers as yet."""
    return rig.drive(categories=("bottle", "cable"), **GIVEN)


@pytest.mark.timeout(1200)
def test_a_worker_and_a_node_are_killed(rig, drive):
    for fault in (faults.worker_killed, faults.node_killed):
        row = fault(rig, drive)
        assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_node_on_which_no_worker_starts_joins(rig, drive):
    row = faults.node_fails_at_once(rig, drive)
    assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("thaw", [True, False])
def test_a_node_hangs(rig, drive, thaw):
    row = faults.node_frozen(rig, drive, thaw=thaw)
    assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_all_nodes_are_killed(rig):
    given = {**GIVEN, "patience": 20}
    row = faults.no_node_left(rig, rig.drive(**given), **given)
    assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_storage_is_away_for_a_while_and_the_driver_dies(rig, drive):
    drive, row = faults.storage_away(rig, drive, seconds=15, **GIVEN)
    assert row.kept, row
    drive, row = faults.driver_killed(rig, drive, **GIVEN)
    assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_mlflow_hangs_and_is_down_at_the_end_of_a_sweep_that_was_stopped_and_resumed(rig, drive):
    drive.reached(1)
    rig.mlflow.start()
    for fault in (
        lambda: faults_mlflow.mlflow_frozen(rig, drive, seconds=20),
        lambda: faults.asked_to_stop(rig, drive),
    ):
        row = fault()
        assert row.kept, row
    row = faults_mlflow.interrupted_without_mlflow(rig, rig.drive(**GIVEN))
    assert row.kept, row
