"""For which categories first stages are kept for other trials: where trials of the sweep can have the same one."""

from __future__ import annotations

from kdzoo.methods.registry import build_method
from kdzoo.search.record.plan import SweepPlan
from kdzoo.search.space.dimension import Dimension
from kdzoo.search.space.space import SearchSpace
from kdzoo.teachers.backbone import Teacher
from kdzoo.training.stage_results import sharable
from kdzoo.training.without_init import WithoutRandomInit

MOST_KEPT = 4
"""Results a category; those that were used last stay."""


def kept_stages(plan: SweepPlan, teacher: Teacher) -> dict[str, int]:
    """Category to how many results of first stages its trials keep for each other.

    None where no two trials are to be expected to share one: the method has one stage, there is one trial, or a knob
    of the first stage is drawn from a continuous range.

    Args:
        plan: the sweep.
        teacher: its backbone.
    """
    found: dict[str, int] = {}
    for space in plan.spaces.values():
        # Most categories share a space, and building a model takes a moment.
        key = _key(space)
        if key not in found:
            found[key] = min(_first_stages(space, teacher), MOST_KEPT) if plan.trials > 1 else 0
    return {category: found[_key(space)] for category, space in plan.spaces.items()}


def _key(space: SearchSpace) -> str:
    return repr((space.defaults, space.dimensions))


def _first_stages(space: SearchSpace, teacher: Teacher) -> int:
    """How many different first stages a space has; 0 for more than can be counted, or where none can be shared."""
    with WithoutRandomInit():
        stages = list(build_method(space.method, space.config(space.start()), teacher).stages())
    if not sharable(stages):
        return 0
    count = 1
    for key, dimension in space.dimensions.items():
        if key not in stages[0].untouched_by:
            count *= _values(dimension)
    return count


def _values(dimension: Dimension) -> int:
    """How many values a knob can have; 0 for a continuous one."""
    if dimension.kind == "categorical":
        return len(dimension.choices)
    step = dimension.step or (1 if dimension.kind == "int" else None)
    return 0 if step is None else round((dimension.high - dimension.low) / step) + 1
