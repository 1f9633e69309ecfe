"""Which pictures there are, under which names."""

from __future__ import annotations

from collections.abc import Mapping

from house.building import building, whole
from house.imports import Module
from house.picture import draw

_NOTE = "A room uses what lies on lower floors only"
_WHOLE = f"{_NOTE}, and stands right below the lowest one that uses it."
_INSIDE = f"{_NOTE}. In each room its files, likewise: those above use those below."


def pictures(house: Mapping[str, Module]) -> dict[str, str]:
    """The text of each SVG file, by its name.

    Args:
        house: all modules.

    Raises:
        ValueError: rooms use each other in a circle.
    """
    inside = {"registry": "zoo_registry", "search": "kdzoo.search", "data": "kdzoo.data"}
    return {
        "house.svg": draw(building(house, "kdzoo", inside=False), _WHOLE, whole(house, "zoo_registry")),
        **{f"house-{key}.svg": draw(building(house, name, inside=True), _INSIDE) for key, name in inside.items()},
    }
