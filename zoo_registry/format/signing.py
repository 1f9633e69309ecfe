"""Ed25519 signatures of a zoo's documents, and the keys that make and check them.

A signature covers its schema, the id of a zoo and the exact bytes of a document: a manifest, a teacher's card, a state
of an alias, what was withdrawn of an entry. Each names its kind and itself, and the sha256 of every blob it has, so
that it can neither be changed nor be served as anything else, and the zoo's id keeps it from being served as another
zoo's. The schema before them keeps a signature that the same key made of something else from being taken for one of a
document. Signatures of older versions name no zoo; they say what they said.

The algorithm is Ed25519 (RFC 8032), as the `cryptography` package computes it; it is loaded by those alone who sign or
check.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo_registry.errors import KeyInvalidError, ManifestInvalidError, SigningUnavailableError
from zoo_registry.format import records, strict_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = "kdzoo-signature/2"
UNBOUND = "kdzoo-signature/1"
"""The schema of signatures that name no zoo, as older versions wrote them."""
MAX_BYTES = 4096
"""Of a signature's file."""

_KEY_ID = re.compile(r"[0-9a-f]{32}")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----.*?-----END \1-----", re.DOTALL)
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_REQUIRED = frozenset({"schema", "algorithm", "key", "signature"})
_BOUND = _REQUIRED | {"zoo"}
_BLOCK = frozenset({"zoo", "key", "signature"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """What stands beside a document, or in it: a key's signature.

    Raises:
        ManifestInvalidError: a field is out of its range.
    """

    key_id: str
    """Whose it is: the first 32 hexadecimal digits of the sha256 of the raw public key."""
    value: bytes
    """64 bytes."""
    zoo: str | None = None
    """The id of the zoo whose document it vouches for; None of one that is not bound to a zoo."""

    def __post_init__(self) -> None:
        check_key_id(self.key_id)
        if self.zoo is not None:
            records.write_id(self.zoo, "zoo")
        if len(self.value) != 64:
            raise ManifestInvalidError(f"signature holds {len(self.value)} bytes instead of 64")

    def to_bytes(self) -> bytes:
        """The canonical JSON of this signature."""
        text = base64.b64encode(self.value).decode()
        bound = {"schema": UNBOUND} if self.zoo is None else {"schema": SCHEMA, "zoo": self.zoo}
        fields = {**bound, "algorithm": "ed25519", "key": self.key_id, "signature": text}
        return strict_json.dump(fields, "signature")

    def block(self) -> dict[str, Any]:
        """This signature as JSON values in the document that it is of."""
        return {"zoo": self.zoo, "key": self.key_id, "signature": base64.b64encode(self.value).decode()}

    @classmethod
    def of_block(cls, fields: dict[str, Any]) -> Signature:
        """Reads what `block` gives, strictly.

        Raises:
            ManifestInvalidError: a key missing or unknown, or a value out of its range.
        """
        records.check_keys(fields, "signature", required=_BLOCK)
        value = _decoded(fields["signature"])
        made = cls(key_id=fields["key"], value=value, zoo=records.write_id(fields["zoo"], "zoo"))
        if made.block() != fields:
            raise ManifestInvalidError("signature is not written the way a signature is")
        return made

    @classmethod
    def parse(cls, data: bytes, *, what: str = "signature") -> Signature:
        """Reads a signature's file, strictly: whatever is not what `to_bytes` writes is refused.

        Raises:
            ManifestInvalidError: not JSON, another schema or algorithm, a key missing or unknown, a value out of its
                range, or the same in other bytes.
        """
        fields = strict_json.parse(data, what)
        is_bound = fields.get("schema") != UNBOUND
        records.check_schema(fields, what, SCHEMA if is_bound else UNBOUND)
        records.check_keys(fields, what, required=_BOUND if is_bound else _REQUIRED)
        if fields["algorithm"] != "ed25519":
            raise ManifestInvalidError(f"{what} is of an algorithm that is not ed25519", hint="upgrade kdzoo")
        try:
            value = _decoded(fields["signature"])
            # Not None where a zoo must stand: that would pass for a signature that is not bound.
            zoo = records.write_id(fields["zoo"], "zoo") if is_bound else None
            made = cls(key_id=fields["key"], value=value, zoo=zoo)
        except ManifestInvalidError as error:
            raise ManifestInvalidError(f"{what} is not valid: {error}") from error
        if made.to_bytes() != data:
            raise ManifestInvalidError(f"{what} is not written the way a signature is")
        return made


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 key that checks signatures."""

    raw: bytes
    """32 bytes."""

    @property
    def key_id(self) -> str:
        """32 hexadecimal digits that stand for the key."""
        return hashlib.sha256(self.raw).hexdigest()[:32]

    def has_signed(self, data: bytes, signature: Signature) -> bool:
        """Whether a signature is this key's, and of these bytes of a document in the zoo that it names, if it does.

        Raises:
            SigningUnavailableError: `cryptography` is not installed.
        """
        _need_cryptography()
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if signature.key_id != self.key_id:
            return False
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature.value, _signed(data, signature.zoo))
        except InvalidSignature:
            return False
        return True

    def to_pem(self) -> bytes:
        """The key as a PEM block (SubjectPublicKeyInfo), as other programs read it."""
        _need_cryptography()
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        return Ed25519PublicKey.from_public_bytes(self.raw).public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


class SigningKey:
    """An Ed25519 key that signs; neither its text nor its errors show anything of it.

    Args:
        private: the key.
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())
        """The key that checks what this one signs."""

    def __repr__(self) -> str:
        return f"SigningKey({self.public.key_id})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a signing key stays in the process that read it")

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the system's random numbers.

        Raises:
            SigningUnavailableError: `cryptography` is not installed.
        """
        _need_cryptography()
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, data: bytes, *, source: str, passphrase: Callable[[], str | None] = lambda: None) -> SigningKey:
        """Reads a private key in PEM (PKCS #8).

        Args:
            data: the PEM block.
            source: where it is from, for messages.
            passphrase: asked for the passphrase, and only if the key is encrypted.

        Raises:
            SigningUnavailableError: `cryptography` is not installed.
            KeyInvalidError: it holds no such key, or its passphrase is missing or another.
        """
        _need_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        word = None
        if _ENCRYPTED in data:
            word = passphrase()
            if not word:
                raise KeyInvalidError(
                    f"the key '{source}' is encrypted and there is no passphrase", hint="set KDZOO_SIGNING_PASSPHRASE"
                )
        try:
            private = load_pem_private_key(data, None if word is None else word.encode())
        except (ValueError, TypeError, UnsupportedAlgorithm):
            # Without its cause: that may quote from the file.
            why = "is not a private key in PEM" if word is None else "is damaged, or its passphrase is another"
            raise KeyInvalidError(f"'{source}' {why}", hint="make a key with: kdzoo zoo keygen FILE") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyInvalidError(f"'{source}' is not an Ed25519 key", hint="make a key with: kdzoo zoo keygen FILE")
        return cls(private)

    def to_pem(self, *, passphrase: str | None = None) -> bytes:
        """The private key as a PEM block (PKCS #8), encrypted where there is a passphrase."""
        from cryptography.hazmat.primitives import serialization

        lock: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            lock = serialization.BestAvailableEncryption(passphrase.encode())
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption_algorithm=lock
        )

    def sign(self, data: bytes, zoo: str | None = None) -> Signature:
        """Signs the bytes of a document; the same bytes give the same signature.

        Args:
            data: the document's bytes.
            zoo: the id of the zoo whose it is; None makes a signature that is not bound to a zoo.
        """
        return Signature(key_id=self.public.key_id, value=self._private.sign(_signed(data, zoo)), zoo=zoo)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustedKeys:
    """Public keys; what one of them has signed is trusted."""

    keys: tuple[PublicKey, ...]
    """At least one."""
    source: str
    """Where they are from, for messages."""

    @classmethod
    def from_pem(cls, data: bytes, *, source: str) -> TrustedKeys:
        """Reads public keys: one or several PEM blocks, with any text between them.

        Args:
            data: the text.
            source: where it is from, for messages.

        Raises:
            SigningUnavailableError: `cryptography` is not installed.
            KeyInvalidError: there is none in it, a block is something else, or one is a private key.
        """
        _need_cryptography()
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        found = []
        if b"PRIVATE KEY-----" in data:
            raise KeyInvalidError(f"'{source}' holds a private key", hint=f"give the public one, such as {source}.pub")
        for block in _PEM.finditer(data):
            try:
                key = load_pem_public_key(block[0])
            except (ValueError, UnsupportedAlgorithm) as error:
                raise KeyInvalidError(f"'{source}' holds a damaged public key") from error
            if not isinstance(key, Ed25519PublicKey):
                raise KeyInvalidError(f"'{source}' holds a key that is not an Ed25519 key")
            found.append(PublicKey(key.public_bytes_raw()))
        if len(found) != data.count(b"-----BEGIN "):
            raise KeyInvalidError(f"'{source}' holds a damaged public key")
        if not found:
            raise KeyInvalidError(f"'{source}' holds no public key", hint="kdzoo zoo keygen FILE makes FILE.pub")
        return cls(keys=tuple(dict.fromkeys(found)), source=source)


def _decoded(text: object) -> bytes:
    given = records.text(text, "signature", longest=100)
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ManifestInvalidError(f"signature is not base64: {error}") from error


def _signed(data: bytes, zoo: str | None) -> bytes:
    """The bytes that are signed: which form it is, which zoo, the document."""
    return (f"{UNBOUND}\n" if zoo is None else f"{SCHEMA}\n{zoo}\n").encode() + data


def check_key_id(text: object) -> str:
    """Gives a key's id back when it is one.

    Raises:
        ManifestInvalidError: it is not 32 lower-case hexadecimal digits.
    """
    if not isinstance(text, str) or not _KEY_ID.fullmatch(text):
        raise ManifestInvalidError(f"key is {ascii(text)[:80]}, not 32 lower-case hexadecimal digits")
    return text


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ModuleNotFoundError as error:
        raise SigningUnavailableError(
            "signatures need the package 'cryptography', which is not installed", hint="pip install 'kdzoo[sign]'"
        ) from error
