"""When a knob of a search space matters: conditions on other knobs, and how they are read from a space file.

In a space file, next to a knob's range::

    when: {push_weight: {above: 0}}        # a number above or below a bound, or between two
    when: {patch_grid: [2, 4]}             # one of some values
    when: {patch_grid: 2, push_weight: {above: 0, below: 1}}    # both must hold
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from kdzoo.methods.config import MethodConfig
from kdzoo.search.space.checks import check_value, field_kind, is_number, known_keys, known_name, space_error
from kdzoo.search.space.yaml_lines import Section

_BOUNDS = ("above", "below")


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """What another knob must be for a knob to matter.

    Attributes:
        key: the other knob.
        values: it must be one of these; empty when it is to lie between bounds.
        above: it must be larger than this, if given.
        below: it must be smaller than this, if given.
    """

    key: str
    values: tuple[Any, ...] = ()
    above: float | None = None
    below: float | None = None

    def __str__(self) -> str:
        if self.values:
            listed = ", ".join(map(str, self.values))
            return f"{self.key} = {listed}" if len(self.values) == 1 else f"{self.key} one of {listed}"
        bounds = [f"{sign} {bound:g}" for sign, bound in ((">", self.above), ("<", self.below)) if bound is not None]
        return f"{self.key} {' and '.join(bounds)}"

    def holds(self, value: Any) -> bool:
        """Whether the other knob's value is as it must be."""
        if self.values:
            return any(_same(value, wanted) for wanted in self.values)
        if not is_number(value):
            return False
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)

    def as_dict(self) -> dict[str, Any]:
        """As in a space file, without the key."""
        if self.values:
            return {"values": list(self.values)}
        return {name: bound for name in _BOUNDS if (bound := getattr(self, name)) is not None}


def read_conditions(described: Section, key: str, config: type[MethodConfig]) -> tuple[Condition, ...]:
    """Reads the ``when`` of a knob; none where there is none.

    Args:
        described: what the file says of the knob.
        key: the knob.
        config: the method's configuration.

    Raises:
        SearchSpaceError: naming file, line and key.
    """
    if "when" not in described:
        return ()
    when = described["when"]
    if not isinstance(when, Section) or not when:
        example = "{other_knob: {above: 0}}"
        raise space_error(described, "when", f"'when' of '{key}' must be a mapping such as {example}")
    return tuple(_condition(when, other, config) for other in when)


def _same(value: Any, wanted: Any) -> bool:
    """Equality; of numbers as near as the steps of a range are computed."""
    if is_number(value) and is_number(wanted):
        return math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12)
    return bool(value == wanted)


def _condition(when: Section, other: str, config: type[MethodConfig]) -> Condition:
    known_name(when, other, config.__dataclass_fields__, "key")
    wanted = when[other]
    if isinstance(wanted, Section):
        return _between(wanted, other, config)
    values = tuple(wanted) if isinstance(wanted, list) else (wanted,)
    if not values:
        raise space_error(when, other, f"no value of '{other}' is given", "give at least one, or leave the key out")
    for value in values:
        if isinstance(value, list | dict):
            raise space_error(when, other, f"a value of '{other}' must be a plain value")
        check_value(when, other, other, value, config)
    return Condition(key=other, values=values)


def _between(bounds: Section, other: str, config: type[MethodConfig]) -> Condition:
    known_keys(bounds, _BOUNDS)
    if field_kind(config.field_type(other)) not in ("int", "float"):
        raise space_error(bounds, "", f"'{other}' is no number, so it has no above or below", "list its values instead")
    given = {name: bounds[name] for name in _BOUNDS if name in bounds}
    if not given:
        raise space_error(bounds, "", f"the condition on '{other}' is empty", "for example {above: 0}")
    for name, bound in given.items():
        if not is_number(bound):
            raise space_error(bounds, name, f"'{name}' of '{other}' must be a number, got {bound!r}")
    if len(given) == len(_BOUNDS) and given["above"] >= given["below"]:
        raise space_error(bounds, "above", f"nothing is above {given['above']} and below {given['below']}")
    return Condition(key=other, above=given.get("above"), below=given.get("below"))
