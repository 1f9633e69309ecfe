"""From an error to what a person sees: one line on what is wrong, one on what to do next, and an exit status."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from kdzoo.distributions import bringing
from kdzoo.errors import KdzooError, UsageError
from zoo_registry.errors import NameInvalidError, RegistryError

USAGE, FAILURE, INTERRUPTED = 2, 1, 130


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What is shown of an error.

    Attributes:
        status: exit status.
        message: what is wrong.
        hint: the next step, may be empty.
    """

    status: int
    message: str
    hint: str = ""


def shown(error: BaseException) -> Shown | None:
    """What a person sees of an error; None for one that kdzoo did not foresee."""
    if isinstance(error, UsageError | NameInvalidError):
        return Shown(status=USAGE, message=str(error), hint=error.hint or "")
    if isinstance(error, KdzooError | RegistryError):
        return Shown(status=FAILURE, message=str(error), hint=error.hint or "")
    if isinstance(error, KeyboardInterrupt):
        return Shown(status=INTERRUPTED, message="interrupted")
    if isinstance(error, ModuleNotFoundError):
        return Shown(
            status=FAILURE,
            message=f"this command needs '{error.name}', which is not installed",
            hint=bringing(error.name or ""),
        )
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f" while writing '{error.filename}'" if error.filename else ""
        return Shown(
            status=FAILURE,
            message=f"the disk is full{where}",
            hint="free some space, or set KDZOO_HOME to a folder on another disk",
        )
    if isinstance(error, PermissionError):
        return Shown(
            status=FAILURE,
            message=f"no right to use '{error.filename}'" if error.filename else str(error),
            hint="change its rights, or set KDZOO_HOME to a folder of your own",
        )
    if _out_of_gpu_memory(error):
        return Shown(
            status=FAILURE,
            message="the GPU is out of memory",
            hint="lower batch_size (--set batch_size=8) or --image-size, or give a trial more of the GPU",
        )
    return None


def _out_of_gpu_memory(error: BaseException) -> bool:
    """Known by name, so that a light command need not import torch to fail."""
    return type(error).__name__ == "OutOfMemoryError" and type(error).__module__.startswith("torch")
