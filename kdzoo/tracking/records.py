"""A record: one thing to tell MLflow, complete in itself, and harmless when told twice.

A record names its run by our own key and carries what it takes to make that run and its parents, so it can be sent
later, by another process, after a server was replaced. Time stamps are its own: MLflow keeps one metric a (name, step,
time, value), so a repeated record changes nothing. Names and values are fitted to MLflow's limits, and credentials
taken out, on the way in: neither the journal on disk nor the server ever holds them.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from kdzoo.tracking.reference import ReleaseRef
from zoo_registry.addresses import without_credentials

TrialStatus = Literal["finished", "stopped_early", "interrupted", "failed"]
"""How a trial ended."""
SweepStatus = Literal["finished", "failed", "interrupted"]
"""How a sweep ended."""
Level = Literal["sweep", "category", "trial"]
RunState = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

MAX_NAME, MAX_PARAM, MAX_TAG = 250, 6000, 5000
"""MLflow's limits in characters (a tag may be longer on some servers, never shorter)."""

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_\-. :/]")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a trial or a category took.

    Attributes:
        seconds: wall time.
        gpu_seconds: wall time times the share of GPUs held.
    """

    seconds: float
    gpu_seconds: float = 0.0

    def as_metrics(self) -> dict[str, float]:
        """As MLflow metrics."""
        return {"cost_seconds": self.seconds, "cost_gpu_seconds": self.gpu_seconds}


@dataclass(frozen=True, kw_only=True)
class RunRef:
    """A run, known by a key of ours before MLflow has given it an id.

    Attributes:
        experiment: MLflow experiment, ``kdzoo/<method>/<dataset>``.
        key: unique in the experiment; stored as the tag ``kdzoo.key``.
        name: shown in MLflow.
        tags: set when the run is made.
        parent: the run it is nested in.
    """

    experiment: str
    key: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parent: RunRef | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """One thing to tell MLflow about one run.

    Attributes:
        run: the run.
        time_ms: when it happened, milliseconds since 1970.
        params: written once; MLflow refuses another value for the same name.
        tags: overwritten.
        metrics: finite values at `step`.
        step: epoch, from 0.
        state: the run's new MLflow status, or None to leave it.
        picture: PNG bytes kept as the artifact ``cases.png``.
        published: a release to show in the model registry as a version that came from this run.
        champion: whether that release is its entry's champion since `time_ms`.
    """

    run: RunRef
    time_ms: int
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    step: int = 0
    state: RunState | None = None
    picture: bytes | None = None
    published: ReleaseRef | None = None
    champion: bool = False

    def to_line(self) -> bytes:
        """One line of JSON, ending in a newline."""
        values = asdict(self)
        values["picture"] = None if self.picture is None else base64.b64encode(self.picture).decode("ascii")
        return json.dumps(values, separators=(",", ":"), allow_nan=False).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Record:
        """Reads a line back.

        Raises:
            ValueError: the line is no record, such as one cut short by a full disk.
        """
        try:
            values = json.loads(line)
            picture = values.pop("picture")
            run = _run_from(values.pop("run"))
            published = values.pop("published", None)  # a journal of an earlier version has none
            return cls(
                run=run,
                picture=None if picture is None else base64.b64decode(picture),
                published=None if published is None else ReleaseRef(**published),
                **values,
            )
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a tracking record: {error!r}") from error


def _run_from(values: dict[str, Any]) -> RunRef:
    parent = values.pop("parent")
    return RunRef(parent=None if parent is None else _run_from(parent), **values)


def fitted_texts(values: Mapping[str, object], limit: int) -> dict[str, str]:
    """Params or tags as MLflow takes them: valid names, at most ``limit`` characters, no credentials, no None."""
    return {_name(key): without_credentials(str(value))[:limit] for key, value in values.items() if value is not None}


def fitted_metrics(values: Mapping[str, float]) -> dict[str, float]:
    """Metrics as MLflow takes them: valid names, finite values; NaN and infinity are left out."""
    return {_name(key): float(value) for key, value in values.items() if math.isfinite(value)}


def _name(key: str) -> str:
    return _NOT_IN_NAMES.sub("_", key)[:MAX_NAME]
