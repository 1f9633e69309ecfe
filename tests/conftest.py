"""Every test runs with a home, AWS and MLflow of its own, and with fixed seeds; what tests of several folders share."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# One thread: small tensors gain nothing from more, and sums come out the same on every machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

if TYPE_CHECKING:
    from helpers.ceph import Ceph
    from helpers.file_server import FileServer
    from helpers.s3_server import S3Server

    from zoo_registry.store.protocol import Store

_OF_RAY = {
    # Its own is 15: beside other tests, workers of so little priority would hardly begin.
    "RAY_worker_niceness": "0",
    # Its own are 30: on a busy machine servers and nodes take longer to start.
    "RAY_gcs_server_port_wait_time_s": "240",
    "RAY_raylet_start_wait_time_s": "240",
}
os.environ.update(_OF_RAY)


@pytest.fixture(autouse=True)
def isolated(tmp_path_factory, monkeypatch) -> Path:
    """Moves the user's folders away, takes credentials out of the environment, and seeds the generators."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("AWS_", "KDZOO_", "MLFLOW_", "RAY_")) and name not in _OF_RAY:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("KDZOO_HOME", str(home / "kdzoo"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "no-aws-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "no-aws-credentials"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    random.seed(0)
    np.random.seed(0)
    return home


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """One S3 server for all tests; each makes buckets of its own."""
    from helpers.s3_server import s3_server

    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def ceph() -> Iterator[Ceph]:
    """One Ceph for all tests, where its packages are."""
    from helpers import ceph

    if not ceph.is_installed():
        pytest.skip(f"no Ceph here: `apt-get install --no-install-recommends {' '.join(ceph.PACKAGES)}` brings it")
    with ceph.cluster() as running:
        yield running


@pytest.fixture(params=["folder", "s3", pytest.param("ceph", marks=pytest.mark.ceph)])
def store(request, tmp_path) -> Store:
    """An empty store of each kind."""
    from zoo_registry.store.folder import FolderStore
    from zoo_registry.store.proof import Dialect, Proof
    from zoo_registry.store.s3.store import S3Store

    if request.param == "folder":
        return FolderStore(tmp_path / "zoo")
    server = request.getfixturevalue(request.param)
    client = server.client()
    # Of a server that is known to be good: proving it in each test would take longer than most of them.
    dialect = Dialect(bare_etags=request.param == "ceph", joins_blindly=request.param == "ceph")
    return S3Store(server.new_bucket(client), "some/prefix", client=client, proof=Proof.given(dialect))


@pytest.fixture
def no_proxy(monkeypatch) -> None:
    """Takes proxies out of the environment: servers of tests are on loopback."""
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.fixture
def web(no_proxy) -> Iterator[FileServer]:
    """A web server of the test's own, reached without a proxy."""
    from helpers.file_server import file_server

    with file_server() as server:
        yield server
