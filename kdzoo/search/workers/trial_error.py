"""What ended a try of a trial, as Ray wrote it down."""

from __future__ import annotations

import logging
from pathlib import Path

import ray
from ray import cloudpickle
from ray.exceptions import RayActorError, RayTaskError
from ray.tune.experiment import Trial

from kdzoo.errors import WorkerError

log = logging.getLogger(__name__)


def trial_error(trial: Trial) -> BaseException | None:
    """The error of a trial's last try, from the file that Ray has just written on this machine.

    Ray's own `get_pickled_error` looks in the sweep's folder, where the file arrives later.
    """
    file = trial.pickled_error_file
    if file is None or not Path(file).exists():
        return None
    with Path(file).open("rb") as opened:
        error = cloudpickle.load(opened)
    return error if isinstance(error, BaseException) else None


def node_of(error: BaseException | None) -> str | None:
    """The id of the node on which a worker failed; None when Ray does not know.

    A `WorkerError` says it. Ray's errors name the actor; where an actor ran, also one that is dead, only the head's
    table tells.
    """
    cause = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, WorkerError) and cause.node is not None:
        return cause.node
    actor = error.actor_id if isinstance(error, RayActorError) else None
    if actor is None:
        return None
    try:
        found = ray._private.state.actors(actor)
        return str(found["Address"]["NodeID"]) or None
    except Exception as problem:
        # A private table: without it trials are retried wherever there is room.
        log.warning("cannot tell on which node actor %s ran: %s", actor, problem)
        return None
