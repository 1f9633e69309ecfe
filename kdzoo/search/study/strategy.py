"""How a sweep searches: which sampler, whose trial is next, what it is judged by, and what it begins with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self, get_args

from kdzoo.errors import UnknownNameError, UsageError
from kdzoo.metrics.names import OBJECTIVES
from kdzoo.search.study.samplers import check_sampler

Priority = Literal["fair", "worst-first"]
Direction = Literal["maximize", "minimize"]

COSTS: Final = ("latency_ms", "parameters", "checkpoint_mb")
"""Objectives of which lower is better: what a detector costs to use. Metrics are the others, of which higher is."""
MOST_SEEDS: Final = 10
MOST_FINALISTS: Final = 20


@dataclass(frozen=True, kw_only=True)
class Strategy:
    """How a sweep searches.

    Attributes:
        sampler: what draws configurations, by the name that `kdzoo.search.study.samplers` has for it.
        priority: whose trial is next: each category's in turn, or the worst one's.
        also: objectives beside the run's own, which alone chooses the champion and stops trials early.
        pool: whether half of a category's trials are of configurations that all categories try.
        warm_start: whether categories lend each other the configurations that did best.
        warm_from: earlier sweeps that lend their own as well.
        seeds: under which the best configurations are compared in the end, 1 to `MOST_SEEDS`; 1 for no final round.
        finalists: a category's configurations that are, beside the champion's, 1 to `MOST_FINALISTS`.

    Raises:
        UsageError: a value is not valid.
    """

    sampler: str = "tpe"
    priority: Priority = "fair"
    also: tuple[str, ...] = ()
    pool: bool = False
    warm_start: bool = True
    warm_from: tuple[str, ...] = ()
    seeds: int = 1
    finalists: int = 3

    def __post_init__(self) -> None:
        if self.priority not in get_args(Priority):
            raise UnknownNameError("priority", self.priority, get_args(Priority))
        for value, most, what in ((self.seeds, MOST_SEEDS, "seeds"), (self.finalists, MOST_FINALISTS, "finalists")):
            if not 1 <= value <= most:
                raise UsageError(f"{what} is {value}, not from 1 to {most}")
        for name in self.also:
            if name not in (*OBJECTIVES, *COSTS):
                raise UnknownNameError("objective", name, (*OBJECTIVES, *COSTS))
        check_sampler(self.sampler, objectives=1 + len(self.also))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "also": list(self.also), "warm_from": list(self.warm_from)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `as_dict`, checked like any other construction; also of what earlier versions wrote."""
        before = values.get("warm_from") or ()
        warm_from = (before,) if isinstance(before, str) else tuple(before)
        return cls(**{"pool": False, **values, "also": tuple(values["also"]), "warm_from": warm_from})

    def directions(self) -> tuple[Direction, ...]:
        """Of the run's own objective, and of each of `also`."""
        return ("maximize", *(direction(name) for name in self.also))


def direction(objective: str) -> Direction:
    """Which way an objective is better."""
    return "minimize" if objective in COSTS else "maximize"


def parse_objectives(text: str) -> tuple[str, tuple[str, ...]]:
    """The first objective of ``aupro,latency_ms``, and the others.

    Raises:
        UsageError: there is none, one stands there twice, or the first is no metric.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise UsageError(f"'{text}' names an empty objective", hint="for example --objective aupro,latency_ms")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the objective '{twice}' is given twice", hint="name each once")
    if names[0] in COSTS:
        raise UsageError(
            f"'{names[0]}' cannot be the first objective: the first chooses the champion and stops trials early",
            hint=f"put a metric before it, for example --objective {OBJECTIVES[0]},{names[0]}",
        )
    return names[0], tuple(names[1:])
