"""Faults of one machine, each in a sweep of its own: see docs/faults.md for what is promised."""

import pytest
from helpers import faults, faults_alone
from helpers.faults import Rig


@pytest.fixture
def rig(tmp_path):
    with Rig(tmp_path / "rig", nodes=0) as made:
        yield made


@pytest.mark.timeout(900)
def test_a_sweep_that_trains_ends_when_it_is_asked_to(rig):
    row = faults.asked_to_stop(rig, rig.drive(trials=60, epochs=12))
    assert row.kept, row


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "fault",
    [
        faults_alone.storage_gone,
        faults_alone.disk_full,
        faults_alone.bad_images,
        faults_alone.interrupted_once,
        faults_alone.interrupted_twice,
    ],
)
def test_what_else_can_happen(rig, fault):
    try:
        row = fault(rig)
    except PermissionError as error:
        pytest.skip(str(error))
    assert row.kept, row
