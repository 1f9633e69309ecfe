"""Which knobs of a space matter: parents before children, and conditions on what is fixed judged once and for all.

A knob matters when every knob that its conditions name matters and is as the condition says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kdzoo.errors import SearchSpaceError
from kdzoo.methods.config import MethodConfig
from kdzoo.search.space.dimension import Dimension


def settled(
    dimensions: Mapping[str, Dimension], defaults: MethodConfig, where: Callable[[str], str]
) -> dict[str, Dimension]:
    """The knobs that can matter, each after those that its conditions name.

    A knob that is not in the space has its default's value: a condition on it holds always, and is left out, or never,
    and the knob under it is left out with all knobs under that.

    Args:
        dimensions: the knobs.
        defaults: the values of all others.
        where: file and line of a knob, for errors.

    Raises:
        SearchSpaceError: conditions in a circle, or one that no value of the other knob's range meets.
    """
    kept: dict[str, Dimension] = {}
    for key in _parents_first(dimensions, where):
        dimension = dimensions[key]
        inside = [condition for condition in dimension.when if condition.key in dimensions]
        outside = [condition for condition in dimension.when if condition.key not in dimensions]
        for condition in inside:
            parent = dimensions[condition.key]
            if not parent.meeting(condition):
                raise SearchSpaceError(
                    f"{where(key)}: '{key}' would never be tried: '{condition.key}' is {parent}, never {condition}",
                    hint=f"change the condition or the range of '{condition.key}'",
                )
        possible = all(condition.holds(getattr(defaults, condition.key)) for condition in outside)
        if possible and all(condition.key in kept for condition in inside):
            kept[key] = replace(dimension, when=tuple(inside))
    return kept


def activating(dimensions: Mapping[str, Dimension], key: str) -> dict[str, Any]:
    """Values of other knobs under which a knob of a settled space matters."""
    values: dict[str, Any] = {}
    for condition in dimensions[key].when:
        values |= activating(dimensions, condition.key)
        values[condition.key] = dimensions[condition.key].meeting(condition)[0]
    return values


def _parents_first(dimensions: Mapping[str, Dimension], where: Callable[[str], str]) -> list[str]:
    """The knobs in the file's order, except that what a condition names comes before."""
    placed: list[str] = []

    def place(key: str, path: tuple[str, ...]) -> None:
        if key in path:
            circle = " -> ".join((*path[path.index(key) :], key))
            raise SearchSpaceError(
                f"{where(key)}: the conditions go in a circle: {circle}", hint="let one of these knobs stand alone"
            )
        if key in placed or key not in dimensions:
            return
        for condition in dimensions[key].when:
            place(condition.key, (*path, key))
        placed.append(key)

    for key in dimensions:
        place(key, ())
    return placed
