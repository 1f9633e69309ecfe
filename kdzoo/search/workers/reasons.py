"""What Ray, Optuna and workers raise, in one line that a person can use."""

from __future__ import annotations

from pathlib import Path

from optuna.exceptions import StorageInternalError
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError, WorkerCrashedError
from ray.tune import TuneError

from kdzoo.errors import KdzooError, SweepError, WorkerError

_LONGEST = 500


def reason(error: BaseException | None) -> str:
    """One line of what went wrong.

    Args:
        error: what Ray, Optuna or a worker raised; None when Ray did not say.
    """
    if error is None:
        return "its worker failed"
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, OutOfMemoryError):
        return "its worker was killed because the node ran out of memory"
    # A remote traceback that Ray passes on as text has the error itself in its last line.
    as_text = isinstance(cause, TuneError) or (isinstance(cause, ActorDiedError) and cause.actor_init_failed)
    if isinstance(cause, ActorDiedError | WorkerCrashedError) and not as_text:
        return "its worker died"
    if isinstance(cause, StorageInternalError) and cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = lines[-1 if as_text else 0] if lines else ""
    kind = type(cause).__name__
    return (said if as_text or kind in said or isinstance(cause, WorkerError) else f"{kind}: {said}")[:_LONGEST]


def stopped(sweep: str, error: Exception, *, log: Path) -> KdzooError:
    """The error with which a sweep ends before its time: what is wrong, and how to go on.

    Args:
        sweep: its name.
        error: what ended it.
        log: where Ray's own words are.
    """
    on = f"then go on with `kdzoo sweep --resume {sweep}`"
    if isinstance(error, KdzooError):
        error.hint = f"{error.hint}; {on}" if error.hint else f"put that right, {on}"
        return error
    ended = SweepError(f"the sweep '{sweep}' stopped: {reason(error)}", hint=f"put that right (see '{log}'), {on}")
    ended.__cause__ = error
    return ended
