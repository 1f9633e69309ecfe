"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from uuid import uuid4

from kdzoo.errors import StorageError


def write_file(path: Path, data: bytes | memoryview) -> None:
    """Writes a file so that a reader sees all of it or what was there before, also after a power cut.

    Raises:
        StorageError: disk full, no rights; names the file.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(
            f"cannot write '{path}': {error.strerror or error}",
            hint="free some space or set KDZOO_HOME to another disk",
        ) from error
