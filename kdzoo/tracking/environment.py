"""MLflow's switches, set before it is imported, and only where the person set none."""

from __future__ import annotations

import logging
import os
from typing import Final

_DEFAULTS: Final = {
    # Unbounded, one call to a dead server blocks for four minutes, and to a hung one for twenty.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
    "MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}

# Forty lines of migrations for a new SQLite file, and fifty a record when its disk is full; two lines of retries for
# each call to a dead server. The tracker tells of each once.
_CHATTY: Final = {
    "alembic": logging.WARNING,
    "mlflow.store.db.utils": logging.CRITICAL,
    "urllib3.connectionpool": logging.ERROR,
}


def prepare_mlflow() -> None:
    """Bounds MLflow's HTTP calls and keeps it quiet; what the person set stays as it is.

    Call before the first import of MLflow in a process: it reads some switches then.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name, level in _CHATTY.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
