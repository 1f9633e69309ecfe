"""Joining a Ray cluster, or starting a local one, without surprises."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from kdzoo.errors import SweepError

_CONNECT_SECONDS = 5.0
_SWITCHES = {
    # Results reach MLflow and the board through the monitor; Ray's own files would cost time and disk.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A stage that cannot be measured yet reports no objective.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Connects to Ray for as long as a sweep runs.

    Args:
        address: of a running cluster (``host:port``, ``auto`` or ``ray://host:port``); None starts a local one.

    Raises:
        SweepError: no cluster answers at the address.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
    import ray

    if address not in (None, "", "auto", "local"):
        _check(str(address))
    logging.getLogger("ray").setLevel(logging.ERROR)
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(
                address=address or "local",
                include_dashboard=False if address in (None, "", "local") else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, TimeoutError, ValueError) as error:
            where = f" at '{address}'" if address else ""
            raise SweepError(
                f"cannot reach Ray{where}: {str(error).splitlines()[0]}",
                hint="check RAY_ADDRESS, or unset it to run on this machine",
            ) from error
    try:
        yield
    finally:
        if started:
            ray.shutdown()


def gpus() -> float:
    """GPUs in the cluster that is joined."""
    import ray

    return float(ray.cluster_resources().get("GPU", 0.0))


def _check(address: str) -> None:
    """Fails in seconds where Ray itself would wait two minutes."""
    parsed = urlsplit(address if "://" in address else f"//{address}")
    try:
        host, port = parsed.hostname, parsed.port
    except ValueError as error:
        raise SweepError(f"'{address}' is no Ray address", hint="for example 10.0.0.5:6379") from error
    if not host or not port:
        raise SweepError(f"'{address}' is no Ray address", hint="for example 10.0.0.5:6379")
    try:
        with socket.create_connection((host, port), timeout=_CONNECT_SECONDS):
            return
    except OSError as error:
        raise SweepError(
            f"no Ray cluster answers at '{address}': {error.strerror or error}",
            hint="start one with `ray start --head`, or unset RAY_ADDRESS to run on this machine",
        ) from error
