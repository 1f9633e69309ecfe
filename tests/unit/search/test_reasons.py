"""Why a worker failed, in one line."""

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError, WorkerCrashedError
from ray.tune import TuneError

from kdzoo.errors import WorkerError
from kdzoo.search.reasons import reason

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
