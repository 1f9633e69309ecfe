"""Where a signature is required, no alias is pointed at a release without one: by hand, by a publisher, or back."""

import json
import os

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish

from kdzoo.settings import Settings
from kdzoo.zoo import open_registry
from kdzoo.zoo import publish as publish_detector
from zoo_registry import EntryName
from zoo_registry.errors import SignatureError


@pytest.fixture
def here(tmp_path, monkeypatch, capsys):
    """A zoo of three releases: champion is 1, and 1 and 3 are signed; a signature is required."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("KDZOO_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    for number, text in enumerate(("one", "two", "three")):
        publish(tmp_path / "zoo", text, alias=None if number else "champion")
    run(capsys, "zoo", "keygen", "k")
    for release in (1, 3):
        assert run(capsys, "zoo", "sign", ENTRY, "--release", release, "--key", "k").status == 0
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", "k.pub")
    return tmp_path


def champion(capsys) -> int:
    return int(json.loads(run(capsys, "zoo", "alias", ENTRY, "champion", "--json").out)["release"])


@pytest.mark.parametrize(
    "words",
    [
        ("promote", ENTRY, 2),
        ("promote", ENTRY, 2, "--force"),
        ("promote", ENTRY, 2, "--alias", "staging"),
        ("alias", ENTRY, "staging", 2),
        ("alias", ENTRY, "champion", 2, "--force"),
    ],
)
def test_an_unsigned_release_by_hand(capsys, here, words, monkeypatch):
    if "--force" not in words and "staging" not in words:
        words = (*words, "--force")
    ran = run(capsys, "zoo", *words)
    assert (ran.status, ran.out) == (1, "") and "is not signed by a key of" in ran.err
    assert f"kdzoo zoo sign {ENTRY} --release 2" in ran.err
    assert champion(capsys) == 1 and run(capsys, "zoo", "alias", ENTRY, "staging").status == 1
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    assert run(capsys, "zoo", *words).status == 0


def test_a_signed_one_is_taken(capsys, here):
    assert run(capsys, "zoo", "promote", ENTRY, 3, "--force").status == 0
    assert run(capsys, "zoo", "alias", ENTRY, "staging", 1).status == 0
    assert champion(capsys) == 3


def test_there_is_no_way_back_to_an_unsigned_one(capsys, here, monkeypatch):
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    for release in (2, 3):
        assert run(capsys, "zoo", "promote", ENTRY, release, "--force").status == 0
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", "k.pub")
    assert run(capsys, "zoo", "rollback", ENTRY).status == 1
    assert champion(capsys) == 3


@pytest.mark.parametrize("signs", [True, False])
def test_the_automatic_champion(capsys, here, monkeypatch, signs):
    """A first champion needs no comparison; without a key its release stands and is nobody's champion."""
    if signs:
        monkeypatch.setenv("KDZOO_SIGNING_KEY", "k")
    registry, entry = open_registry(Settings.from_environment()), EntryName.parse("rd/demo/print")
    done = publish_detector(registry, entry, {"note": "new"}, {"weights": b"w"})
    assert done.release == 1 and done.promoted is signs
    assert list(registry.aliases(entry)) == (["champion"] if signs else [])
    if not signs:
        assert "champion was not moved" in done.note and "is not signed by a key of" in done.note


@pytest.mark.parametrize("signs", [True, False])
def test_an_alias_that_a_publish_moves_itself(here, monkeypatch, signs):
    if signs:
        monkeypatch.setenv("KDZOO_SIGNING_KEY", "k")
    registry = open_registry(Settings.from_environment())
    if signs:
        assert registry.publish(ENTRY, {}, {}, alias="line-3").alias == "line-3"
        return
    with pytest.raises(SignatureError, match="release 4 is published, but alias line-3 was not moved"):
        registry.publish(ENTRY, {}, {}, alias="line-3")
    assert registry.releases(ENTRY) == [1, 2, 3, 4] and "line-3" not in registry.aliases(ENTRY)
