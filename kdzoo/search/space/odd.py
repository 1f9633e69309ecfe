"""What a valid space holds that its author may not have meant, as sentences for a person."""

from __future__ import annotations

from collections.abc import Mapping

from kdzoo.search.space.space import SearchSpace


def space_notes(spaces: Mapping[str, SearchSpace]) -> list[str]:
    """Notes on the spaces of a sweep, each once.

    Args:
        spaces: by category.
    """
    notes: dict[str, None] = {}
    for space in spaces.values():
        last, _ = space.defaults.last_epochs()
        for key, dimension in space.dimensions.items():
            one, other = dimension.ends
            if dimension.kind != "categorical" and one == other:
                why = f"its step of {dimension.step:g} leaves no other" if dimension.step else "its ends are the same"
                notes[f"'{key}' is searched, but {one:g} is its only value: {why}"] = None
            elif dimension.kind == "categorical" and len(dimension.choices) == 1:
                notes[f"'{key}' is searched, but has one choice, {dimension.choices[0]}"] = None
            if key == last and one != other:
                notes[
                    f"'{key}' is searched: trials are stopped early by comparing them after the same number of epochs, "
                    "which says little of a short one beside a long one; `--epochs` sets it for all"
                ] = None
    return list(notes)
