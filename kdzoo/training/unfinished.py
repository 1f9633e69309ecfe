"""A training that is not over, kept in the folder of its detector, so that it can be gone on with.

training.json   what is trained, on which images, with which teacher
resume.pt       the state after an epoch: that of the last minute or so
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from kdzoo.errors import CheckpointError, KdzooError, StorageError
from kdzoo.storage import write_file
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

SCHEMA: Final = "kdzoo-training/1"
PLAN_FILE: Final = "training.json"
STATE_FILE: Final = "resume.pt"
_SAVED_EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What an unfinished training is.

    Attributes:
        spec: what is trained.
        root: where its data set is.
        identity: digests of its images, as `TrialData.identity` gives them.
        teacher: sha256 hex of the teacher's weights.
    """

    spec: TrialSpec
    root: str
    identity: dict[str, str]
    teacher: str

    @classmethod
    def of(cls, spec: TrialSpec, data: TrialData, teacher: Teacher) -> Self:
        """Of a training that is about to begin."""
        digest = hashlib.sha256(teacher.weights()).hexdigest()
        return cls(spec=spec, root=str(data.dataset.root), identity=data.identity, teacher=digest)

    def write(self, folder: Path) -> None:
        """Writes it into a folder.

        Raises:
            StorageError: the disk is full or may not be written.
        """
        told = {"root": self.root, "identity": self.identity, "teacher": self.teacher, "spec": self.spec.as_dict()}
        write_file(folder / PLAN_FILE, json.dumps({"schema": SCHEMA, **told}, indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The training of a folder.

        Raises:
            StorageError: there is none.
            CheckpointError: it is damaged, or of another kdzoo.
        """
        path = folder / PLAN_FILE
        try:
            told = json.loads(path.read_bytes())
            if told["schema"] != SCHEMA:
                raise CheckpointError(f"'{path}' is of schema '{told['schema']}', this kdzoo reads {SCHEMA}")
            spec = TrialSpec.from_dict(told["spec"])
            identity = {str(name): str(digest) for name, digest in told["identity"].items()}
            return cls(spec=spec, root=str(told["root"]), identity=identity, teacher=str(told["teacher"]))
        except FileNotFoundError:
            raise StorageError(
                f"there is no unfinished training in '{folder}'", hint="one that ended has nothing to go on with"
            ) from None
        except OSError as error:
            raise StorageError(f"cannot read '{path}': {error.strerror or error}") from error
        except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
            if isinstance(error, KdzooError):
                raise
            raise CheckpointError(f"'{path}' is damaged: {error!r}", hint="train anew, into another folder") from error

    def check(self, other: TrainingPlan) -> None:
        """Refuses to go on with other images or another teacher.

        Raises:
            CheckpointError: naming what is not what it was.
        """
        for mine, theirs, what in (
            (self.identity, other.identity, "images"),
            (self.teacher, other.teacher, f"weights of the teacher '{self.spec.options.teacher}'"),
        ):
            if mine != theirs:
                raise CheckpointError(
                    f"the {what} are not those that the training began with", hint="train anew, into another folder"
                )


class KeptState:
    """Keeps the state of a training on disk: after its first epoch, and then once a minute.

    Args:
        folder: of the training.
        clock: seconds, ever rising.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._at: float | None = None

    def keep(self, trainer: Trainer, *, now: bool = False) -> None:
        """Called after each epoch.

        Args:
            trainer: its epoch is over.
            now: however short ago the last was kept.

        Raises:
            StorageError: the disk is full or may not be written.
        """
        is_due = self._at is None or self._clock() - self._at >= _SAVED_EVERY_SECONDS
        if not trainer.finished and (is_due or now):
            save_state(self._folder / STATE_FILE, trainer.state())
            self._at = self._clock()  # however long the writing took

    def take_up(self, trainer: Trainer) -> bool:
        """Has a trainer go on from what was kept; whether there was anything.

        Raises:
            CheckpointError: it is damaged.
        """
        if not (self._folder / STATE_FILE).exists():
            return False
        trainer.load_state(load_state(self._folder / STATE_FILE))
        return True

    def forget(self) -> None:
        """The training is over: nothing is left to go on with."""
        for name in (STATE_FILE, PLAN_FILE):
            (self._folder / name).unlink(missing_ok=True)
