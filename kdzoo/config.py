"""Frozen, checked configuration: a field knows its range, a mapping with a typo is an error that says so.

A configuration is a frozen keyword-only dataclass that inherits `Config`. Its fields are made with `knob`, which
holds the range and one line of help; `Config` checks every value on construction, without torch.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, Union, get_args, get_origin

from kdzoo.errors import ConfigError, nearest


def knob(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
) -> Any:
    """A configuration field.

    Args:
        default: the published value.
        help: one line on what it does.
        low: smallest allowed value.
        high: largest allowed value.
        above: bound that the value must exceed.
    """
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "above": above})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Base of all configurations; checks types and ranges on construction.

    Raises:
        ConfigError: naming the key, the value and what is allowed.
    """

    def __post_init__(self) -> None:
        hints = _hints(type(self))
        for field in dataclasses.fields(self):
            value = _checked(type(self).__name__, field.name, getattr(self, field.name), hints[field.name])
            object.__setattr__(self, field.name, value)
            _check_range(field, value)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Builds the configuration; missing keys keep their defaults.

        Args:
            values: key to value; a value may be a string as typed on a command line.
            where: named in the error, such as a file's name.

        Raises:
            ConfigError: an unknown key (with the nearest valid one) or a value out of range.
        """
        known = _hints(cls)
        for key in values:
            if key not in known:
                near = nearest(str(key), known)
                named = f"{where}: unknown key '{key}'" if where else f"unknown key '{key}'"
                raise ConfigError(
                    named + (f"; did you mean '{near}'?" if near else ""),
                    hint=f"valid keys: {', '.join(known)}",
                )
        return cls(**{key: parse_value(value, known[key]) for key, value in values.items()})

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, checked like any other."""
        return type(self).from_mapping({**self.as_dict(), **changes})

    def part(self, kind: type[Config]) -> dict[str, Any]:
        """The values of the fields that it has from a class it inherits, for another configuration with that class."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(kind)}

    def as_dict(self) -> dict[str, Any]:
        """Key to value, ready for JSON (tuples become lists)."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def field_type(cls, key: str) -> Any:
        """The annotated type of a field."""
        return _hints(cls)[key]

    @classmethod
    def bounds(cls, key: str) -> tuple[float | None, float | None, float | None]:
        """A field's ``(low, high, above)``."""
        meta = cls.__dataclass_fields__[key].metadata
        return meta.get("low"), meta.get("high"), meta.get("above")


def _hints(cls: type) -> dict[str, Any]:
    return _resolved_hints(typing.cast(Hashable, cls))


@functools.cache
def _resolved_hints(cls: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def parse_value(value: Any, kind: Any) -> Any:
    """Turns a command line's string into the field's type; other values pass through unchanged."""
    if not isinstance(value, str):
        return tuple(value) if isinstance(value, list) else value
    text = value.strip()
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if text.lower() in {"none", "null"} and type(None) in get_args(kind):
            return None
        return parse_value(value, next(arg for arg in get_args(kind) if arg is not type(None)))
    if origin is tuple:
        return tuple(parse_value(part, get_args(kind)[0]) for part in text.strip("()[]").split(",") if part.strip())
    if kind is bool and text.lower() in {"true", "false", "yes", "no", "1", "0"}:
        return text.lower() in {"true", "yes", "1"}
    for number in (int, float):
        if kind is number:
            try:
                return number(text)
            except ValueError:
                return value
    return value


def _checked(owner: str, key: str, value: Any, kind: Any) -> Any:
    """Checks one value's type; widens int to float where a float is asked for."""

    def fail(expected: str) -> ConfigError:
        return ConfigError(f"{owner}.{key}: expected {expected}, got {value!r}")

    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in get_args(kind):
            return None
        return _checked(owner, key, value, next(arg for arg in get_args(kind) if arg is not type(None)))
    if origin is Literal:
        if value not in get_args(kind):
            near = nearest(str(value), map(str, get_args(kind)))
            listed = ", ".join(map(str, get_args(kind)))
            raise fail(f"one of {listed}" + (f" (nearest: {near})" if near else ""))
        return value
    if origin is tuple:
        if not isinstance(value, tuple | list):
            raise fail("a list")
        args = get_args(kind)
        if Ellipsis not in args and len(value) != len(args):
            raise fail(f"{len(args)} values")
        return tuple(_checked(owner, key, item, args[0]) for item in value)
    if kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise fail("a number")
        try:
            widened = float(value)
        except OverflowError as error:
            raise fail("a number that fits a float") from error
        if not math.isfinite(widened):
            raise fail("a finite number")
        return widened
    if kind is int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise fail("a whole number")
        return value
    if isinstance(kind, type) and not isinstance(value, kind):
        raise fail(kind.__name__)
    return value


def _check_range(field: dataclasses.Field[Any], value: Any) -> None:
    meta = field.metadata
    low, high, above = meta.get("low"), meta.get("high"), meta.get("above")
    for item in value if isinstance(value, tuple) else (value,):
        if not isinstance(item, int | float) or isinstance(item, bool):
            continue
        too_low = (low is not None and item < low) or (above is not None and item <= above)
        if too_low or (high is not None and item > high):
            bounds = ((">=", low), (">", above), ("<=", high))
            allowed = ", ".join(f"{sign} {_plain(bound)}" for sign, bound in bounds if bound is not None)
            raise ConfigError(f"{field.name} = {item!r} is out of range", hint=f"allowed: {allowed}")


def _plain(bound: float) -> str:
    """A bound as a person would write it: no exponent and no fraction where it is whole."""
    return str(int(bound)) if float(bound).is_integer() else f"{bound:g}"
