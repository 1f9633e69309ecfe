"""Files that MLflow keeps of a run. Its artifact store may be broken where MLflow is well."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from kdzoo.errors import TrackingError
from kdzoo.storage import write_new
from zoo_registry.addresses import without_credentials


class RefusedError(TrackingError):
    """MLflow was reached and will never take this record."""


def short(error: Exception) -> str:
    """The first line, without credentials; MLflow puts whole responses and stack traces in its messages."""
    lines = without_credentials(str(error)).strip().splitlines() or [type(error).__name__]
    return lines[0][:300]


def keep_files(
    client: Any, ask: Callable[[Callable[[], Any]], Any], run_id: str, files: Mapping[str, bytes], folder: str | None
) -> None:
    """Keeps files as artifacts of a run.

    Args:
        client: MLflow's.
        ask: calls it, and turns what it raises into errors of ours.
        run_id: the run.
        files: name to bytes.
        folder: of the run's artifacts; None for the top.

    Raises:
        RefusedError: MLflow is well, and its artifact store is not: a file must not hold up the metrics behind it.
        TrackingError: MLflow cannot be reached.
    """
    with tempfile.TemporaryDirectory() as name:
        for file, content in files.items():
            write_new(Path(name, file), content)
        try:
            client.log_artifacts(run_id, name, folder)
        except Exception as error:
            ask(lambda: client.get_run(run_id))
            raise RefusedError(f"MLflow cannot keep '{', '.join(files)}' of a run: {short(error)}") from error
