"""YAML that remembers lines: a search space is a person's file, and an error should say where.

Only what JSON can say is accepted: no tags, no anchors or aliases, no duplicate keys, nothing large.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from kdzoo.errors import SearchSpaceError

_LARGEST = 1 << 20
_DEEPEST = 20
_LARGEST_NUMBER = 1e300
_SCALARS = ("str", "int", "float", "bool", "null")


class Section(dict[str, Any]):
    """A mapping that knows the line each of its keys stands on, counted from 1."""

    def __init__(self, file: str, line: int) -> None:
        super().__init__()
        self.file, self.line = file, line
        self.lines: dict[str, int] = {}

    def where(self, key: str | None = None) -> str:
        """``file:line`` of a key, or of the section."""
        return f"{self.file}:{self.lines.get(key, self.line) if key else self.line}"


def read_yaml(path: Path) -> Section:
    """Reads a YAML mapping.

    Raises:
        SearchSpaceError: naming the file and the line.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise SearchSpaceError(f"'{path}' is larger than {_LARGEST} bytes, too large for a search space")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SearchSpaceError(f"cannot read the search space '{path}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SearchSpaceError(f"the search space '{path}' is not UTF-8 text") from error
    return parse_yaml(text, path.name)


def parse_yaml(text: str, file: str) -> Section:
    """Parses a YAML mapping; see `read_yaml`."""
    try:
        _check_events(text, file)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        raise _error(file, error.problem_mark, error.problem or "not valid YAML") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SearchSpaceError(f"{file}:{line}: the character #x{error.character:04x} is not allowed") from error
    if not isinstance(root, yaml.MappingNode):
        raise SearchSpaceError(f"{file}:1: expected a mapping of keys to values")
    section: Section = _value(root, file)
    return section


def _check_events(text: str, file: str) -> None:
    """Refuses what could grow or nest without bounds before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _error(file, event.start_mark, "anchors and aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise _error(file, event.start_mark, "nested too deeply")


def _value(node: yaml.Node, file: str) -> Any:
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _section(node, file)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_value(item, file) for item in node.value]
    if isinstance(node, yaml.ScalarNode) and kind in _SCALARS:
        return _scalar(node, file)
    raise _error(file, node.start_mark, f"a value of type {kind} is not allowed")


def _section(node: yaml.MappingNode, file: str) -> Section:
    section = Section(file, node.start_mark.line + 1)
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise _error(file, key_node.start_mark, "a key must be plain text")
        key = str(key_node.value)
        if key in section:
            raise _error(file, key_node.start_mark, f"the key '{key}' stands here twice")
        section.lines[key] = key_node.start_mark.line + 1
        section[key] = _value(value_node, file)
    return section


def _scalar(node: yaml.ScalarNode, file: str) -> Any:
    try:
        value = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, LookupError) as error:
        raise _error(file, node.start_mark, "not a plain value") from error
    # YAML 1.1 reads 1e-3 as text, for want of a dot.
    if isinstance(value, str) and node.style is None:
        try:
            value = float(value)
        except ValueError:
            return value
    if isinstance(value, float) and not math.isfinite(value):
        raise _error(file, node.start_mark, f"{node.value} is not a finite number")
    if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
        raise _error(file, node.start_mark, "a number this large is not allowed")
    return value


def _error(file: str, mark: Any, problem: str) -> SearchSpaceError:
    line = f":{mark.line + 1}" if mark is not None else ""
    return SearchSpaceError(f"{file}{line}: {problem}")
