"""Servers that integration tests share: each is started once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.mlflow_server import MlflowServer


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


@pytest.fixture(scope="package")
def mlflow_server(tmp_path_factory) -> Iterator[MlflowServer]:
    """An MLflow server; a test that stops it starts it again."""
    from helpers.mlflow_server import MlflowServer

    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()
