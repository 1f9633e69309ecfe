"""The errors the registry raises on purpose.

Each names the thing that is wrong and, in ``hint``, the next step; each is also a builtin kind where one fits.
"""

from __future__ import annotations

from zoo_registry.addresses import without_credentials


class RegistryError(Exception):
    """Base of every error that the registry raises on purpose.

    Passwords and keys in the addresses that it names are taken out: an error is shown, logged and sent on.

    Args:
        message: what is wrong, naming the thing.
        hint: what to do next; shown on a line of its own.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = without_credentials(message)
        self.hint = None if hint is None else without_credentials(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        # A keyword-only argument does not survive the default pickling, which passes `args` alone.
        return _rebuild, (type(self), self.message, self.hint)


def _rebuild(kind: type[RegistryError], message: str, hint: str | None) -> RegistryError:
    return kind(message, hint=hint)


class NameInvalidError(RegistryError, ValueError):
    """A name of an entry, alias, role or store is not one the registry accepts."""


class ObjectNotFoundError(RegistryError, LookupError):
    """A store holds nothing under this key."""


class ZooNotFoundError(RegistryError, LookupError):
    """There is no zoo at this address, or something else is."""


class EntryNotFoundError(RegistryError, LookupError):
    """The zoo has no entry of this name."""


class ReleaseNotFoundError(RegistryError, LookupError):
    """The entry exists, but not this release or alias of it."""


class BlobCorruptError(RegistryError, ValueError):
    """Bytes do not have the size or the sha256 that they were announced with."""


class ObjectTooLargeError(RegistryError, ValueError):
    """An object holds more bytes than the reader is willing to take."""


class ManifestInvalidError(RegistryError, ValueError):
    """A manifest or alias file is not one the registry accepts."""


class ConflictError(RegistryError):
    """Somebody else changed the same thing in between."""


class StoreUnavailableError(RegistryError, OSError):
    """The store or the cache cannot be reached or written now: no network, disk full, no rights to the folder."""


class StoreRefusedError(RegistryError, PermissionError):
    """The store answers, but will not do this: credentials, rights, no bucket, no conditional writes."""


class StoreLacksError(StoreRefusedError):
    """The store does not know a function at all, whoever asks for it."""


class PublishStateUnknownError(RegistryError):
    """The store took a write and then did not say what became of it; it may or may not be there."""


class SignatureError(RegistryError, ValueError):
    """A release is not signed by a key that is trusted, or a signature is not one of its bytes."""


class StaleError(RegistryError, ValueError):
    """What a name stands for may not be followed: it is older than what was seen before, or its time is over."""


class WithdrawnError(RegistryError, LookupError):
    """A release was withdrawn: whoever owns it wants nobody to use it."""


class KeyInvalidError(RegistryError, ValueError):
    """A file is not the key it is taken for, or its passphrase is another."""


class SigningUnavailableError(RegistryError, ImportError):
    """Signatures need a package that is not installed."""
