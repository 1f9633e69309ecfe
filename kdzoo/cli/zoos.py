"""The zoo that ``--zoo`` or the settings name, opened: as a registry, or as the bare store under it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kdzoo.cli.notes import tell_note

if TYPE_CHECKING:
    from zoo_registry import Registry
    from zoo_registry.store.protocol import UpkeepStore


def open_zoo(zoo: str | None) -> Registry:
    """The zoo that ``--zoo`` or the settings name; what it warns of is a note on stderr."""
    from kdzoo.cli.passphrase import ask_passphrase
    from kdzoo.settings import Settings
    from kdzoo.zoo import open_registry

    return open_registry(Settings.from_environment(), zoo, warn=tell_note, ask=ask_passphrase)


def open_store_of(zoo: str | None) -> UpkeepStore:
    """The store of the zoo that ``--zoo`` or the settings name.

    Raises:
        StoreUnavailableError: it takes a network, and kdzoo is to work offline.
    """
    from kdzoo.settings import Settings
    from zoo_registry.errors import StoreUnavailableError
    from zoo_registry.store.open import open_store

    settings = Settings.from_environment()
    store = open_store(zoo or settings.zoo, notes=settings.cache / "zoo")
    if settings.offline and store.is_remote:
        raise StoreUnavailableError(
            f"{store.uri} takes a network, and kdzoo is offline", hint="unset KDZOO_OFFLINE, or name a folder"
        )
    return store
