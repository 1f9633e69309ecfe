"""What is asked of an examination, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, Self, get_args

State = Literal["ok", "warn", "fail"]
HERE = "this machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what was checked, such as ``zoo``.
        node: where: `HERE`, or a machine of the cluster.
        state: ``ok``; ``warn`` for what may hurt; ``fail`` for what a sweep cannot live with.
        what: what was found.
        hint: what to do; empty where there is nothing.

    Raises:
        ValueError: there is no such state.
    """

    check: str
    node: str = HERE
    state: State
    what: str
    hint: str = ""

    def __post_init__(self) -> None:
        if self.state not in get_args(State):
            raise ValueError(f"a finding of '{self.check}' has the state {self.state!r}")

    @classmethod
    def from_mapping(cls, found: dict[str, Any]) -> Self:
        """A finding as another process wrote it.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise ValueError("a finding is a mapping of texts")
        if unknown := set(found) - {field.name for field in fields(cls)}:
            raise ValueError(f"a finding has no {', '.join(sorted(unknown))}")
        return cls(**found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the examination is about, beyond what the environment says.

    Attributes:
        dataset: a data set's name or folder, to be on every node; None to leave it out.
        teacher: a teacher's name; None for the data set's own.
        zoo: a folder or ``s3://bucket/prefix``; None for the settings' own.
        ray_address: a cluster; None for the settings' own, else a Ray on this machine.
    """

    dataset: str | None = None
    teacher: str | None = None
    zoo: str | None = None
    ray_address: str | None = None
