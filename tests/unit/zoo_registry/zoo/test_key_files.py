"""Keys: made for their owner alone, read strictly, never shown."""

import pickle
import stat
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519

from zoo_registry.errors import (
    KeyInvalidError,
    RegistryError,
    SigningUnavailableError,
    StoreUnavailableError,
)
from zoo_registry.format.signing import SigningKey
from zoo_registry.zoo.key_files import read_private_key, read_trusted_keys, write_key_pair


def test_written_and_read_again(tmp_path):
    key = SigningKey.generate()
    public = write_key_pair(key, tmp_path / "keys" / "a.key")
    assert public == tmp_path / "keys" / "a.key.pub"
    assert stat.S_IMODE((tmp_path / "keys" / "a.key").stat().st_mode) == 0o600
    assert read_private_key(tmp_path / "keys" / "a.key").public == key.public
    assert read_trusted_keys(public).keys == (key.public,)


@pytest.mark.parametrize("taken", ["a.key", "a.key.pub"])
def test_no_key_is_replaced(tmp_path, taken):
    (tmp_path / taken).write_text("here first")
    with pytest.raises(KeyInvalidError, match=taken):
        write_key_pair(SigningKey.generate(), tmp_path / "a.key")
    assert [path.name for path in tmp_path.iterdir()] == [taken]


def test_an_encrypted_key_takes_its_passphrase(tmp_path):
    key = SigningKey.generate()
    write_key_pair(key, tmp_path / "a.key", passphrase="correct horse ß")
    assert read_private_key(tmp_path / "a.key", passphrase=lambda: "correct horse ß").public == key.public
    with pytest.raises(KeyInvalidError, match="passphrase is another"):
        read_private_key(tmp_path / "a.key", passphrase=lambda: "wrong")
    with pytest.raises(KeyInvalidError, match="encrypted") as error:
        read_private_key(tmp_path / "a.key")
    assert "KDZOO_SIGNING_PASSPHRASE" in error.value.hint


def test_a_plain_key_asks_for_nothing(tmp_path):
    write_key_pair(SigningKey.generate(), tmp_path / "a.key")
    asked = []
    read_private_key(tmp_path / "a.key", passphrase=lambda: asked.append(1) or "x")
    assert asked == []


def test_nothing_of_the_private_key_is_shown(tmp_path):
    key = SigningKey.generate()
    write_key_pair(key, tmp_path / "a.key")
    secret = "".join((tmp_path / "a.key").read_text().splitlines()[1:-1])
    assert secret not in repr(key) + str(key) + str(vars(key))
    with pytest.raises(TypeError, match="stays"):
        pickle.dumps(key)
    (tmp_path / "cut.key").write_text((tmp_path / "a.key").read_text()[:-40])
    with pytest.raises(KeyInvalidError) as error:
        read_private_key(tmp_path / "cut.key")
    assert secret[:20] not in repr(error.value) and error.value.__cause__ is None


def other_kind() -> bytes:
    return x25519.X25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    "data", [b"", b"no key", b"\x00" * 70_000, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_private_key(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(KeyInvalidError, match=r"private key|too large|damaged"):
        read_private_key(tmp_path / "a")


def test_a_key_of_another_kind(tmp_path):
    (tmp_path / "a").write_bytes(other_kind())
    with pytest.raises(KeyInvalidError, match="Ed25519"):
        read_private_key(tmp_path / "a")


def test_no_file_and_no_plain_file(tmp_path):
    for read in (read_private_key, read_trusted_keys):
        for path in (tmp_path / "none", tmp_path):
            with pytest.raises(StoreUnavailableError, match="cannot read the key"):
                read(path)


def test_several_public_keys_with_words_between(tmp_path):
    keys = [SigningKey.generate().public for _ in range(3)]
    text = b"# who releases\n" + b"\nand then\n".join(key.to_pem() for key in (*keys, keys[0]))
    (tmp_path / "keys").write_bytes(text)
    assert read_trusted_keys(tmp_path / "keys").keys == tuple(keys)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no public key"),
        (b"hello", "no public key"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "damaged"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n", "damaged"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "damaged"),
    ],
)
def test_what_is_no_public_key(tmp_path, data, said):
    (tmp_path / "keys").write_bytes(data)
    with pytest.raises(KeyInvalidError, match=said):
        read_trusted_keys(tmp_path / "keys")


def test_one_damaged_key_among_good_ones_is_not_passed_over(tmp_path):
    pem = SigningKey.generate().public.to_pem()
    (tmp_path / "keys").write_bytes(pem + pem.replace(b"-----END PUBLIC KEY-----", b""))
    with pytest.raises(KeyInvalidError, match="damaged"):
        read_trusted_keys(tmp_path / "keys")


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path):
    write_key_pair(SigningKey.generate(), tmp_path / "a.key")
    with pytest.raises(KeyInvalidError, match="private") as error:
        read_trusted_keys(tmp_path / "a.key")
    assert "a.key.pub" in error.value.hint


def test_without_cryptography_the_extra_is_named(tmp_path, monkeypatch):
    key = SigningKey.generate()
    write_key_pair(key, tmp_path / "a.key")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for act in (
        SigningKey.generate,
        lambda: read_private_key(tmp_path / "a.key"),
        lambda: read_trusted_keys(tmp_path / "a.key.pub"),
        lambda: key.public.has_signed(b"", key.sign(b"")),
    ):
        with pytest.raises(SigningUnavailableError) as error:
            act()
        assert isinstance(error.value, RegistryError) and "kdzoo[sign]" in error.value.hint


def test_no_passphrase_is_asked_for_a_key_that_others_can_read(tmp_path):
    write_key_pair(SigningKey.generate(), tmp_path / "a", passphrase="open sesame")
    (tmp_path / "a").chmod(0o640)
    with pytest.raises(KeyInvalidError, match="its mode is 640"):
        read_private_key(tmp_path / "a", passphrase=lambda: pytest.fail("asked"))
    (tmp_path / "a").chmod(0o600)
    assert read_private_key(tmp_path / "a", passphrase=lambda: "open sesame")
