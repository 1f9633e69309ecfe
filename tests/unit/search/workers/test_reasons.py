"""Why a worker failed, in one line."""

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError, WorkerCrashedError
from ray.tune import TuneError

from kdzoo.errors import StorageError, WorkerError
from kdzoo.search.workers.reasons import reason, stopped

TRACEBACK = "Traceback (most recent call last):\n  File 'x.py', line 1\nModuleNotFoundError: No module named 'kdzoo'\n"


def of_task(cause):
    return RayTaskError("step", TRACEBACK, cause)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, "its worker failed"),
        (WorkerCrashedError(), "its worker died"),
        (ActorDiedError(), "its worker died"),
        (ActorDiedError(of_task(ModuleNotFoundError())), "ModuleNotFoundError: No module named 'kdzoo'"),
        (of_task(WorkerError("on node 'gpu-3': disk full", hint="x")), "on node 'gpu-3': disk full"),
        (of_task(ValueError("odd\nin two lines")), "ValueError: odd"),
        (TuneError(TRACEBACK), "ModuleNotFoundError: No module named 'kdzoo'"),
    ],
)
def test_reasons(error, said):
    # As Ray leaves it for the driver.
    assert reason(cloudpickle.loads(cloudpickle.dumps(error))) == said


def test_a_sweep_that_stopped_says_how_it_goes_on(tmp_path):
    ours = stopped("night", StorageError("cannot write x", hint="free some space"), log=tmp_path)
    assert (str(ours), ours.hint) == (
        "cannot write x",
        "free some space; then go on with `kdzoo sweep --resume night`",
    )
    bare = stopped("night", StorageError("cannot write x"), log=tmp_path)
    assert bare.hint == "put that right, then go on with `kdzoo sweep --resume night`"
    trouble = OSError("disk away")
    theirs = stopped("night", trouble, log=tmp_path / "ray.log")
    assert str(theirs) == "the sweep 'night' stopped: OSError: disk away"
    assert theirs.__cause__ is trouble
    assert f"{tmp_path / 'ray.log'}" in theirs.hint
    assert "--resume night" in theirs.hint
