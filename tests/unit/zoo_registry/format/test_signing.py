"""Signatures: of these bytes, by this key, in a file that is read strictly."""

import dataclasses

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from zoo_registry.errors import ManifestInvalidError
from zoo_registry.format.signing import PublicKey, Signature, SigningKey

ZOO = "0123456789abcdef" * 2
# RFC 8032, section 7.1, test 1.
RFC_SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
RFC_PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def test_the_public_key_is_the_one_of_the_standard():
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(RFC_SECRET))
    assert key.public == PublicKey(RFC_PUBLIC)
    assert key.public.key_id == "21fe31dfa154a261626bf854046fd227"


def test_a_signature_is_of_these_bytes_and_this_key_alone():
    key, other = SigningKey.generate(), SigningKey.generate()
    made = key.sign(b"manifest")
    assert key.sign(b"manifest") == made
    assert key.public.has_signed(b"manifest", made)
    assert not key.public.has_signed(b"manifest ", made)
    assert not other.public.has_signed(b"manifest", made)
    assert not key.public.has_signed(b"manifest", other.sign(b"manifest"))
    renamed = Signature(key_id=key.public.key_id, value=other.sign(b"manifest").value)
    assert not key.public.has_signed(b"manifest", renamed)


def test_the_context_is_part_of_what_is_signed():
    private = Ed25519PrivateKey.from_private_bytes(RFC_SECRET)
    key = SigningKey(private)
    bare = Signature(key_id=key.public.key_id, value=private.sign(b"manifest"))
    assert not key.public.has_signed(b"manifest", bare)
    private.public_key().verify(key.sign(b"manifest").value, b"kdzoo-signature/1\nmanifest")


def test_a_signature_counts_in_its_zoo_alone():
    private = Ed25519PrivateKey.from_private_bytes(RFC_SECRET)
    key = SigningKey(private)
    bound, bare = key.sign(b"manifest", ZOO), key.sign(b"manifest")
    assert key.public.has_signed(b"manifest", bound)
    for zoo in ("0" * 32, None):
        assert not key.public.has_signed(b"manifest", dataclasses.replace(bound, zoo=zoo))
    assert not key.public.has_signed(b"manifest", dataclasses.replace(bare, zoo=ZOO))
    private.public_key().verify(bound.value, f"kdzoo-signature/2\n{ZOO}\nmanifest".encode())


def test_a_signatures_file():
    bound = SigningKey.generate().sign(b"x", ZOO)
    assert bound.zoo == ZOO and Signature.parse(bound.to_bytes()) == bound
    for wrong in (b"null", b"1", b'""', b'"x"'):
        with pytest.raises(ManifestInvalidError):
            Signature.parse(bound.to_bytes().replace(f'"{ZOO}"'.encode(), wrong))
    made = SigningKey.generate().sign(b"x")
    data = made.to_bytes()
    assert Signature.parse(data) == made and made.zoo is None
    for wrong in (data + b"\n", data.replace(b"  ", b" "), data.replace(b"ed25519", b"ED25519"), data[:-3], b"{}"):
        with pytest.raises(ManifestInvalidError, match="my file"):
            Signature.parse(wrong, what="my file")
    with pytest.raises(ManifestInvalidError, match="has no zoo"):
        Signature.parse(data.replace(b"kdzoo-signature/1", b"kdzoo-signature/2"))
    with pytest.raises(ManifestInvalidError, match="kdzoo-signature/3") as error:
        Signature.parse(data.replace(b"kdzoo-signature/1", b"kdzoo-signature/3"))
    assert "upgrade" in error.value.hint
