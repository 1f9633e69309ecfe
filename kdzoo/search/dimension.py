"""One knob of a search space: its range, and how it is read from a space file and checked against the method."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, get_origin

from kdzoo.errors import ConfigError, SearchSpaceError, nearest
from kdzoo.methods.config import MethodConfig
from kdzoo.search.yaml_lines import Section

Kind = Literal["float", "int", "categorical"]
_KEYS: dict[str, tuple[str, ...]] = {
    "float": ("type", "low", "high", "log", "step"),
    "int": ("type", "low", "high", "log", "step"),
    "categorical": ("type", "choices"),
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
    """

    kind: Kind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

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

    def closest(self, value: Any) -> Any:
        """The value of the range that is closest to another; of a categorical that lacks it, the first choice."""
        if self.kind == "categorical":
            return value if value in self.choices else self.choices[0]
        inside = min(max(value, self.low), self.high)
        if self.step is not None:
            inside = min(self.low + round((inside - self.low) / self.step) * self.step, self.high)
        return round(inside) if self.kind == "int" else float(inside)


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
        raise _error(
            described, "type", f"type of '{key}' is {kind!r}, expected float, int or categorical" + _meant(near)
        )
    known_keys(described, _KEYS[kind])
    if kind == "categorical":
        return _categorical(described, key, config)
    return _number(described, key, cast(Kind, kind), config)


def known_keys(section: Section, known: tuple[str, ...]) -> None:
    """Checks that a section holds no other keys.

    Raises:
        SearchSpaceError: naming the line, the key and the nearest known one.
    """
    for key in section:
        known_name(section, key, known, "key")


def known_name(section: Section, name: str, known: Iterable[str], what: str) -> None:
    """Checks one key of a section against names that exist.

    Raises:
        SearchSpaceError: naming the line, the key and the nearest known name.
    """
    names = list(known)
    if name not in names:
        problem = f"unknown {what} '{name}'{_meant(nearest(name, names))}"
        raise _error(section, name, problem, f"valid: {', '.join(names)}")


def check_value(section: Section, name: str, key: str, value: Any, config: type[MethodConfig]) -> None:
    """Checks that a field of the method's configuration takes a value.

    A value that only disagrees with another field's default passes: that is judged over the whole space.

    Args:
        section: where the value stands.
        name: the section's key that it stands under.
        key: the field.
        value: what it is to be.
        config: the method's configuration.

    Raises:
        SearchSpaceError: naming file, line, key, value and what is allowed.
    """
    try:
        config.from_mapping({key: value})
    except ConfigError as error:
        if not _in_bounds(config, key, value):
            raise _error(section, name, error.message, error.hint) from error


def _number(described: Section, key: str, kind: Kind, config: type[MethodConfig]) -> Dimension:
    low, high = (_end(described, name, key, kind, config) for name in ("low", "high"))
    wanted = _kind(config.field_type(key))
    if wanted != kind and not (wanted == "float" and kind == "int"):
        raise _error(described, "type", f"'{key}' is {wanted}, so its type cannot be {kind}")
    if low > high:
        raise _error(described, "low", f"'{key}' has low {low} above high {high}")
    log, step = described.get("log"), described.get("step")
    if not isinstance(log, bool | None):
        raise _error(described, "log", f"'log' of '{key}' must be true or false, got {log!r}")
    if log and low <= 0:
        raise _error(described, "low", f"'{key}' has a log scale, so low must be above 0, got {low}")
    if step is None:
        return Dimension(kind=kind, low=low, high=high, log=bool(log))
    if isinstance(step, bool) or not isinstance(step, int | float) or step <= 0 or log:
        raise _error(described, "step", f"'step' of '{key}' must be a number above 0, and there is none on a log scale")
    if kind == "int" and not float(step).is_integer():
        raise _error(described, "step", f"'step' of '{key}' must be a whole number, got {step!r}")
    # The last whole step; the tolerance makes 0 to 1 by 0.1 end at 1.
    last = low + math.floor((high - low) / step + 1e-9) * step
    return Dimension(kind=kind, low=low, high=min(last, high), step=step)


def _end(described: Section, name: str, key: str, kind: Kind, config: type[MethodConfig]) -> float:
    value = described.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _error(described, name, f"'{name}' of '{key}' must be a number, got {value!r}")
    if kind == "int" and not float(value).is_integer():
        raise _error(described, name, f"'{name}' of '{key}' must be a whole number, got {value!r}")
    check_value(described, name, key, value, config)
    return value


def _categorical(described: Section, key: str, config: type[MethodConfig]) -> Dimension:
    choices = described.get("choices")
    if not isinstance(choices, list) or not choices:
        raise _error(described, "choices", f"'choices' of '{key}' must be a list of values")
    for number, choice in enumerate(choices):
        if isinstance(choice, list | dict):
            raise _error(described, "choices", f"a choice of '{key}' must be a plain value")
        if choice in choices[:number]:
            raise _error(described, "choices", f"'{key}' has the choice {choice!r} twice")
        check_value(described, "choices", key, choice, config)
    return Dimension(kind="categorical", choices=tuple(choices))


def _in_bounds(config: type[MethodConfig], key: str, value: Any) -> bool:
    """Whether a number is of the field's type and within the field's own range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if _kind(config.field_type(key)) == "int" and not float(value).is_integer():
        return False
    low, high, above = config.bounds(key)
    return (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)


def _kind(annotation: Any) -> str:
    if annotation in (int, float):
        return str(annotation.__name__)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return "a choice of " + ", ".join(map(str, choices)) if choices else "no number"


def _meant(near: str | None) -> str:
    return f"; did you mean '{near}'?" if near else ""


def _error(section: Section, key: str, problem: str, hint: str | None = None) -> SearchSpaceError:
    return SearchSpaceError(f"{section.where(key)}: {problem}", hint=hint)
