"""The environment of other Python processes that tests start."""

import os
from collections.abc import Mapping
from pathlib import Path

_TESTS = Path(__file__).parents[1]


def environ_of_python(**more: str) -> Mapping[str, str]:
    """This process' environment, with this checkout and the tests' helpers to import from, and one thread."""
    path = os.pathsep.join([str(_TESTS.parent), str(_TESTS)])
    return {**os.environ, "OMP_NUM_THREADS": "1", **more, "PYTHONPATH": path}
