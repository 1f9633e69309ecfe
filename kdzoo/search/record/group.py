"""Several sweeps of one command, a method each: which they are, in which order, and whether they are to end.

Each is a sweep of its own, ``night-rd``, ``night-aand``, in a folder beside this one; all their plans are written
before the first begins. So a group that was cut off goes on as each of them does.

group.json     which sweeps
stop           asks whoever drives them to begin no other
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kdzoo.errors import StorageError, SweepError
from kdzoo.search.record.folder import SweepFolder, SweepState
from kdzoo.search.record.overview import SweepSummary, one_sweep
from kdzoo.settings import Settings
from kdzoo.storage import write_file

SCHEMA: Final = "kdzoo-sweep-group/1"
FILE: Final = "group.json"


@dataclass(frozen=True, kw_only=True)
class SweepGroup:
    """Several sweeps that one command began.

    Attributes:
        path: the group's folder, named after it.
        members: names of the sweeps, in the order in which they run.
        created: seconds since 1970.
        id: of no other group, also of the same name; empty where an earlier kdzoo wrote it.
    """

    path: Path
    members: tuple[str, ...]
    created: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def name(self) -> str:
        """The group's name."""
        return self.path.name

    @property
    def log(self) -> Path:
        """What Ray has to say."""
        return self.path / "ray.log"

    @property
    def folders(self) -> list[SweepFolder]:
        """The folders of the sweeps, in order."""
        return [SweepFolder(self.path.parent / name) for name in self.members]

    def write(self) -> None:
        """Writes which sweeps these are.

        Raises:
            SweepError: there is a group or a sweep of that name.
            StorageError: the folder cannot be written.
        """
        if (self.path / FILE).exists() or (self.path / "plan.json").exists():
            raise SweepError(
                f"there is a sweep named '{self.name}' already",
                hint=f"go on with it by `kdzoo sweep --resume {self.name}`, or choose another --name",
            )
        told = {"schema": SCHEMA, "members": list(self.members), "created": self.created, "id": self.id}
        write_file(self.path / FILE, json.dumps(told, indent=1).encode())

    def begin(self) -> None:
        """It is driven: that it was once asked to end no longer counts."""
        (self.path / "stop").unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """Asks whoever drives it to finish: the sweep that runs ends as `kdzoo sweep stop` has it, and no other begins.

        Raises:
            SweepError: none of its sweeps runs.
            StorageError: a folder cannot be written.
        """
        write_file(self.path / "stop", b"")
        running = [folder for folder in self.folders if folder.state() == "running"]
        if not running:
            raise SweepError(
                f"no sweep of '{self.name}' is running; none of them begins any more if one was about to",
                hint=f"`kdzoo sweep show {self.name}` says how they stand",
            )
        for folder in running:
            folder.ask_to_stop()

    @property
    def is_asked_to_stop(self) -> bool:
        """Whether it is to begin no other sweep."""
        return (self.path / "stop").exists()

    def summary(self, members: Sequence[SweepSummary]) -> SweepSummary:
        """The sweeps as one.

        Args:
            members: theirs; at least one.
        """
        reasons = [f"{each.method}: {each.reason}" for each in members if each.reason]
        return SweepSummary(
            name=self.name,
            method=",".join(each.method for each in members),
            dataset=members[0].dataset,
            state=_joined([each.state for each in members]),
            reason="; ".join(reasons),
            done=sum(each.done for each in members),
            planned=sum(each.planned for each in members),
            created=self.created,
            reused_trials=sum(each.reused_trials for each in members),
            reused_seconds=sum(each.reused_seconds for each in members),
            size=sum(each.size for each in members),
            folder=str(self.path),
            members=self.members,
        )


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """What one method came to in one category.

    Attributes:
        category, method: of which.
        done, planned: trials.
        outcome: as the sweep's folder keeps it; None before that.
    """

    category: str
    method: str
    done: int
    planned: int
    outcome: dict[str, Any] | None

    @property
    def objective(self) -> float | None:
        """What the choice went by; None where there is no result."""
        return None if self.outcome is None else self.outcome["objective"]


def find_group(settings: Settings, name: str) -> SweepGroup | None:
    """The group of that name; None where there is none.

    Raises:
        SweepError: its file is damaged, or of another kdzoo.
    """
    return _read(settings.sweeps / name) if (settings.sweeps / name / FILE).exists() else None


def all_groups(settings: Settings, *, left_out: Callable[[str], object] | None = None) -> list[SweepGroup]:
    """The groups of a home, the latest first.

    Args:
        settings: where sweeps are.
        left_out: told of each whose file cannot be read; default that is an error.

    Raises:
        SweepError: a file is damaged, or of another kdzoo.
    """
    found = []
    for path in sorted(settings.sweeps.glob(f"*/{FILE}")):
        try:
            found.append(_read(path.parent))
        except SweepError as error:
            if left_out is None:
                raise
            left_out(str(error))
    return sorted(found, key=lambda group: -group.created)


def results_of(
    group: SweepGroup, *, left_out: Callable[[str], object] | None = None
) -> tuple[SweepSummary, list[MethodResult]]:
    """How a group stands, and what each method came to: by category, the highest objective first.

    Args:
        group: which.
        left_out: told of each sweep that cannot be read, or is gone; default that is an error.

    Raises:
        SweepError: a plan or an outcome is damaged, or gone; with ``left_out`` only where none can be read.
        StorageError: studies cannot be read.
    """
    summaries, rows = [], list[MethodResult]()
    for folder in group.folders:
        try:
            summary, categories = one_sweep(folder)
        except (SweepError, StorageError) as error:
            if left_out is None:
                raise
            left_out(f"{folder.name}: {error}")
            continue
        summaries.append(summary)
        rows += [
            MethodResult(
                category=each.category,
                method=summary.method,
                done=each.done,
                planned=each.planned,
                outcome=None if each.outcome is None else dict(each.outcome),
            )
            for each in categories
        ]
    if not summaries:
        raise SweepError(
            f"none of the sweeps of '{group.name}' can be read: {', '.join(group.members)}",
            hint=f"restore them from a copy, or remove '{group.path}'",
        )
    order = list(dict.fromkeys(row.category for row in rows))
    found = sorted(rows, key=lambda row: (order.index(row.category), -_height(row)))
    return group.summary(summaries), found


def _height(row: MethodResult) -> float:
    return float("-inf") if row.objective is None else row.objective


def _joined(states: Sequence[SweepState]) -> SweepState:
    if "running" in states:
        return "running"
    if all(state == "finished" for state in states):
        return "finished"
    return "failed" if "failed" in states and "interrupted" not in states else "interrupted"


def _read(path: Path) -> SweepGroup:
    file = path / FILE
    try:
        told = json.loads(file.read_bytes())
        if told["schema"] != SCHEMA:
            raise SweepError(f"'{file}' is of schema {told['schema']!r}, expected '{SCHEMA}'", hint="update kdzoo")
        members, created = tuple(map(str, told["members"])), float(told["created"])
        return SweepGroup(path=path, members=members, created=created, id=str(told.get("id", "")))
    except (OSError, ValueError, RecursionError, LookupError, TypeError) as error:
        raise SweepError(f"cannot read '{file}': {error!r}", hint="restore the file from a copy") from error
