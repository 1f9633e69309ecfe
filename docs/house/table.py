"""The house as a table: how large each package is, how deep its imports go, and what circles there are."""

from __future__ import annotations

from collections.abc import Mapping

from house.floors import circles, floors, longest_chain, module_graph, packages, room, room_graph
from house.imports import Module

_HEAD = ("package", "files", "lines", "rooms", "floors", "longest chain", "circles")


def table(house: Mapping[str, Module]) -> str:
    """One line a package, then the circles by name.

    Rooms are what lies directly in a package; floors are counted among them, the longest chain among all its modules.
    """
    lines = [_HEAD, *(_line(house, name) for name in packages(house))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    rows = ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]
    return "\n".join([*rows, "", *_circles(house)])


def _line(house: Mapping[str, Module], name: str) -> tuple[str, ...]:
    graph, beside = module_graph(house), room_graph(house, name)
    one, found = room(house, name), circles(beside)
    chain = longest_chain(graph, one.modules)
    return (
        name,
        str(one.files),
        f"{one.lines:,}",
        str(len(beside)),
        "-" if found else str(len(floors(beside))),
        "-" if chain is None else str(chain),
        str(len(found)),
    )


def _circles(house: Mapping[str, Module]) -> list[str]:
    among_modules = circles(module_graph(house))
    among_rooms = {name: circles(room_graph(house, name)) for name in packages(house)}
    total = sum(map(len, among_rooms.values()))
    return [
        f"circles among modules: {len(among_modules)}",
        *(f"  {', '.join(group)}" for group in among_modules),
        f"circles among the rooms of a package: {total}",
        *(f"  in {name}: {', '.join(group)}" for name, groups in among_rooms.items() for group in groups),
    ]
