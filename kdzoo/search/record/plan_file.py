"""The plan of a sweep on disk, as JSON: what a resumed sweep goes on with, and is compared against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from kdzoo.data.catalog import CATALOG, Dataset, open_dataset
from kdzoo.data.registered import registered
from kdzoo.errors import DatasetNotFoundError, KdzooError, SweepError
from kdzoo.methods.registry import find_method
from kdzoo.search.record.plan import CHECKPOINT_MINUTES, SweepPlan
from kdzoo.search.space.condition import Condition
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.search.study.strategy import Strategy
from kdzoo.search.study.warm_start import Loan
from kdzoo.settings import Settings
from kdzoo.storage import write_file
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import full_name
from kdzoo.training.spec import RunOptions
from zoo_registry.addresses import without_credentials

SCHEMA: Final = "kdzoo-sweep/1"
_TOLD: Final = 5
_MISSING: Final = "(none)"


@dataclass(frozen=True, kw_only=True)
class DataDigests:
    """What says that a category's data is what it was.

    Attributes:
        fingerprint: over names, labels and sizes of its images.
        split: of the parts that selection and report look at.
        foreground: of a person's masks, which say where anomalies are planted; None where there are none.
        textures: of the photographs that anomalies are filled with; None where these are made by formula.
    """

    fingerprint: str
    split: str
    foreground: str | None = None
    textures: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Plain values; without textures where there are none, as earlier plans."""
        values = {"fingerprint": self.fingerprint, "split": self.split, "foreground": self.foreground}
        return values if self.textures is None else values | {"textures": self.textures}


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan as it was written.

    Attributes:
        plan: the sweep.
        data: category to its data's digests.
        run_key: what its MLflow runs are found by.
        created: seconds since 1970.
        zoo: where it publishes.
    """

    plan: SweepPlan
    data: Mapping[str, DataDigests]
    run_key: str
    created: float
    zoo: str

    def write(self, path: Path) -> None:
        """Writes the plan, whole or not at all.

        Raises:
            StorageError: the disk is full or may not be written.
        """
        plan = self.plan
        told = {
            "schema": SCHEMA,
            "name": plan.name,
            "run_key": self.run_key,
            "created": self.created,
            "zoo": without_credentials(self.zoo),
            "command": plan.command,
            "group": plan.group,
            "group_id": plan.group_id,
            "max_concurrent": plan.max_concurrent,
            "cpus_per_trial": plan.cpus_per_trial,
            "gpus_per_trial": plan.gpus_per_trial,
            "time_budget": plan.time_budget,
            "keep": plan.keep,
            "checkpoint_minutes": plan.checkpoint_minutes,
            "gpu_hours": plan.gpu_hours,
            "loans": [asdict(loan) for loan in plan.loans],
            "portfolio": [dict(config) for config in plan.portfolio],
            "root": str(plan.dataset.root),
            "home": str(plan.settings.home),
            **_decisive(plan, self.data),
        }
        write_file(path, json.dumps(told, indent=1, allow_nan=False).encode())

    @classmethod
    def read(cls, path: Path, settings: Settings, *, dataset: str | Dataset | None = None) -> PlanFile:
        """Reads a plan and opens its data set.

        Args:
            path: the file.
            settings: where things are.
            dataset: where the data set is now, or what was opened there; default where it was. That it is the same is
                for whoever goes on with the sweep to see: its digests stand in the plan.

        Raises:
            SweepError: there is none, it is damaged, or this kdzoo cannot follow it.
            DatasetError: its data set is no longer there.
        """
        told = read_plan(path)
        home = told.get("home")
        try:
            told |= {"root": moved_home(told["root"], home, settings), "zoo": moved_home(told["zoo"], home, settings)}
            plan = SweepPlan(
                name=path.parent.name,
                method=told["method"],
                dataset=_dataset(told["dataset"], told["root"], settings, dataset),
                spaces={name: _space(told["method"], space) for name, space in told["spaces"].items()},
                options=_options(told["options"], settings),
                trials=int(told["trials"]),
                settings=settings,
                strategy=Strategy.from_dict(told["strategy"]),
                loans=tuple(Loan(**loan) for loan in told["loans"]),
                portfolio=tuple(told.get("portfolio", ())),
                max_concurrent=told["max_concurrent"],
                cpus_per_trial=told["cpus_per_trial"],
                gpus_per_trial=told["gpus_per_trial"],
                time_budget=told["time_budget"],
                keep=int(told["keep"]),
                checkpoint_minutes=float(told.get("checkpoint_minutes", CHECKPOINT_MINUTES)),
                gpu_hours=told["gpu_hours"],
                command=str(told.get("command", "")),
                group=str(told.get("group", "")),
                group_id=str(told.get("group_id", "")),
            )
            return cls(
                plan=plan,
                data={name: DataDigests(**digests) for name, digests in told["data"].items()},
                run_key=str(told["run_key"]),
                created=float(told["created"]),
                zoo=str(told["zoo"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, KdzooError):
                raise
            raise SweepError(
                f"the plan '{path}' is damaged: {type(error).__name__}: {error}",
                hint="start the sweep anew under another --name",
            ) from error

    def differences(self, plan: SweepPlan, data: Mapping[str, DataDigests]) -> list[str]:
        """In what another plan is not this one, as lines; more trials than before are no difference.

        Args:
            plan: what is asked for now.
            data: the digests of the data as it is now.
        """
        before, now = (_flat(_decisive(*each)) for each in ((self.plan, self.data), (plan, data)))
        if plan.trials >= self.plan.trials:
            before["trials"] = now["trials"]
        return [
            f"{key} is {now.get(key, _MISSING)}, was {before.get(key, _MISSING)}"
            for key in dict.fromkeys((*before, *now))
            if before.get(key, _MISSING) != now.get(key, _MISSING)
        ]

    def check(self, plan: SweepPlan, data: Mapping[str, DataDigests]) -> None:
        """Refuses another plan.

        Raises:
            SweepError: naming what differs.
        """
        found = self.differences(plan, data)
        if found:
            more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
            raise SweepError(
                f"the sweep '{plan.name}' cannot go on with another plan: {'; '.join(found[:_TOLD])}{more}",
                hint=f"resume it as it was with `kdzoo sweep --resume {plan.name}`, or start one of another --name",
            )


def read_plan(path: Path) -> dict[str, Any]:
    """The plan as plain values, without opening its data set.

    Raises:
        SweepError: there is none, or it is damaged or of another kdzoo.
    """
    name = path.parent.name
    try:
        told = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise SweepError(
            f"there is no sweep '{name}' that could be resumed", hint="`kdzoo sweep list` shows the sweeps"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise SweepError(f"cannot read the plan '{path}': {error}", hint="restore the file from a copy") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        found = told.get("schema") if isinstance(told, dict) else type(told).__name__
        raise SweepError(f"the plan '{path}' is of schema {found!r}, expected '{SCHEMA}'", hint="update kdzoo")
    return told


def _decisive(plan: SweepPlan, data: Mapping[str, DataDigests]) -> dict[str, Any]:
    """What decides the outcome of the sweep's trials, and so may not change between its parts."""
    return {
        "method": plan.method,
        "dataset": plan.dataset.name,
        "trials": plan.trials,
        "options": plan.options.as_dict(),
        "strategy": plan.strategy.as_dict(),
        "data": {name: digests.as_dict() for name, digests in data.items()},
        "spaces": {name: _space_values(space) for name, space in plan.spaces.items()},
    }


def _space_values(space: SearchSpace) -> dict[str, Any]:
    return {
        "defaults": space.defaults.as_dict(),
        # In a list: the order in which knobs are drawn counts, too.
        "dimensions": [{"key": key, **asdict(dimension)} for key, dimension in space.dimensions.items()],
        "foreground": space.foreground,
    }


def _space(method: str, values: dict[str, Any]) -> SearchSpace:
    dimensions = {}
    for described in values["dimensions"]:
        given = dict(described)
        key = str(given.pop("key"))
        conditions = tuple(Condition(**{**each, "values": tuple(each["values"])}) for each in given.pop("when"))
        choices = tuple(given.pop("choices"))
        dimensions[key] = Dimension(**given, choices=choices, when=conditions)
    defaults = find_method(method).config.from_mapping(values["defaults"])
    return SearchSpace(method=method, defaults=defaults, dimensions=dimensions, foreground=values["foreground"])


def _options(values: dict[str, Any], settings: Settings) -> RunOptions:
    """The run's options. An earlier kdzoo wrote a hub's teacher without the tag of its weights."""
    options = RunOptions.from_record(values)
    return options.replace(teacher=full_name(options.teacher, teachers=LocalTeachers.of(settings)))


def moved_home(place: str, home: str | None, settings: Settings) -> str:
    """A place that a plan names, where the home that it lay in was moved since.

    Args:
        place: a path, or an address, which stays as it is.
        home: the home that the plan was written in; None where an earlier kdzoo wrote it.
        settings: with the home of now.
    """
    if home is None or not Path(place).is_relative_to(home) or not Path(home).is_absolute():
        return place
    return str(settings.home / Path(place).relative_to(home))


def _dataset(name: str, root: str, settings: Settings, now: str | Dataset | None) -> Dataset:
    """Opens the data set: where it is said to be now, else by its name where that is known here, else where it was.

    Raises:
        DatasetNotFoundError: it is no longer where it was.
        DatasetError: it cannot be read.
    """
    if now is not None:
        found = now if isinstance(now, Dataset) else open_dataset(now, settings)
        return replace(found, info=replace(found.info, name=name))
    known = name == "demo" or name in registered(settings)
    in_place = name in CATALOG and not Path(root).is_dir()
    try:
        return open_dataset(name if known or in_place else root, settings)
    except DatasetNotFoundError as error:
        raise DatasetNotFoundError(
            error.message, hint=f"where is the data set '{name}' now? --dataset PATH, beside --resume"
        ) from error


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings as dotted keys, with JSON's own types, so that a tuple equals the list that was read."""
    if isinstance(values, list) and values and all(isinstance(each, dict) and "key" in each for each in values):
        values = {each["key"]: {**each, "place": place} for place, each in enumerate(values)}
    if not isinstance(values, dict):
        return {prefix: json.loads(json.dumps(values))}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat
