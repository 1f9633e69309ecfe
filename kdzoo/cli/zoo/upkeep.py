"""What `kdzoo zoo fsck` and `kdzoo zoo gc` share: the zoo's store, and a bar for each of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.options import Bar

if TYPE_CHECKING:
    from zoo_registry.store.protocol import UpkeepStore


def open_store_of(zoo: str | None) -> UpkeepStore:
    """The store of the zoo that ``--zoo`` or the settings name.

    Raises:
        StoreUnavailableError: it takes a network, and kdzoo is to work offline.
    """
    from kdzoo.settings import Settings
    from zoo_registry.errors import StoreUnavailableError
    from zoo_registry.store.open import open_store

    settings = Settings.from_environment()
    store = open_store(zoo or settings.zoo)
    if settings.offline and store.is_remote:
        raise StoreUnavailableError(
            f"{store.uri} takes a network, and kdzoo is offline", hint="unset KDZOO_OFFLINE, or name a folder"
        )
    return store


class StepBars:
    """A progress bar on stderr for each step, one after the other."""

    def __init__(self) -> None:
        self._what = ""
        self._bar: Bar | None = None

    def __enter__(self) -> StepBars:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Told the step and how far it is; a new step ends the bar of the one before."""
        if what != self._what:
            self._end()
            self._what, self._bar = what, Bar(what)
        if self._bar is not None and total:
            self._bar(done, total)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
