"""Checks of what stands in a space file; each error names the file, the line and the nearest valid name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeGuard, get_args, get_origin

from kdzoo.errors import ConfigError, SearchSpaceError, nearest
from kdzoo.methods.config import MethodConfig
from kdzoo.search.space.yaml_lines import Section


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
        problem = f"unknown {what} '{name}'{meant(nearest(name, names))}"
        raise space_error(section, name, problem, f"valid: {', '.join(names)}")


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
            raise space_error(section, name, error.message, error.hint) from error


def field_kind(annotation: Any) -> str:
    """``int`` or ``float``, else words for what the field takes."""
    if annotation in (int, float):
        return str(annotation.__name__)
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return "a choice of " + ", ".join(map(str, choices)) if choices else "no number"


def is_number(value: Any) -> TypeGuard[float]:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def meant(near: str | None) -> str:
    """The end of a message: a suggestion, where there is one."""
    return f"; did you mean '{near}'?" if near else ""


def space_error(section: Section, key: str, problem: str, hint: str | None = None) -> SearchSpaceError:
    """An error at the line of a section's key."""
    return SearchSpaceError(f"{section.where(key)}: {problem}", hint=hint)


def _in_bounds(config: type[MethodConfig], key: str, value: Any) -> bool:
    """Whether a number is of the field's type and within the field's own range."""
    if not is_number(value):
        return False
    if field_kind(config.field_type(key)) == "int" and not float(value).is_integer():
        return False
    low, high, above = config.bounds(key)
    return (low is None or value >= low) and (high is None or value <= high) and (above is None or value > above)
