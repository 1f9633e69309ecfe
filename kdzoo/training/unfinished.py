"""A training that is not over, kept in the folder of its detector, so that it can be gone on with.

training.json        what is trained, on which images, with which teacher
resume.pt            the state after an epoch: that of the last minute or so
teacher.safetensors  a release's teacher, where a release is trained again: its name may mean another by then
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from kdzoo.detector_files import TEACHER_FILE
from kdzoo.errors import CheckpointError, KdzooError, StorageError
from kdzoo.storage import write_file
from kdzoo.teachers.backbone import Teacher
from kdzoo.teachers.names import TeacherName
from kdzoo.training.checkpoint import load_state, save_state
from kdzoo.training.data import TrialData
from kdzoo.training.spec import TrialSpec
from kdzoo.training.trainer import Trainer

SCHEMA: Final = "kdzoo-training/1"
PLAN_FILE: Final = "training.json"
STATE_FILE: Final = "resume.pt"
_SAVED_EVERY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class KeptTeacher:
    """What a release's teacher is beside its weights, which lie in the training's folder.

    Attributes:
        name: its backbone, and where its weights came from.
        mean: channel means of the input transform.
        std: channel standard deviations of the input transform.
    """

    name: TeacherName
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        named = {"architecture": self.name.architecture, "source": self.name.source}
        return {**named, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, told: dict[str, Any]) -> Self:
        """The inverse of `as_dict`.

        Raises:
            LookupError, TypeError, ValueError: it is damaged.
        """
        mean, std = (tuple(float(value) for value in told[key]) for key in ("mean", "std"))
        if len(mean) != 3 or len(std) != 3 or min(std) <= 0:
            raise ValueError("mean and std are not three numbers each")
        name = TeacherName(architecture=str(told["architecture"]), source=str(told["source"]))
        return cls(name=name, mean=mean, std=std)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """What an unfinished training is.

    Attributes:
        spec: what is trained.
        root: where its data set is.
        identity: digests of its images, as `TrialData.identity` gives them.
        teacher: sha256 hex of the teacher's weights.
        kept_teacher: of a release that is trained again; None where the teacher is found by its name.
    """

    spec: TrialSpec
    root: str
    identity: dict[str, str]
    teacher: str
    kept_teacher: KeptTeacher | None = None

    @classmethod
    def of(cls, spec: TrialSpec, data: TrialData, teacher: Teacher, *, keep_teacher: bool = False) -> Self:
        """Of a training that is about to begin.

        Args:
            spec: what is trained.
            data: on which images.
            teacher: with which teacher.
            keep_teacher: whether its weights are kept in the folder; else its name must give them again.
        """
        digest = hashlib.sha256(teacher.weights()).hexdigest()
        kept = KeptTeacher(name=teacher.name, mean=tuple(teacher.mean), std=tuple(teacher.std))
        return cls(
            spec=spec, root=str(data.dataset.root), identity=data.identity, teacher=digest,
            kept_teacher=kept if keep_teacher else None,
        )  # fmt: skip

    def write(self, folder: Path, teacher: Teacher) -> None:
        """Writes it into a folder, with the teacher's weights where they are to be kept.

        Raises:
            StorageError: the disk is full or may not be written.
        """
        told = {"root": self.root, "identity": self.identity, "teacher": self.teacher, "spec": self.spec.as_dict()}
        if self.kept_teacher is not None:
            write_file(folder / TEACHER_FILE, teacher.weights())
            told |= {"kept_teacher": self.kept_teacher.as_dict()}
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
            kept = KeptTeacher.from_dict(told["kept_teacher"]) if "kept_teacher" in told else None
            return cls(
                spec=spec, root=str(told["root"]), identity=identity, teacher=str(told["teacher"]), kept_teacher=kept
            )
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
