"""What integration tests share."""

import pytest


@pytest.fixture(scope="module")
def local_ray():
    """A Ray of two cores for all sweeps of a file."""
    from helpers import local_ray

    with local_ray.local_ray():
        yield
