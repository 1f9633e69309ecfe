"""Configurations compared over categories, by their ranks within each: values of two categories do not compare."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from statistics import fmean
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def ranks_within(reached: Mapping[Key, float | None]) -> dict[Key, float]:
    """The ranks of what was tried in one category, as shares: 0 for the best, 1 for the worst.

    Args:
        reached: a configuration to its value, of which higher is better; None is worse than any.

    Returns:
        The same keys; equal values share the mean of their ranks, and one alone has 0.5.
    """
    ordered = sorted(reached, key=lambda key: -_value(reached[key]))
    if len(ordered) == 1:
        return {ordered[0]: 0.5}
    places: dict[float, list[int]] = {}
    for place, key in enumerate(ordered):
        places.setdefault(_value(reached[key]), []).append(place)
    return {key: fmean(places[_value(reached[key])]) / (len(ordered) - 1) for key in ordered}


def mean_ranks(table: Mapping[str, Mapping[Key, float | None]]) -> dict[Key, float]:
    """The mean of each configuration's ranks over the categories that tried it, 0 for the best of all everywhere.

    Args:
        table: category to what its configurations reached.
    """
    found: dict[Key, list[float]] = {}
    for reached in table.values():
        for key, rank in ranks_within(reached).items():
            found.setdefault(key, []).append(rank)
    return {key: fmean(ranks) for key, ranks in found.items()}


def portfolio(table: Mapping[str, Mapping[Key, float | None]], size: int, *, beside: Iterable[Key] = ()) -> list[Key]:
    """A few configurations of which one is good in each category: what a new sweep should try first.

    Greedy: each is the one that lowers most the mean over the categories of the best rank that the chosen ones have
    there. A configuration that a category never tried is taken to be middling in it.

    Args:
        table: category to what its configurations reached.
        size: at most so many.
        beside: what is tried in any case.

    Returns:
        In order of use; fewer where one more would lower nothing.
    """
    ranks = {category: ranks_within(reached) for category, reached in table.items() if reached}
    left = list(dict.fromkeys(key for reached in ranks.values() for key in reached))
    known = set(beside)
    best = {name: min([0.5, *(rank for key, rank in its.items() if key in known)]) for name, its in ranks.items()}
    left = [key for key in left if key not in known]
    chosen: list[Key] = []
    while left and len(chosen) < size:
        gains = [sum(max(0.0, best[name] - ranks[name].get(key, 0.5)) for name in ranks) for key in left]
        top = max(range(len(left)), key=lambda place: (gains[place], -place))
        if gains[top] <= 0.0:
            break
        key = left.pop(top)
        chosen.append(key)
        best = {name: min(best[name], ranks[name].get(key, 0.5)) for name in ranks}
    return chosen


def wins(table: Mapping[str, Mapping[Key, float | None]], one: Key, other: Key) -> list[bool]:
    """In which of the categories that tried both one of two configurations was at least as good as the other."""
    both = [reached for reached in table.values() if one in reached and other in reached]
    return [_value(reached[one]) >= _value(reached[other]) for reached in both]


def _value(reached: float | None) -> float:
    return float("-inf") if reached is None else reached
