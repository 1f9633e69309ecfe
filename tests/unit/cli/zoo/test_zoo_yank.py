"""Withdrawn releases and moves that expire, as a person types them."""

import json
import os

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish
from PIL import Image

import kdzoo
from zoo_registry.errors import SignatureError, StaleError, WithdrawnError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A zoo of three releases, the last its champion, and the working folder."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("KDZOO_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    for text in ("one", "two", "three"):
        publish(tmp_path / "zoo", text)
    return tmp_path


@pytest.fixture
def key(capsys, monkeypatch):
    run(capsys, "zoo", "keygen", "k")
    monkeypatch.setenv("KDZOO_SIGNING_KEY", "k")


def test_nobody_gets_a_withdrawn_release_whatever_leads_to_it(capsys, here):
    done = run(capsys, "zoo", "yank", ENTRY, 3, "--why", "mislabelled", "--who", "ada")
    assert (done.status, done.out) == (0, f"{ENTRY} release 3 is withdrawn\n")
    assert f"alias champion still points at it; move it on: kdzoo zoo rollback {ENTRY}" in done.err
    digest = json.loads(run(capsys, "zoo", "list", "--json").out)[0]["digest"]
    for which in ({}, {"release": 3}, {"digest": digest}):
        with pytest.raises(WithdrawnError, match=r"was withdrawn by ada on .*: mislabelled"):
            kdzoo.load("rd", "demo/weave", **which)
    for command in (("pull",), ("pull", "--release", "3", "--out", "w")):
        refused = run(capsys, "zoo", *command[:1], ENTRY, *command[1:])
        assert refused.status == 1 and "mislabelled" in refused.err and f"kdzoo zoo show {ENTRY}" in refused.err
    assert run(capsys, "zoo", "pack", "rd", "demo/weave", "--out", "w.kdzoo").status == 1
    assert not (here / "w").exists() and not (here / "w.kdzoo").exists()


def test_it_is_shown_and_told(capsys):
    run(capsys, "zoo", "yank", ENTRY, 3, "--why", "mislabelled")
    assert "NOT TO BE USED: it was withdrawn by" in run(capsys, "zoo", "show", ENTRY).out
    listed = run(capsys, "zoo", "list")
    assert listed.status == 0 and "release 3 was withdrawn" in listed.err
    again = json.loads(run(capsys, "zoo", "yank", ENTRY, 3, "--json").out)
    assert again == {"entry": ENTRY, "release": 3, "withdrawn": True, "new": False, "signed": False}


def test_no_alias_is_pointed_at_it_and_the_way_back_passes_it_by(capsys):
    run(capsys, "zoo", "yank", ENTRY, 2)
    assert run(capsys, "zoo", "alias", ENTRY, "staging", 2).status == 1
    assert run(capsys, "zoo", "rollback", ENTRY).out == f"champion of {ENTRY} is release 1\n"


def test_a_withdrawn_champion_stands_in_nobodys_way(capsys):
    refused = run(capsys, "zoo", "promote", ENTRY, 1)
    assert refused.status == 1  # not compared
    run(capsys, "zoo", "yank", ENTRY, 3)
    assert run(capsys, "zoo", "promote", ENTRY, 1).out == f"champion of {ENTRY} is release 1\n"


def test_taken_back(capsys):
    run(capsys, "zoo", "yank", ENTRY, 3)
    assert run(capsys, "zoo", "yank", ENTRY, 3, "--undo").out == f"{ENTRY} release 3 is no longer withdrawn\n"
    assert run(capsys, "zoo", "pull", ENTRY).status == 0
    assert run(capsys, "zoo", "yank", ENTRY, 3, "--undo").status == 1
    assert run(capsys, "zoo", "yank", ENTRY, 3, "--undo", "--why", "x").status == 2
    missing = run(capsys, "zoo", "yank", ENTRY, 9)
    assert missing.status == 1 and "its latest releases: 1, 2, 3" in missing.err


def test_an_alias_that_expires_is_renewed_by_the_command_that_the_error_names(capsys, key):
    made = run(capsys, "zoo", "alias", ENTRY, "champion", 3, "--expires", "0", "--json")
    assert json.loads(made.out)["expires"] is not None and json.loads(made.out)["signature"]["key"]
    with pytest.raises(StaleError, match="was to be followed until") as error:
        kdzoo.load("rd", "demo/weave")
    hint = error.value.hint.partition("renews it: kdzoo ")[2]
    assert f"zoo alias {ENTRY} champion 3" in hint
    assert "was to be followed until" in run(capsys, "zoo", "list").err
    assert run(capsys, "zoo", "show", ENTRY).status == 0
    renewed = run(capsys, *hint.split())
    assert renewed.status == 0 and ", until " in renewed.out
    assert run(capsys, "zoo", "pull", ENTRY).status == 0
    assert run(capsys, "zoo", "rollback", ENTRY, "--expires", "30d").out.startswith(f"champion of {ENTRY} is release 2")
    assert run(capsys, "zoo", "promote", ENTRY, 3, "--force", "--expires", "12h").status == 0
    assert run(capsys, "zoo", "fsck").status == 0
    forever = json.loads(run(capsys, "zoo", "promote", ENTRY, 3, "--json").out)
    assert forever["expires"] is None and forever["number"] == 8


@pytest.mark.parametrize(
    "given", [("champion", 3, "--expires", "soon"), ("champion", "--expires", "3d"), ("x", 1, "--expires", "9999999d")]
)
def test_an_expiry_that_makes_no_sense_is_refused(capsys, key, given):
    assert run(capsys, "zoo", "alias", ENTRY, *given).status == 2


def test_only_signed_moves_expire(capsys):
    refused = run(capsys, "zoo", "alias", ENTRY, "champion", 3, "--expires", "30d")
    assert refused.status == 1 and "KDZOO_SIGNING_KEY" in refused.err


def test_an_alias_of_earlier_times_is_signed_by_setting_it_where_it_is(capsys, key, monkeypatch):
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", "k.pub")
    run(capsys, "zoo", "sign", ENTRY, "--release", "3", "--key", "k")
    assert run(capsys, "zoo", "pull", ENTRY).status == 0  # not yet asked of aliases
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNED_ALIASES", "1")
    with pytest.raises(SignatureError, match=r"alias champion of .* it is not signed"):
        kdzoo.load("rd", "demo/weave")
    assert run(capsys, "zoo", "alias", ENTRY, "champion", 3).status == 0
    assert run(capsys, "zoo", "pull", ENTRY).status == 0
    moves = json.loads(run(capsys, "zoo", "history", ENTRY, "--json").out)
    assert [("signature" in move) for move in moves] == [False, False, False, True]
    assert run(capsys, "zoo", "alias", ENTRY, "champion", 3).status == 0
    assert len(json.loads(run(capsys, "zoo", "history", ENTRY, "--json").out)) == 4


def test_a_demand_without_keys_is_a_mistake(capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNED_ALIASES", "1")
    refused = run(capsys, "zoo", "list")
    assert refused.status == 2 and "KDZOO_REQUIRE_SIGNATURE" in refused.err


def test_verify_tells_of_a_withdrawal(capsys, key):
    run(capsys, "zoo", "sign", ENTRY, "--key", "k")
    assert run(capsys, "zoo", "verify", ENTRY, "--public-key", "k.pub").status == 0
    run(capsys, "zoo", "yank", ENTRY, 3)
    assert run(capsys, "zoo", "verify", ENTRY, "--public-key", "k.pub").status == 1


@pytest.mark.parametrize(
    "command", [("predict", "rd", "demo/weave", ".", "--out", "judged"), ("evaluate", "rd", "demo/weave")]
)
def test_it_judges_nothing(capsys, here, command):
    Image.new("RGB", (32, 32)).save(here / "photo.png")
    run(capsys, "zoo", "yank", ENTRY, 3, "--why", "mislabelled")
    refused = run(capsys, *command)
    assert refused.status == 1 and "mislabelled" in refused.err
