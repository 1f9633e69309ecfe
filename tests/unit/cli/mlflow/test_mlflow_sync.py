"""`kdzoo mlflow sync`, as far as there is nothing to send."""

from helpers.command import run

from kdzoo.search.record.folder import SweepFolder
from kdzoo.settings import Settings


def test_sync_leaves_a_running_sweep_to_send_its_own_records(capsys):
    night = SweepFolder(Settings.from_environment().sweeps / "night")
    with night.driven():
        (night.path / "mlflow.jsonl").touch()
        ran = run(capsys, "mlflow", "sync")
    assert ran.status == 0
    assert "the sweep night is running" in ran.err and "0 records sent" in ran.out


def test_an_unknown_command_names_the_group(capsys):
    ran = run(capsys, "mlflow", "synk")
    assert ran.status == 2
    assert "unknown mlflow command 'synk'; did you mean 'sync'?" in ran.err
