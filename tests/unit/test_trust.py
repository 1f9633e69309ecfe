"""`KDZOO_SIGNING_KEY` and `KDZOO_REQUIRE_SIGNATURE`: what is published is signed, what is loaded must be."""

import os

import pytest
from helpers.trials import small_trial

import kdzoo
from kdzoo.settings import Settings, signing_passphrase
from kdzoo.training.checkpoint import save_tensors
from kdzoo.training.outcome import conclude
from kdzoo.trust import read_signing_key, require_signature
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS, entry_name, open_registry, publish
from zoo_registry.errors import BlobCorruptError, KeyInvalidError, SignatureError, StoreUnavailableError
from zoo_registry.format.signing import SigningKey
from zoo_registry.zoo.key_files import read_private_key, write_key_pair

ENTRY = entry_name("rd", "toy/bottle")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trial")
    trainer = small_trial(folder, "rd", epochs=1)
    trainer.step()
    outcome = conclude(trainer)
    save_tensors(folder / "weights", outcome.method.learned_state())
    files = {
        WEIGHTS: (folder / "weights").read_bytes(),
        TEACHER: outcome.method.teacher.weights(),
        PICTURE: outcome.picture,
    }
    return outcome.document, files


@pytest.fixture(autouse=True)
def keys(tmp_path, monkeypatch):
    """Two pairs of keys; what is published is signed by the first."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for name in ("ours", "theirs"):
        write_key_pair(SigningKey.generate(), tmp_path / name)
    monkeypatch.setenv("KDZOO_SIGNING_KEY", str(tmp_path / "ours"))
    return tmp_path


def publish_here(trained):
    registry = open_registry(Settings.from_environment())
    publish(registry, ENTRY, *trained)
    return registry


def load(**which):
    return kdzoo.load("rd", "toy/bottle", device="cpu", **which)


def test_what_is_published_is_signed_and_loads(trained, keys, monkeypatch):
    registry = publish_here(trained)
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys / "ours.pub"))
    assert load().plan.label == load(release=1).plan.label == "rd/toy/bottle"
    settings = Settings.from_environment()
    key = require_signature(settings, registry, registry.resolve(ENTRY))
    assert key == read_private_key(keys / "ours").public


def test_another_key_and_no_signature_do_not_load(trained, keys, monkeypatch):
    publish_here(trained)
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys / "theirs.pub"))
    for which in ({}, {"release": 1}, {"alias": "champion"}):
        with pytest.raises(SignatureError, match=r"theirs\.pub"):
            load(**which)
    both = (keys / "ours.pub").read_text() + (keys / "theirs.pub").read_text()
    (keys / "both.pub").write_text(both)
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys / "both.pub"))
    assert load().plan.protocol == "holdout"
    monkeypatch.delenv("KDZOO_SIGNING_KEY")
    with pytest.raises(SignatureError, match="release 2 is published, but alias staging was not moved"):
        open_registry(Settings.from_environment()).publish(ENTRY, trained[0], {}, alias="staging")
    with monkeypatch.context() as elsewhere:  # whoever requires nothing can point it there all the same
        elsewhere.delenv("KDZOO_REQUIRE_SIGNATURE")
        open_registry(Settings.from_environment()).set_alias(ENTRY, "staging", 2)
    with pytest.raises(SignatureError, match="release 2"):
        load(alias="staging")


def test_a_keys_file_that_cannot_be_used_lets_nothing_through(trained, keys, monkeypatch):
    publish_here(trained)
    (keys / "empty").touch()
    for name, kind in (("nowhere", StoreUnavailableError), ("empty", KeyInvalidError), ("ours", KeyInvalidError)):
        monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys / name))
        with pytest.raises(kind, match=name):
            load()


@pytest.mark.parametrize("role", [WEIGHTS, TEACHER])
def test_a_blob_of_a_signed_release_that_was_changed_does_not_load(trained, keys, monkeypatch, role):
    registry = publish_here(trained)
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", str(keys / "ours.pub"))
    load()
    settings, sha256 = Settings.from_environment(), registry.resolve(ENTRY).blobs[role].sha256
    for folder in (settings.cache / "zoo", settings.home / "zoo" / "blobs"):
        blob = folder / "sha256" / sha256[:2] / sha256
        blob.chmod(0o644)
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
    with pytest.raises(BlobCorruptError):
        load()


def test_an_encrypted_key_takes_its_passphrase_from_the_environment_or_asks(keys, monkeypatch):
    write_key_pair(SigningKey.generate(), keys / "locked", passphrase="open sesame")
    with pytest.raises(KeyInvalidError, match="no passphrase"):
        read_signing_key(keys / "locked")
    asked = read_signing_key(keys / "locked", ask=lambda: "open sesame")
    monkeypatch.setenv("KDZOO_SIGNING_PASSPHRASE", "open sesame")
    found = read_signing_key(keys / "locked", ask=lambda: pytest.fail("it is in the environment"))
    assert found.public == asked.public


def test_the_passphrase_is_not_in_the_settings(monkeypatch):
    monkeypatch.setenv("KDZOO_SIGNING_PASSPHRASE", "open sesame")
    assert signing_passphrase() == "open sesame"
    assert "open sesame" not in repr(Settings.from_environment())
    assert signing_passphrase({}) is None


def test_a_publisher_without_its_key_is_told_before_anything_is_written(trained, keys, monkeypatch):
    monkeypatch.setenv("KDZOO_SIGNING_KEY", str(keys / "nowhere"))
    registry = open_registry(Settings.from_environment())
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        registry.probe()
    with pytest.raises(StoreUnavailableError, match="nowhere"):
        publish(registry, ENTRY, *trained)
    assert not (Settings.from_environment().home / "zoo").exists()
