"""A sweep's folder: one driver at a time, and what others can see of it."""

import json
import multiprocessing

import pytest

from kdzoo.errors import SweepError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run.stop_file import StopFile


@pytest.fixture
def folder(tmp_path):
    return SweepFolder(tmp_path / "night")


def test_a_driven_sweep_is_running_and_has_no_second_driver(folder):
    with folder.driven():
        assert folder.state() == "running"
        with pytest.raises(SweepError, match="'night' is running: process") as caught, folder.driven():
            pass
        assert "kdzoo sweep stop night" in caught.value.hint
    assert folder.state() == "interrupted"


def _drive_and_die(path):
    import os
    import signal

    with SweepFolder(path).driven():
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_sweep_whose_driver_was_killed_is_interrupted_and_can_be_driven(folder):
    process = multiprocessing.get_context("spawn").Process(target=_drive_and_die, args=(folder.path,))
    process.start()
    process.join(60)
    assert process.exitcode == -9
    assert folder.state() == "interrupted"
    with folder.driven():
        assert folder.state() == "running"


def test_how_it_ended_counts_until_it_goes_on(folder):
    with folder.driven():
        folder.end("finished")
    assert folder.state() == "finished"
    folder.begin()
    assert folder.state() == "interrupted"


def test_a_running_sweep_is_asked_to_stop(folder):
    folder.path.mkdir()
    with pytest.raises(SweepError, match="'night' is not running"):
        folder.ask_to_stop()
    with folder.driven():
        assert not StopFile(folder.stop).stop_all()
        folder.ask_to_stop()
        assert StopFile(folder.stop).stop_all()
    with folder.driven():
        # What was asked of the last driver is not asked of this one.
        assert not StopFile(folder.stop).stop_all()


def test_each_run_has_a_folder_of_its_own(folder):
    names = []
    for _ in range(11):
        names.append(folder.next_run())
        (folder.path / names[-1]).mkdir(parents=True)
    assert names[:3] == ["trials", "trials-2", "trials-3"]
    assert [run.name for run in folder.runs()] == names


def test_outcomes_and_size(folder):
    assert folder.outcome("bottle") is None
    folder.keep_outcome("bottle", {"best": 3})
    assert folder.outcome("bottle") == {"best": 3}
    assert folder.size() == len(json.dumps({"best": 3}))
    (folder.path / "outcomes" / "bottle.json").write_text("[]")
    with pytest.raises(SweepError, match=r"bottle\.json"):
        folder.outcome("bottle")
