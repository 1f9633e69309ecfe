"""The errors kdzoo raises on purpose.

Each names the thing that is wrong and, in ``hint``, the next step. The command line turns them into messages
(`kdzoo.cli.errors`); a program catches the builtin kind or `KdzooError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from zoo_registry.addresses import without_credentials


class KdzooError(Exception):
    """Base of every error that kdzoo raises on purpose.

    Passwords and keys in the addresses that it names are taken out: an error is shown, logged and sent on.

    Args:
        message: what is wrong, naming the thing.
        hint: what to do next; shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = without_credentials(message)
        self.hint = None if hint is None else without_credentials(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, dict(self.__dict__))


def _rebuild(kind: type[KdzooError], message: str, hint: str | None, state: dict[str, object]) -> KdzooError:
    """Makes the error again in another process, whatever its constructor takes."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    error.message, error.hint = message, hint
    return error


class UsageError(KdzooError, ValueError):
    """The person asked for something that cannot be: exit status 2."""


class ConfigError(UsageError):
    """A configuration key or value is not valid."""


class SearchSpaceError(ConfigError):
    """A search space file is not valid."""


class UnknownNameError(UsageError, LookupError):
    """A name that does not exist; says the nearest one that does.

    Args:
        kind: what the name was to stand for, such as ``"method"``.
        name: the name as given.
        valid: the names that exist.
    """

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        self.kind, self.name, self.valid = kind, name, sorted(valid)
        near = nearest(name, self.valid)
        message = f"unknown {kind} '{name}'" + (f"; did you mean '{near}'?" if near else "")
        listed = ", ".join(self.valid) if self.valid else "(none)"
        super().__init__(message, hint=f"valid {kind} names: {listed}")


class PackageError(KdzooError):
    """pip could not bring a package of the Python index."""


class DatasetError(KdzooError):
    """A data set is missing, empty or not in its layout."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """There is no data set at the place where it was looked for."""


class DownloadError(DatasetError, OSError):
    """A data set's archive cannot be had, or is not the one that is known."""


class ArchiveError(DatasetError, ValueError):
    """An archive is damaged, or holds what may not be unpacked."""


class ImageError(DatasetError, ValueError):
    """An image or mask cannot be used: unreadable, truncated, or of the wrong size."""


class ProtocolError(DatasetError, ValueError):
    """The selection protocol cannot be followed on this data set."""


class PromotionError(KdzooError):
    """A release may not become champion, or there is none to go back to."""


class TeacherError(KdzooError):
    """A teacher cannot be built or its weights cannot be had."""


class TeacherUnavailableError(TeacherError):
    """A teacher's published weights are neither on this machine nor within its reach."""


class TrainingError(KdzooError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError, ArithmeticError):
    """The loss, or a map made from the weights, became NaN or infinite."""


class DeviceMemoryError(TrainingError):
    """The GPU's memory does not hold what a trial needs, not even half a batch at a time."""


class CheckpointError(KdzooError, ValueError):
    """A checkpoint or a detector's files are damaged or do not fit the model."""


class StorageError(KdzooError, OSError):
    """A file cannot be written or read: disk full, no rights, not there."""


class SweepError(KdzooError):
    """A sweep cannot start or has no usable result."""


class WorkerError(SweepError):
    """A worker's machine lacks what a trial needs; another machine may have it.

    Attributes:
        node: Ray's id of the machine, where it is known.
    """

    node: str | None = None


class TrackingError(KdzooError):
    """The tracking server cannot be read."""


class MissingDependencyError(KdzooError, ImportError):
    """An installed part that this command needs is not there."""


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name most like ``name``, or None when none is near."""
    matches = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.5)
    return matches[0] if matches else None
