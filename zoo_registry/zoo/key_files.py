"""Key files: a private key that its owner alone can read, the public one beside it, and files of trusted keys."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

from zoo_registry.errors import KeyInvalidError, StoreUnavailableError
from zoo_registry.format.signing import SigningKey, TrustedKeys
from zoo_registry.store import files

_MAX_BYTES = 65_536
_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def read_private_key(path: Path, *, passphrase: Callable[[], str | None] = lambda: None) -> SigningKey:
    """Reads a private key's PEM file (PKCS #8).

    Args:
        path: the file.
        passphrase: asked for the passphrase, and only if the key is encrypted.

    Raises:
        SigningUnavailableError: `cryptography` is not installed.
        StoreUnavailableError: the file cannot be read.
        KeyInvalidError: others than its owner can read or change it, it holds no such key, or its passphrase is missing
            or another.
    """
    data, mode = _read(path)

    def passphrase_of_a_secret() -> str | None:
        _refuse_shared(path, mode)
        return passphrase()

    key = SigningKey.from_pem(data, source=str(path), passphrase=passphrase_of_a_secret)
    _refuse_shared(path, mode)
    return key


def read_trusted_keys(path: Path) -> TrustedKeys:
    """Reads the public keys of a file: one or several PEM blocks, with any text between them.

    Raises:
        SigningUnavailableError: `cryptography` is not installed.
        StoreUnavailableError: the file cannot be read.
        KeyInvalidError: there is none in it, a block is something else, or the file holds a private key.
    """
    return TrustedKeys.from_pem(_read(path)[0], source=str(path))


def write_key_pair(key: SigningKey, path: Path, *, passphrase: str | None = None) -> Path:
    """Writes a key to a new file that its owner alone can read, and the public key beside it.

    Args:
        key: the key.
        path: must not exist; the public key's name has ``.pub`` added.
        passphrase: encrypts the private key.

    Returns:
        The public key's file.

    Raises:
        KeyInvalidError: one of the files is there already.
        StoreUnavailableError: they cannot be written.
    """
    private = key.to_pem(passphrase=passphrase)
    public = path.with_name(path.name + ".pub")
    for file in (path, public):
        if file.exists() or file.is_symlink():
            raise KeyInvalidError(f"'{file}' is there already", hint="choose another name; keys are not replaced")
    with files.storage_errors("write", path):
        files.make_folder(path.parent.absolute())
        _write_new(path, private, mode=0o600)
        _write_new(public, key.public.to_pem(), mode=0o644)
    return public


def _refuse_shared(path: Path, mode: int) -> None:
    if mode & _OTHERS:
        raise KeyInvalidError(
            f"others can read or change the private key '{path}' (its mode is {stat.S_IMODE(mode):o})",
            hint=f"chmod 600 {shlex.quote(str(path))}; who else may have read it can sign in its name",
        )


def _read(path: Path) -> tuple[bytes, int]:
    """What a file holds, and its mode."""
    try:
        with files.open_regular(path) as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise StoreUnavailableError(
            f"cannot read the key '{path}': {error.strerror or error}", hint="kdzoo zoo keygen FILE makes a key"
        ) from error
    if len(data) > _MAX_BYTES:
        raise KeyInvalidError(f"'{path}' is too large to be a key")
    return data, mode


def _write_new(path: Path, data: bytes, *, mode: int) -> None:
    """The rights are set as the file is made: there is no moment at which others could open it."""
    with files.create(path, mode=mode) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
