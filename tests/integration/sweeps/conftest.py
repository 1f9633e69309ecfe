"""The Ray of sweeps that run in the tests' own process: started once."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def patient_ray() -> None:
    """Nodes that start may take as long as a busy machine needs."""
    from helpers.patient_ray import give_time

    give_time()


@pytest.fixture(scope="package")
def end_of_ray() -> Iterator[None]:
    """Leaves no Ray to tests of other folders."""
    yield
    import ray

    ray.shutdown()


@pytest.fixture(scope="module")
def local_ray(end_of_ray) -> None:
    """A local Ray; the one of the file before, unless that file needed this process for another."""
    from helpers import local_ray

    local_ray.connect()
