"""What a sweep searches: a space for each category that the options of `kdzoo sweep` ask for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.cli.options import check_epochs, parse_changes
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.data.catalog import Dataset
    from kdzoo.search.space.space import SearchSpace


def spaces_of(
    method: str,
    opened: Dataset,
    categories: str | None,
    space: Path | None,
    changes: tuple[str, ...],
    epochs: int | None,
    registered: Iterable[str] = (),
) -> dict[str, SearchSpace]:
    """Category to its effective space.

    Args:
        method: what is swept.
        opened: the data set.
        categories: names joined by commas; None for all.
        space: a space file, or ``full``; None for the knobs that the method's own file has first.
        changes: ``KEY=VALUE``.
        epochs: in all, over a method's stages.
        registered: names that a person gave to data sets.

    Raises:
        UnknownNameError: no such category.
        SearchSpaceError: an override of the file is of no data set or category that there is.
    """
    from kdzoo.search.space.space import SpaceFile

    available = opened.categories()
    asked = [part.strip() for part in categories.split(",") if part.strip()] if categories else list(available)
    if not asked:
        raise UsageError("--categories names none", hint=", ".join(available))
    asked = [opened.category_name(category) for category in asked]
    full, path = full_space(space)
    file = SpaceFile(method, path, full=full)
    file.check_names(opened.name, opened.info.all_categories or available, registered)
    fixed = parse_changes(changes)
    spaces = {}
    for category in dict.fromkeys(asked):
        found = file.space(opened.name, category, changes=fixed)
        stages = found.defaults.epoch_keys()
        check_epochs(epochs, fixed, [key for key in stages if getattr(found.defaults, key)])
        if epochs is not None:
            split = found.defaults.epoch_split(epochs)
            found = file.space(opened.name, category, changes={**fixed, **split})
        spaces[category] = found
    return spaces


def full_space(space: Path | None) -> tuple[bool, Path | None]:
    """What ``--space`` asks for: whether all knobs are searched, and the file."""
    return (True, None) if space == Path("full") else (False, space)


def with_foreground(spaces: dict[str, SearchSpace], rule: str) -> dict[str, SearchSpace]:
    """The spaces, with the rule that was given on the command line in place of the space file's."""
    from kdzoo.data.foreground.masks import check_mask_folders
    from kdzoo.data.foreground.rule import ForegroundRule

    folder = ForegroundRule.parse(rule).folder
    if folder is not None:
        check_mask_folders(folder, list(spaces))
    return {category: dataclasses.replace(space, foreground=rule) for category, space in spaces.items()}
