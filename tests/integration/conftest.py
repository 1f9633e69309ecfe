"""The MLflow server of integration tests: started once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.mlflow_server import MlflowServer


@pytest.fixture(scope="package")
def mlflow_server(tmp_path_factory) -> Iterator[MlflowServer]:
    """An MLflow server; a test that stops it starts it again."""
    from helpers.mlflow_server import MlflowServer

    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()
