"""keygen, sign, verify, show and pull as a person types them."""

import hashlib
import json
import os
import stat

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish

from zoo_registry.format.signing import SigningKey
from zoo_registry.zoo.key_files import read_private_key, write_key_pair


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A zoo of two releases, its home and the working folder."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("KDZOO_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    publish(tmp_path / "zoo", "one")
    publish(tmp_path / "zoo", "two", alias=None)
    return tmp_path


def test_from_a_new_key_to_a_verified_release(capsys, here):
    made = json.loads(run(capsys, "zoo", "keygen", "release.key", "--json").out)
    assert stat.S_IMODE((here / "release.key").stat().st_mode) == 0o600
    assert read_private_key(here / "release.key").public.key_id == made["key"]
    signed = run(capsys, "zoo", "sign", ENTRY, "--key", "release.key")
    assert (signed.status, signed.out) == (0, f"{ENTRY} release 1 is signed by {made['key']}\n")
    again = json.loads(run(capsys, "zoo", "sign", ENTRY, "--key", "release.key", "--json").out)
    assert again == {"entry": ENTRY, "release": 1, "key": made["key"], "new": False}
    for more in ((), ("--deep",), ("--release", "1", "--json")):
        checked = run(capsys, "zoo", "verify", ENTRY, "--public-key", "release.key.pub", *more)
        assert checked.status == 0 and made["key"] in checked.out
    refused = run(capsys, "zoo", "verify", ENTRY, "--release", 2, "--public-key", "release.key.pub")
    assert (refused.status, refused.out) == (1, "") and "--release 2 --key" in refused.err


def test_deep_reads_the_files(capsys, here):
    run(capsys, "zoo", "keygen", "k")
    run(capsys, "zoo", "sign", ENTRY, "--key", "k")
    blob = next(path for path in (here / "zoo" / "blobs").rglob("*") if path.is_file())
    blob.chmod(0o644)
    blob.write_text("x")
    assert run(capsys, "zoo", "verify", ENTRY, "--public-key", "k.pub").status == 0
    deep = run(capsys, "zoo", "verify", ENTRY, "--deep", "--public-key", "k.pub")
    assert deep.status == 1 and "fsck --deep" in deep.err


def test_what_is_signed_is_shown_and_read_first(capsys, here):
    publish(here / "zoo", "three", alias=None)
    run(capsys, "zoo", "keygen", "k")
    file = here / "zoo" / "entries" / ENTRY / "releases" / "000003.json"
    told = json.loads(file.read_bytes())
    signed = run(capsys, "zoo", "sign", ENTRY, "--release", "3", "--key", "k")
    assert signed.status == 0 and f"{ENTRY} release 3" in signed.err
    assert hashlib.sha256(file.read_bytes()).hexdigest() in signed.err
    for blob in told["blobs"].values():
        assert blob["sha256"] in signed.err
    metrics = {**told["document"], "metrics": {"test_image_auroc": 0.98765, "odd": "text"}}
    file.write_text(json.dumps({**told, "document": metrics}, indent=2, sort_keys=True))
    assert (
        "metrics    test_image_auroc 0.9877\n" in run(capsys, "zoo", "sign", ENTRY, "--release", "3", "--key", "k").err
    )


def test_nobody_vouches_for_files_that_are_others(capsys, here):
    run(capsys, "zoo", "keygen", "k")
    for change in (lambda path: path.write_text("other bytes"), lambda path: path.unlink()):
        for blob in [path for path in (here / "zoo" / "blobs").rglob("*") if path.is_file()]:
            blob.chmod(0o644)
            change(blob)
        ran = run(capsys, "zoo", "sign", ENTRY, "--key", "k")
        assert ran.status == 1 and ran.out == ""
    assert not list((here / "zoo").rglob("signatures"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o666])
def test_a_key_that_others_can_read_is_refused(capsys, here, mode):
    run(capsys, "zoo", "keygen", "k")
    (here / "k").chmod(mode)
    ran = run(capsys, "zoo", "sign", ENTRY, "--key", "k")
    assert ran.status == 1 and f"mode is {mode:o}" in ran.err and "chmod 600 k" in ran.err
    assert not list((here / "zoo").rglob("signatures"))
    (here / "k").chmod(0o400)
    assert run(capsys, "zoo", "sign", ENTRY, "--key", "k").status == 0


def test_an_encrypted_key(capsys, here, monkeypatch):
    refused = run(capsys, "zoo", "keygen", "k", "--encrypt")
    assert refused.status == 2 and "KDZOO_SIGNING_PASSPHRASE" in refused.err and not (here / "k").exists()
    monkeypatch.setenv("KDZOO_SIGNING_PASSPHRASE", "open sesame")
    assert run(capsys, "zoo", "keygen", "k", "--encrypt").status == 0
    assert b"ENCRYPTED" in (here / "k").read_bytes()
    assert run(capsys, "zoo", "sign", ENTRY, "--key", "k").status == 0
    monkeypatch.setenv("KDZOO_SIGNING_PASSPHRASE", "shut sesame")
    wrong = run(capsys, "zoo", "sign", ENTRY, "--key", "k")
    assert wrong.status == 1 and "sesame" not in wrong.err + wrong.out


def test_the_settings_name_the_keys(capsys, here, monkeypatch):
    run(capsys, "zoo", "keygen", "k")
    monkeypatch.setenv("KDZOO_SIGNING_KEY", "k")
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", "k.pub")
    assert run(capsys, "zoo", "pull", ENTRY).status == 1
    assert run(capsys, "zoo", "sign", ENTRY).status == run(capsys, "zoo", "verify", ENTRY).status == 0
    assert run(capsys, "zoo", "pull", ENTRY).status == 0
    assert "trusted, and holds" in run(capsys, "zoo", "show", ENTRY).out


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["sign", ENTRY], 2, "KDZOO_SIGNING_KEY"),
        (["verify", ENTRY], 2, "KDZOO_REQUIRE_SIGNATURE"),
        (["sign", ENTRY, "--key", "nowhere"], 1, "cannot read the key 'nowhere'"),
        (["sign", ENTRY, "--key", "zoo"], 1, "cannot read the key 'zoo'"),
        (["verify", ENTRY, "--public-key", "taken"], 1, "holds no public key"),
        (["sign", "rd/demo/weav", "--key", "good"], 1, "did you mean"),
        (["sign", ENTRY, "--release", "9", "--key", "good"], 1, "no release 9"),
        (["keygen", "taken"], 1, "there already"),
        (["keygen"], 2, "FILE"),
    ],
)
def test_what_cannot_be_says_why(capsys, here, arguments, status, said):
    (here / "taken").touch()
    write_key_pair(SigningKey.generate(), here / "good")
    ran = run(capsys, "zoo", *arguments)
    assert (ran.status, ran.out) == (status, "") and said in ran.err.replace("\n", " ")


def test_show_gives_the_manifests_own_bytes(capsys, here):
    file = here / "zoo" / "entries" / ENTRY / "releases" / "000001.json"
    assert run(capsys, "zoo", "show", ENTRY, "--json").out.encode() == file.read_bytes()
    run(capsys, "zoo", "keygen", "k")
    run(capsys, "zoo", "sign", ENTRY, "--key", "k")
    shown = run(capsys, "zoo", "show", ENTRY).out
    assert "champion" in shown and "not checked; kdzoo zoo verify does" in shown
