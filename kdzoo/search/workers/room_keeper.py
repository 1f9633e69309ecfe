"""Takes back what a sweep asked its cluster for when nothing is heard of its driver any more."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

import ray
from ray.autoscaler import sdk

log = logging.getLogger(__name__)

_SILENCE_SECONDS: Final = 300.0
"""A driver is heard of every minute; one that is slow for a while asks again when it goes on."""
_LOOK_SECONDS: Final = 5.0
_ON_THE_HEAD: Final = {"node:__internal_head__": 0.001}
"""A resource that Ray gives to the head alone: anywhere else the process would keep a node from being idle."""


class RoomKeeper:
    """A small process on the cluster's head that outlives the driver.

    Ray keeps what was asked of its autoscaler until somebody asks for something else. A driver that ends, by an error,
    too, says that nothing is wanted any more; one that is killed, or whose machine is gone, cannot.

    Args:
        silence: seconds without a word of the driver after which nothing is asked for any more.
    """

    def __init__(self, silence: float = _SILENCE_SECONDS) -> None:
        self._silence = silence
        self._process: Any = None
        self._heard: Any = None

    def alive(self) -> None:
        """The driver lives, and wants what it asked for; never waits. The first call starts the process."""
        try:
            if self._process is None or self._is_over():
                self._process = (
                    ray.remote(watching())
                    .options(num_cpus=0, resources=_ON_THE_HEAD, lifetime="detached", max_restarts=0)
                    .remote(self._silence)
                )
            self._heard = self._process.alive.remote()
        except Exception as error:
            log.warning("what is asked of the cluster would stay if this process was killed: %s", error)

    def end(self) -> None:
        """Nothing is asked for any more; raises what Ray does where the cluster is gone."""
        if self._process is not None:
            ray.kill(self._process)
            self._process = self._heard = None

    def _is_over(self) -> bool:
        """Whether the process has ended since it last heard of the driver."""
        ready, _ = ray.wait([self._heard], timeout=0)
        try:
            ray.get(ready)
        except ray.exceptions.RayActorError:
            return True
        return False


def watching() -> type:
    """The class of the process. It is made in a function, so that Ray sends all of it: a head may be without kdzoo."""

    class Watching:
        def __init__(self, silence: float) -> None:
            self._silence, self._heard = silence, time.monotonic()
            self._self = ray.get_runtime_context().current_actor
            threading.Thread(target=self._watch, daemon=True).start()

        def alive(self) -> None:
            self._heard = time.monotonic()

        def _watch(self) -> None:
            while time.monotonic() - self._heard < self._silence:
                time.sleep(min(_LOOK_SECONDS, self._silence))
            sdk.request_resources(bundles=[])
            ray.kill(self._self)

    return Watching
