"""The sweeps of this home as people look at them: read from their folders, whether they run or not."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kdzoo.databases import reading
from kdzoo.errors import StorageError, SweepError, UnknownNameError
from kdzoo.search.record.folder import SweepFolder, SweepState
from kdzoo.search.record.plan_file import read_plan
from kdzoo.settings import Settings

_ENDED = """
SELECT studies.study_name, COUNT(*) FROM trials JOIN studies ON studies.study_id = trials.study_id
WHERE trials.state IN ('COMPLETE', 'PRUNED', 'FAIL') AND trials.trial_id NOT IN
    (SELECT trial_id FROM trial_user_attributes WHERE key = 'interrupted')
GROUP BY studies.study_name
"""

_FINALS = """
SELECT studies.study_name, COUNT(*) FROM trials JOIN studies ON studies.study_id = trials.study_id
WHERE trials.trial_id IN (SELECT trial_id FROM trial_user_attributes WHERE key = 'final') AND trials.trial_id NOT IN
    (SELECT trial_id FROM trial_user_attributes WHERE key = 'interrupted')
GROUP BY studies.study_name
"""

_OUTCOMES = "SELECT value_json FROM trial_user_attributes WHERE key = 'outcome'"


@dataclass(frozen=True, kw_only=True)
class SweepSummary:
    """A sweep in one line.

    Attributes:
        name: its name.
        method: what is swept.
        dataset: on which data set.
        state: how it stands.
        reason: why it failed; else empty.
        done: trials that ended, over all categories.
        planned: trials in all.
        created: seconds since 1970.
        reused_trials: ended trials that took another one's first stage.
        reused_seconds: of training that this saved.
        size: bytes in its folder.
        folder: where that is.
        group: the group of sweeps that it is one of; empty where it stands alone.
        members: of a group, the names of its sweeps; of a sweep, none.
        objective: what its trials are chosen by.
    """

    name: str
    method: str
    dataset: str
    state: SweepState
    reason: str
    done: int
    planned: int
    created: float
    reused_trials: int
    reused_seconds: float
    size: int
    folder: str
    group: str = ""
    members: tuple[str, ...] = ()
    objective: str = ""

    def as_json(self) -> dict[str, Any]:
        """A plain dict, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class CategoryProgress:
    """How a category of a sweep stands.

    Attributes:
        category: its name.
        done: trials that ended.
        planned: trials in all.
        outcome: what it came to when it was last concluded; None before that.
    """

    category: str
    done: int
    planned: int
    outcome: Mapping[str, Any] | None


def all_sweeps(settings: Settings) -> tuple[list[SweepSummary], list[str]]:
    """The sweeps of a home, the latest first, and lines on folders that cannot be read.

    Args:
        settings: where sweeps are.
    """
    found, troubles = [], []
    for folder in _folders(settings):
        try:
            found.append(_summary(folder))
        except (SweepError, StorageError) as error:
            troubles.append(str(error))
    return sorted(found, key=lambda each: -each.created), troubles


def sweep_folder(settings: Settings, name: str) -> SweepFolder:
    """The folder of a sweep that there is.

    Raises:
        UnknownNameError: there is none of that name.
    """
    names = {folder.name: folder for folder in _folders(settings)}
    if name not in names:
        raise UnknownNameError("sweep", name, names)
    return names[name]


def one_sweep(folder: SweepFolder) -> tuple[SweepSummary, list[CategoryProgress]]:
    """A sweep and its categories.

    Raises:
        SweepError: its plan is damaged.
        StorageError: its studies cannot be read.
    """
    summary = _summary(folder)
    told, done, finals = read_plan(folder.plan), _ended(folder.studies), _finals(folder.studies)
    progress = [
        CategoryProgress(
            category=name,
            done=done[name],
            planned=int(told["trials"]) + finals[name],
            outcome=folder.outcome(name),
        )
        for name in told["spaces"]
    ]
    return summary, progress


def trials_left(folder: SweepFolder, planned: int) -> int:
    """How many trainings and measurings are left of a sweep, whose folder may be empty yet: at most the planned trials.

    Args:
        folder: the sweep's.
        planned: trials over all its categories, final rounds apart.

    Raises:
        StorageError: its studies cannot be read.
    """
    ended, finals = _ended(folder.studies), _finals(folder.studies)
    return min(planned, max(0, planned + finals.total() - ended.total()) + len(ended))


def _folders(settings: Settings) -> list[SweepFolder]:
    """Folders that hold a plan; older ones cannot be resumed, and those of sweeps that never began hold nothing."""
    return [SweepFolder(path.parent) for path in sorted(settings.sweeps.glob("*/plan.json"))]


def _summary(folder: SweepFolder) -> SweepSummary:
    told = read_plan(folder.plan)
    saved = [seconds for seconds in _reused(folder.studies) if seconds]
    try:
        return SweepSummary(
            name=folder.name,
            method=str(told["method"]),
            dataset=str(told["dataset"]),
            state=folder.state(),
            reason=folder.failure(),
            done=_ended(folder.studies).total(),
            planned=int(told["trials"]) * len(told["spaces"]) + _finals(folder.studies).total(),
            created=float(told["created"]),
            reused_trials=len(saved),
            reused_seconds=sum(saved),
            size=folder.size(),
            folder=str(folder.path),
            group=str(told.get("group", "")),
            objective=_objective(told),
        )
    except (LookupError, TypeError, ValueError) as error:
        raise SweepError(f"the plan '{folder.plan}' is damaged: {error!r}", hint="restore it from a copy") from error


def _objective(told: Mapping[str, Any]) -> str:
    options = told.get("options")
    return str(options.get("objective", "")) if isinstance(options, Mapping) else ""


def _ended(studies: Path) -> Counter[str]:
    """Category to its ended trials."""
    return Counter(dict(_asked(studies, _ENDED)))


def _finals(studies: Path) -> Counter[str]:
    """Category to the trials of its final round, once that is planned."""
    return Counter(dict(_asked(studies, _FINALS)))


def _reused(studies: Path) -> list[float]:
    """Seconds that first stages of other trials saved each ended trial."""
    return [float(json.loads(told).get("reused_seconds", 0.0)) for (told,) in _asked(studies, _OUTCOMES)]


def _asked(studies: Path, query: str) -> list[Any]:
    """What the studies answer. By SQL, since Optuna takes seconds to import and wants to write."""
    if not studies.exists():
        return []
    try:
        with reading(studies, seconds=10) as database:
            return database.execute(query).fetchall()
    except sqlite3.Error as error:
        if "no such table" in str(error):
            return []  # its driver is only just making the file
        raise StorageError(
            f"cannot read the studies '{studies}': {error}", hint="restore the file from a copy"
        ) from error
