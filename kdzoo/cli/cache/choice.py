"""Which items of the cache the options of `kdzoo cache` choose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.say import tell
from kdzoo.errors import UsageError

if TYPE_CHECKING:
    from kdzoo.cli.cache.items import CacheItem, CacheView

KINDS = ("decoded", "features", "zoo")
"""What the cache holds."""


def open_cache() -> CacheView:
    """The cache that the settings name, as it is now."""
    from kdzoo.cli.cache.items import CacheView
    from kdzoo.settings import Settings

    settings = Settings.from_environment()
    return CacheView.of(settings.cache, settings.cache_limit)


def chosen_items(view: CacheView, kind: str | None, dataset: str | None) -> list[CacheItem]:
    """The items of a kind, and of a data set or ``dataset/category``; None takes all.

    Raises:
        UsageError: the two do not go together, or the data set's name is empty.
    """
    if dataset is not None and kind == "zoo":
        raise UsageError(
            "--dataset chooses among images and features, and --kind zoo is blobs", hint="leave one of them out"
        )
    chosen = [item for item in view.items if kind is None or item.kind == kind]
    if dataset is None:
        return chosen
    dataset = dataset.strip(" /")
    if not dataset:
        raise UsageError("--dataset is empty", hint="kdzoo cache shows the names")
    return [item for item in chosen if item.is_of(dataset)]


def tell_none(view: CacheView, dataset: str | None) -> None:
    """Says why a list is empty; a wrong name is no error, so that a script can clear twice."""
    names = sorted({item.what for item in view.items if item.kind != "zoo"})
    if not view.items:
        tell(f"The cache {view.folder} is empty")
    elif dataset is not None and names:
        tell(f"Nothing of '{dataset}'; there are some of {', '.join(names)}")
