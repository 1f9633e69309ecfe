"""Signatures as the settings ask for them: what is published is signed, what is loaded must be."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kdzoo.category_entry import check_withdrawn
from kdzoo.settings import Settings, signing_passphrase

if TYPE_CHECKING:
    from zoo_registry import Manifest, Registry
    from zoo_registry.format.document import Document
    from zoo_registry.format.signing import PublicKey, SigningKey
    from zoo_registry.zoo.signatures import Signatures
    from zoo_registry.zoo.states import Demand


def require_signature(settings: Settings, registry: Registry, manifest: Manifest) -> PublicKey | None:
    """Refuses a release that is not signed by a trusted key, where the settings ask for one.

    The manifest names the sha256 of every blob, and the document in it the teacher's, so with it all that is loaded is
    covered.

    Args:
        settings: whose ``require_signature`` names the file of trusted public keys, and ``signed_for`` the zoos for
            which these may have signed it.
        registry: where the release is from.
        manifest: as the registry resolved it.

    Returns:
        The key that signed it; None when no signature is asked for.

    Raises:
        SignatureError: it is not signed by one of the keys.
        KeyInvalidError, StoreUnavailableError: the keys' file cannot be used.
        SigningUnavailableError: `cryptography` is not installed.
    """
    if settings.require_signature is None:
        return None
    from zoo_registry.zoo.key_files import read_trusted_keys

    trusted = read_trusted_keys(settings.require_signature)
    return registry.signatures.require(manifest, trusted, signed_for=settings.signed_for)


def check_release(
    settings: Settings, registry: Registry, manifest: Manifest, *, trust_cache: bool = False
) -> PublicKey | None:
    """Refuses a release that is not to be used: not signed as the settings ask, or withdrawn by its owner.

    Args:
        settings: as in `require_signature`.
        registry: where the release is from.
        manifest: as the registry resolved it.
        trust_cache: whether it was withdrawn is asked once a day alone, for a release that never changes.

    Returns:
        As `require_signature`, whose errors it raises.

    Raises:
        WithdrawnError: it was withdrawn.
        StaleError: what is withdrawn is older than it was before.
    """
    key = require_signature(settings, registry, manifest)
    check_withdrawn(registry, manifest, trust_cache=trust_cache)
    return key


def demand_signatures(settings: Settings, registry: Registry) -> None:
    """Where a signature is required, no alias is pointed at a release without one: who follows it could not load it.

    Nor is an alias followed, or a withdrawal taken back, that is not signed and was, or must be.
    """
    path = settings.require_signature
    if path is None:
        return
    registry.signatures.demand(lambda manifest: require_signature(settings, registry, manifest))

    @functools.cache
    def how() -> Demand:
        from zoo_registry.zoo.key_files import read_trusted_keys
        from zoo_registry.zoo.states import Demand

        trusted = read_trusted_keys(path)
        return Demand(trusted=trusted, signed_for=settings.signed_for, always=settings.require_signed_aliases)

    registry.states.demand(how)


def require_signed_teacher(settings: Settings, signatures: Signatures, document: Document) -> PublicKey | None:
    """As `require_signature`, for a teacher of a zoo.

    Args:
        settings: as there.
        signatures: of the zoo that it is from.
        document: its card.
    """
    if settings.require_signature is None:
        return None
    from zoo_registry.zoo.key_files import read_trusted_keys

    trusted = read_trusted_keys(settings.require_signature)
    return signatures.require(document, trusted, signed_for=settings.signed_for)


def sign_what_is_published(
    settings: Settings, signatures: Signatures, *, ask: Callable[[], str | None] | None = None
) -> None:
    """Lets what is published be signed, if the settings name a key; the key is read when something first is.

    Args:
        settings: name it.
        signatures: of the zoo.
        ask: asks a person for its passphrase when it is needed and not set.
    """
    path = settings.signing_key
    if path is not None:
        signatures.sign_by(lambda: read_signing_key(path, ask=ask))


def read_signing_key(path: Path, *, ask: Callable[[], str | None] | None = None) -> SigningKey:
    """A private key; an encrypted one is opened with ``KDZOO_SIGNING_PASSPHRASE``.

    Args:
        path: its file.
        ask: asks a person for the passphrase when it is needed and not set.

    Raises:
        KeyInvalidError: the file holds no such key, or its passphrase is missing or another.
        StoreUnavailableError: the file cannot be read.
        SigningUnavailableError: `cryptography` is not installed.
    """
    from zoo_registry.zoo.key_files import read_private_key

    def passphrase() -> str | None:
        return signing_passphrase() or (ask() if ask is not None else None)

    return read_private_key(path, passphrase=passphrase)


def require_carried_signature(
    settings: Settings, manifest: Manifest | None, signatures: Mapping[str, bytes], *, where: Path
) -> PublicKey | None:
    """As `require_signature`, for a release outside of a zoo, whose signatures came along.

    Args:
        settings: whose ``require_signature`` names the file of trusted public keys, and ``signed_for`` the zoos for
            which these may have signed it. It has left its zoo, so where none is named any zoo's signature will do.
        manifest: that came along; None if none did.
        signatures: the bytes of signatures' files, by name.
        where: it lies, for messages.

    Returns:
        The key that signed it; None when no signature is asked for.

    Raises:
        SignatureError: there is no manifest, or it is not signed by one of the keys.
        KeyInvalidError, StoreUnavailableError: the keys' file cannot be used.
        SigningUnavailableError: `cryptography` is not installed.
    """
    if settings.require_signature is None:
        return None
    from zoo_registry.errors import ManifestInvalidError, SignatureError
    from zoo_registry.format.signing import Signature
    from zoo_registry.zoo.key_files import read_trusted_keys

    trusted, hint = read_trusted_keys(settings.require_signature), "`kdzoo zoo pull --out` takes them along"
    if manifest is None:
        raise SignatureError(f"'{where}' is not signed: it has no manifest that a signature could be of", hint=hint)
    known, why = {key.key_id: key for key in trusted.keys}, "no signature of these keys came along"
    for name, data in signatures.items():
        try:
            signature = Signature.parse(data, what=f"'{name}'")
        except ManifestInvalidError as error:
            why = f"a signature is damaged: {error}"
            continue
        key = known.get(signature.key_id)
        if settings.signed_for and signature.zoo not in settings.signed_for:
            why = f"a signature is for {signature.zoo or 'no zoo'}, which KDZOO_SIGNED_FOR does not name"
            continue
        if key is not None and key.has_signed(manifest.signed_bytes, signature):
            return key
        why = f"the signature of key {key.key_id} does not hold" if key is not None else why
    title = f"{manifest.entry} release {manifest.release} in '{where}'"
    raise SignatureError(f"{title} is not signed by a key of '{trusted.source}': {why}", hint=hint)
