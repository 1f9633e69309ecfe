"""Which zoo a store holds: read where it can be, written once where it is not there yet."""

from __future__ import annotations

from zoo_registry.errors import ManifestInvalidError, ObjectNotFoundError, ObjectTooLargeError
from zoo_registry.format.identity import MAX_BYTES, Identity
from zoo_registry.format.layout import IDENTITY
from zoo_registry.store.protocol import Store


def read_identity(store: Store) -> Identity | None:
    """Which zoo this is; None where an older kdzoo made it and nothing was written since, or there is none.

    Raises:
        ManifestInvalidError: the file is damaged.
        StoreRefusedError: the right to read it is missing.
        StoreUnavailableError: the store cannot be reached.
    """
    what = f"'{IDENTITY}' of {store.uri}, which says what zoo it is,"
    try:
        return Identity.parse(store.get(IDENTITY, max_bytes=MAX_BYTES), what=what)
    except ObjectNotFoundError:
        return None
    except (ManifestInvalidError, ObjectTooLargeError) as error:
        raise ManifestInvalidError(
            f"{what} is damaged: {error}",
            hint=getattr(error, "hint", None)
            or f"put it back from a copy of its files: it was at {store.uri}/{IDENTITY}",
        ) from error


def claim_identity(store: Store) -> Identity:
    """Which zoo this is; one that has no id gets it. Of several that do so at once all are told the same.

    Raises:
        ManifestInvalidError: the file is damaged.
        PublishStateUnknownError: the store did not say whether it was written.
        StoreRefusedError: the right to read or write it is missing, or it cannot be written safely.
        StoreUnavailableError: the store cannot be reached or written.
    """
    found = read_identity(store)
    if found is not None:
        return found
    made = Identity.new()
    if store.put_if_absent(IDENTITY, made.to_bytes(), write_id=made.id):
        return made
    found = read_identity(store)
    if found is None:
        raise ManifestInvalidError(f"'{IDENTITY}' of {store.uri} was there a moment ago, and is gone", hint="try again")
    return found
