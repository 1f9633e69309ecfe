"""What a picture of one package shows: its floors, the rooms on them, and what is said of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from house.floors import FRONT_DOOR, Room, floors, room, room_graph, rooms
from house.imports import Module

_CLOSET = 10
"""Files of fewer lines are not drawn: the version, the program's entry."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One room as it is drawn.

    Args:
        label: a folder's ends with a stroke, a file's with ``.py``.
        size: its files and about how many lines.
        purpose: what it is for.
        uses: names of the rooms beside it that its modules import.
        outside: names of the house's top rooms elsewhere that they import.
        inside: labels of its own rooms, by floor from the top down; nothing for a file.
    """

    label: str
    size: str
    purpose: str
    uses: tuple[str, ...]
    outside: tuple[str, ...]
    inside: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Building:
    """One package.

    Args:
        title: its dotted name.
        size: as of a room.
        purpose: what it is for.
        floors: its rooms, by floor from the top down.
    """

    title: str
    size: str
    purpose: str
    floors: tuple[tuple[Shown, ...], ...]


def building(house: Mapping[str, Module], name: str, *, inside: bool) -> Building:
    """The package ``name``.

    Args:
        house: all modules.
        name: dotted name of a package.
        inside: whether its rooms show what is in them.
    """
    beside = {one.name: one for one in rooms(house, name) if one.lines >= _CLOSET}
    graph = room_graph(house, name)
    shown = {key: _shown(house, one, graph[key] & beside.keys(), name, inside) for key, one in beside.items()}
    all_of_it = room(house, name)
    return Building(
        title=name,
        size=_size(all_of_it.files, all_of_it.lines),
        purpose=_sentence(_plain(house[name].purpose).removeprefix(f"{name}: ")),
        floors=tuple(tuple(shown[key] for key in floor) for floor in _drawn_floors(house, name)),
    )


def whole(house: Mapping[str, Module], name: str) -> Shown:
    """The package ``name`` as one room, with its own rooms in it."""
    return _shown(house, room(house, name), frozenset(), name, True)


def _drawn_floors(house: Mapping[str, Module], parent: str) -> list[list[str]]:
    """The floors of ``parent`` without closets, and without an ``__init__.py`` that is a docstring alone."""
    large = {one.name for one in rooms(house, parent) if one.lines >= _CLOSET}
    graph = {name: used & large for name, used in room_graph(house, parent).items() if name in large}
    return floors(graph)


def _shown(house: Mapping[str, Module], one: Room, uses: frozenset[str], parent: str, inside: bool) -> Shown:
    own = parent.split(".")
    imported = {each.used for module in one.modules for each in house[module].imports}
    tops = {_top(used) for used in imported if used.split(".")[: len(own)] != own}
    door = one.label == FRONT_DOOR
    return Shown(
        label=f"{one.label}/" if one.is_package else f"{one.label}.py",
        size=_size(one.files, one.lines),
        purpose=f"The front door: what import {parent} gives." if door else _plain(one.purpose),
        uses=tuple(sorted(name.rpartition(".")[2] for name in uses)),
        outside=tuple(sorted(top.rpartition(".")[2] for top in tops if room(house, top).lines >= _CLOSET)),
        inside=_inside(house, one.name) if inside and one.is_package else (),
    )


def _inside(house: Mapping[str, Module], name: str) -> tuple[tuple[str, ...], ...]:
    folders = {one.name for one in rooms(house, name) if one.is_package}
    stack = _drawn_floors(house, name)
    return tuple(tuple(key.rpartition(".")[2] + "/" * (key in folders) for key in floor) for floor in stack)


def _top(name: str) -> str:
    """The room that a module lies in as one sees the whole house: ``kdzoo.data`` or ``zoo_registry``."""
    parts = name.split(".")
    return ".".join(parts[:2] if parts[0] == "kdzoo" else parts[:1])


def _size(files: int, lines: int) -> str:
    """In hundreds of lines, so that a picture stays true while somebody mends a few."""
    many = f"{round(lines, -2):,} lines" if lines >= 100 else "under 100 lines"
    return f"{files} files, {many}" if files > 1 else many


def _plain(text: str) -> str:
    return text.replace("`", "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
