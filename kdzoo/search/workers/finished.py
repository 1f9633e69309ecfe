"""What a worker hands back of a category's best trial: by files in the sweep's folder, read when they are used.

Detectors of hundreds of megabytes would otherwise go through the driver's memory, and wait there to be published.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kdzoo.detector_files import DOCUMENT_FILE, PICTURE_FILE, TEACHER_FILE, WEIGHTS_FILE
from kdzoo.errors import StorageError
from kdzoo.storage import write_file
from kdzoo.training.checkpoint import read_whole
from kdzoo.training.document import document_bytes
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS

_ANSWER: Final = "measured.json"
"""Written last: it names the folder of one try, in which all is. Where one is taken for lost, two may be at work."""
_FILES: Final = {WEIGHTS: WEIGHTS_FILE, TEACHER: TEACHER_FILE, PICTURE: PICTURE_FILE}


class LeftFiles(Mapping[str, bytes]):
    """Role to the bytes of a file in a folder, read each time that they are asked for.

    Args:
        folder: where a worker left them.
        beside: bytes of further roles.
    """

    def __init__(self, folder: Path, beside: Mapping[str, bytes] | None = None) -> None:
        self.folder, self._beside = folder, dict(beside or {})
        self._paths = {role: folder / name for role, name in _FILES.items() if (folder / name).is_file()}

    def __getitem__(self, role: str) -> bytes:
        return (
            self._beside[role] if role in self._beside else read_whole(self._paths[role], "a measured detector's file")
        )

    def digest(self, role: str) -> str | None:
        """The sha256 of a file; None where it is not there."""
        if role not in self._paths:
            return None
        with self._paths[role].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def __iter__(self) -> Iterator[str]:
        return iter({**self._paths, **self._beside})

    def __len__(self) -> int:
        return len({**self._paths, **self._beside})


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a worker hands back.

    Attributes:
        document: of the detector; empty when it failed.
        metrics: ``val_*`` and ``test_*``.
        files: role to bytes; without the teacher's when they are the driver's.
        failure: why there is none.
        unreported: why there are no ``test_*`` metrics, where there should be.
        folder: where a worker left it; None for what never was in files.
    """

    document: dict[str, Any]
    metrics: dict[str, float]
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: str = ""
    unreported: str = ""
    folder: Path | None = None

    @classmethod
    def failed(cls, reason: str) -> Finished:
        """Nothing, and why."""
        return cls(document={}, metrics={}, failure=reason)

    @classmethod
    def taken(cls, folder: Path, teacher: bytes) -> Finished:
        """What a worker left in a folder.

        Args:
            folder: where.
            teacher: the driver's weights, which a worker does not repeat.

        Raises:
            StorageError: it is not there, or cannot be read.
        """
        try:
            told = json.loads(read_whole(folder / _ANSWER, "what a worker measured"))
            left, files = LeftFiles(folder / str(told.pop("try"))), told.pop("files")
            missing = sorted(role for role, digest in files.items() if left.digest(role) != digest)
            made = cls(**told, files=left, folder=folder)
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise StorageError(f"cannot read '{folder / _ANSWER}': {type(error).__name__}: {error}") from error
        if missing:
            raise StorageError(f"what a worker measured is not whole in '{folder}': {', '.join(missing)}")
        if WEIGHTS in files and TEACHER not in files:
            return replace(made, files=LeftFiles(left.folder, {TEACHER: teacher}))
        return made

    def leave(self, folder: Path) -> None:
        """Writes all of it into a folder, and then that it is there.

        Raises:
            StorageError: the folder cannot be written.
        """
        own, files = uuid.uuid4().hex, dict[str, str]()
        for role, data in self.files.items():
            write_file(folder / own / _FILES[role], data)
            files[role] = hashlib.sha256(data).hexdigest()
        told = {name: getattr(self, name) for name in ("document", "metrics", "failure", "unreported")}
        write_file(folder / _ANSWER, json.dumps({**told, "try": own, "files": files}).encode())

    def save(self, folder: Path) -> Path:
        """Writes the detector as `kdzoo.detector.Detector.save` does, for `Detector.open`.

        Raises:
            StorageError: the folder cannot be written, or what a worker left not be read.
        """
        write_file(folder / WEIGHTS_FILE, self.files[WEIGHTS])
        write_file(folder / TEACHER_FILE, self.files[TEACHER])
        write_file(folder / DOCUMENT_FILE, document_bytes(self.document))
        return folder

    def forget(self) -> None:
        """Deletes what a worker left: it is in the zoo, or kept elsewhere."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
