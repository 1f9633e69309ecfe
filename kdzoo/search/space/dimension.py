"""One knob of a search space: its range, and how it is read from a space file and checked against the method."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from kdzoo.errors import nearest
from kdzoo.methods.config import MethodConfig
from kdzoo.search.space.checks import check_value, field_kind, is_number, known_keys, meant, space_error
from kdzoo.search.space.condition import Condition, read_conditions
from kdzoo.search.space.yaml_lines import Section

Kind = Literal["float", "int", "categorical"]
_KEYS: dict[str, tuple[str, ...]] = {
    "float": ("type", "low", "high", "log", "step", "when"),
    "int": ("type", "low", "high", "log", "step", "when"),
    "categorical": ("type", "choices", "when"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Dimension:
    """One knob of a space.

    Attributes:
        kind: ``float``, ``int`` or ``categorical``.
        low: least value of a number.
        high: largest value of a number; of a stepped one, a whole number of steps above ``low``.
        log: whether equal ratios are equally likely.
        step: spacing of a number's values.
        choices: values of a categorical.
        when: conditions on other knobs, all of which must hold for this one to matter.
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    when: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        if self.kind == "categorical":
            return "one of " + ", ".join(map(str, self.choices))
        extra = (", log" if self.log else "") + (f", step {self.step:g}" if self.step else "")
        return f"{self.kind} {self.low:g} to {self.high:g}{extra}"

    @property
    def ends(self) -> tuple[Any, Any]:
        """The least and the largest value; of a categorical of anything but numbers, the first and the last."""
        if self.kind != "categorical":
            return self.low, self.high
        if all(isinstance(choice, int | float) for choice in self.choices):
            return min(self.choices), max(self.choices)
        return self.choices[0], self.choices[-1]

    def meeting(self, condition: Condition) -> list[Any]:
        """A value of the range under which a condition on this knob holds, in a list; an empty one if none does.

        A single value of a float without steps is hit by chance alone: that counts as never.
        """
        if self.kind == "categorical":
            return [value for value in self.choices if condition.holds(value)][:1]
        continuous = self.kind == "float" and self.step is None
        if condition.values:
            near = [] if continuous else [self.closest(value) for value in condition.values if is_number(value)]
            return [value for value in near if condition.holds(value)][:1]
        if continuous:
            low = self.low if condition.above is None else max(self.low, condition.above)
            high = self.high if condition.below is None else min(self.high, condition.below)
            inside = [self.high, self.low, (low + high) / 2]
        else:
            step = self.step or 1
            # The first value above the bound; rounding may have put it on the bound itself, hence the next one too.
            steps = 0 if condition.above is None else max(0, math.floor((condition.above - self.low) / step))
            inside = [self.high, *(self.closest(self.low + (steps + more) * step) for more in range(3))]
        return [value for value in inside if self.low <= value <= self.high and condition.holds(value)][:1]

    def closest(self, value: Any) -> Any:
        """The value of the range that is closest to another; of a categorical that lacks it, the first choice."""
        if self.kind == "categorical":
            return value if value in self.choices else self.choices[0]
        inside = min(max(value, self.low), self.high)
        if self.step is not None:
            inside = min(self.low + round((inside - self.low) / self.step) * self.step, self.high)
        return round(inside) if self.kind == "int" else float(inside)

    def distance(self, one: Any, other: Any) -> float:
        """How far two values are from each other, as a share of the range; of a categorical 0 or 1."""
        if self.kind == "categorical":
            return float(one != other)
        if self.low == self.high:
            return 0.0
        scale = math.log if self.log else float
        return abs(scale(one) - scale(other)) / (scale(self.high) - scale(self.low))


def read_dimension(described: Section, key: str, config: type[MethodConfig]) -> Dimension:
    """Reads one knob of a space file.

    Args:
        described: what the file says of it.
        key: the knob, a field of the method's configuration.
        config: the method's configuration.

    Raises:
        SearchSpaceError: naming file, line and key.
    """
    kind = described.get("type")
    if not isinstance(kind, str) or kind not in _KEYS:
        near = nearest(str(kind), _KEYS)
        raise space_error(
            described, "type", f"type of '{key}' is {kind!r}, expected float, int or categorical" + meant(near)
        )
    known_keys(described, _KEYS[kind])
    when = read_conditions(described, key, config)
    if kind == "categorical":
        return replace(_categorical(described, key, config), when=when)
    return replace(_number(described, key, cast(Kind, kind), config), when=when)


def _number(described: Section, key: str, kind: Kind, config: type[MethodConfig]) -> Dimension:
    low, high = (_end(described, name, key, kind, config) for name in ("low", "high"))
    wanted = field_kind(config.field_type(key))
    if wanted != kind and not (wanted == "float" and kind == "int"):
        raise space_error(described, "type", f"'{key}' is {wanted}, so its type cannot be {kind}")
    if low > high:
        raise space_error(described, "low", f"'{key}' has low {low} above high {high}")
    log, step = described.get("log"), described.get("step")
    if not isinstance(log, bool | None):
        raise space_error(described, "log", f"'log' of '{key}' must be true or false, got {log!r}")
    if log and low <= 0:
        raise space_error(described, "low", f"'{key}' has a log scale, so low must be above 0, got {low}")
    if step is None:
        return Dimension(kind=kind, low=low, high=high, log=bool(log))
    if not is_number(step) or step <= 0 or log:
        problem = f"'step' of '{key}' must be a number above 0, and there is none on a log scale"
        raise space_error(described, "step", problem)
    if kind == "int" and not float(step).is_integer():
        raise space_error(described, "step", f"'step' of '{key}' must be a whole number, got {step!r}")
    # The last whole step; the tolerance makes 0 to 1 by 0.1 end at 1.
    last = low + math.floor((high - low) / step + 1e-9) * step
    return Dimension(kind=kind, low=low, high=min(last, high), step=step)


def _end(described: Section, name: str, key: str, kind: Kind, config: type[MethodConfig]) -> float:
    value = described.get(name)
    if not is_number(value):
        raise space_error(described, name, f"'{name}' of '{key}' must be a number, got {value!r}")
    if kind == "int" and not float(value).is_integer():
        raise space_error(described, name, f"'{name}' of '{key}' must be a whole number, got {value!r}")
    check_value(described, name, key, value, config)
    return value


def _categorical(described: Section, key: str, config: type[MethodConfig]) -> Dimension:
    choices = described.get("choices")
    if not isinstance(choices, list) or not choices:
        raise space_error(described, "choices", f"'choices' of '{key}' must be a list of values")
    for number, choice in enumerate(choices):
        if isinstance(choice, list | dict):
            raise space_error(described, "choices", f"a choice of '{key}' must be a plain value")
        if choice in choices[:number]:
            raise space_error(described, "choices", f"'{key}' has the choice {choice!r} twice")
        check_value(described, "choices", key, choice, config)
    return Dimension(kind="categorical", choices=tuple(choices))
