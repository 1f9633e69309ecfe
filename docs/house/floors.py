"""Rooms and floors: siblings of one package, each above all that it uses. Where that cannot be, there is a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from house.imports import Module

Graph = Mapping[str, frozenset[str]]
"""Of each thing, what it uses."""

FRONT_DOOR = "__init__"
"""What a package's own ``__init__.py`` is called among its rooms."""


@dataclass(frozen=True, kw_only=True)
class Room:
    """A module or a package as one of its parent's rooms.

    Args:
        name: its dotted name; the front door of ``kdzoo`` is ``kdzoo.__init__``.
        purpose: the first line of its docstring.
        modules: the names of its modules, a package's ``__init__.py`` included.
        files: how many Python files these are.
        lines: their lines.
        is_package: whether it is a folder.
    """

    name: str
    purpose: str
    modules: tuple[str, ...]
    files: int
    lines: int
    is_package: bool

    @property
    def label(self) -> str:
        """The last part of its name."""
        return self.name.rpartition(".")[2]


def module_graph(house: Mapping[str, Module]) -> Graph:
    """What each module imports, in whatever way."""
    return {name: frozenset(one.used for one in module.imports) for name, module in house.items()}


def packages(house: Mapping[str, Module]) -> list[str]:
    """The names of all packages, parents first."""
    return [name for name, module in house.items() if module.is_package]


def rooms(house: Mapping[str, Module], parent: str) -> list[Room]:
    """What lies directly in the package ``parent``, its front door first, then by name."""
    inside = [name for name in house if name.startswith(f"{parent}.")]
    names = dict.fromkeys(f"{parent}.{name[len(parent) + 1 :].partition('.')[0]}" for name in inside)
    return [_front_door(house[parent]), *(room(house, name) for name in names)]


def room(house: Mapping[str, Module], name: str) -> Room:
    """The module or package ``name``, all that lies in it included."""
    inside = [house[other] for other in house if other == name or other.startswith(f"{name}.")]
    return Room(
        name=name,
        purpose=house[name].purpose,
        modules=tuple(module.name for module in inside),
        files=len(inside),
        lines=sum(module.lines for module in inside),
        is_package=house[name].is_package,
    )


def room_graph(house: Mapping[str, Module], parent: str) -> Graph:
    """Of each room of ``parent``, by name, the rooms beside it whose modules its own import."""
    beside = rooms(house, parent)
    room_of = {module: one.name for one in beside for module in one.modules}
    used: dict[str, set[str]] = {one.name: set() for one in beside}
    for module, name in room_of.items():
        used[name].update(room_of[one.used] for one in house[module].imports if one.used in room_of)
    return {name: frozenset(others - {name}) for name, others in used.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Groups of things that use each other, directly or by way of others.

    A thing stands in a circle with all that it reaches and that reach it. All is in order of name.
    """
    below = {name: _reached(graph, name) for name in graph}
    groups = {frozenset(other for other in below[name] if name in below[other]) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def floors(graph: Graph) -> list[list[str]]:
    """The floors from the top down, each by name: a thing stands right below the lowest that uses it.

    What nobody uses stands at the top, so that the way in is there, and tools lie within reach of those they serve.

    Raises:
        ValueError: the graph has a circle.
    """
    if found := circles(graph):
        raise ValueError(f"no floors can be drawn, these use each other: {found}")
    left = set(graph)
    stack: list[list[str]] = []
    while left:
        used = {name for user in left for name in graph[user]}
        stack.append(sorted(left - used))
        left &= used
    return stack


def longest_chain(graph: Graph, names: Iterable[str]) -> int | None:
    """How many of ``names`` import each other in a row at most, or None where some do so in a circle."""
    inside = frozenset(names)
    part = {name: graph[name] & inside for name in inside}
    return None if circles(part) else len(floors(part))


def _front_door(package: Module) -> Room:
    return Room(
        name=f"{package.name}.{FRONT_DOOR}",
        purpose=package.purpose,
        modules=(package.name,),
        files=1,
        lines=package.lines,
        is_package=False,
    )


def _reached(graph: Graph, start: str) -> frozenset[str]:
    """All that ``start`` uses, directly or by way of others; itself only if a circle leads back."""
    found: set[str] = set()
    left = set(graph[start])
    while left:
        name = left.pop()
        found.add(name)
        left.update(graph[name] - found)
    return frozenset(found)
