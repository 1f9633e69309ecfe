"""A release's digest where a person sees it, and pasted back."""

import json
import os

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish


@pytest.fixture
def digests(tmp_path, monkeypatch):
    """Of two releases; champion is the first."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setenv("KDZOO_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    return [
        publish(tmp_path / "zoo", text, alias=alias).manifest.digest
        for text, alias in (("one", "champion"), ("two", None))
    ]


def test_it_is_shown_to_be_pasted(capsys, digests):
    card = run(capsys, "zoo", "show", ENTRY).out
    assert f"digest {digests[0]}\n" in card
    assert f'kdzoo.load("rd", "demo/weave", digest="{digests[0]}")' in card
    assert json.loads(run(capsys, "zoo", "list", "--json").out)[0]["digest"] == digests[0]


@pytest.mark.parametrize("pin", [(), ("--release", 2)])
def test_and_taken_by_the_commands(capsys, digests, tmp_path, pin):
    given = (*pin, "--digest", digests[1])
    assert json.loads(run(capsys, "zoo", "show", ENTRY, "--json", *given).out)["release"] == 2
    assert run(capsys, "zoo", "pull", ENTRY, *given).status == 0
    run(capsys, "zoo", "keygen", "k")
    assert run(capsys, "zoo", "sign", ENTRY, "--key", "k", *given).status == 0
    checked = run(capsys, "zoo", "verify", ENTRY, "--public-key", "k.pub", "--json", *given)
    assert json.loads(checked.out)["digest"] == digests[1]


@pytest.mark.parametrize("command", ["show", "pull", "sign", "verify"])
def test_other_bytes_are_refused(capsys, digests, command):
    run(capsys, "zoo", "keygen", "k")
    keys = {"sign": ("--key", "k"), "verify": ("--public-key", "k.pub")}.get(command, ())
    ran = run(capsys, "zoo", command, ENTRY, "--release", 1, "--digest", digests[1], *keys)
    assert (ran.status, ran.out) == (1, "") and "is not the one asked for" in ran.err


def test_so_do_predict_evaluate_and_calibrate(capsys, digests, tmp_path):
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "1.png").touch()
    for words in (
        ("predict", "rd", "demo/weave", "good/1.png", "--out", "out"),
        ("evaluate", "rd", "demo/weave"),
        ("calibrate", "rd", "demo/weave", "--normals", "good"),
    ):
        ran = run(capsys, *words, "--release", 1, "--digest", digests[1])
        assert (ran.status, ran.out) == (1, "") and "is not the one asked for" in ran.err
        none = run(capsys, *words, "--digest", "0" * 64)
        assert none.status != 0 and "is not of the form sha256:" in none.err
    ran = run(capsys, "evaluate", "--from", "good", "--digest", digests[0])
    assert ran.status == 2 and "leave --digest out" in ran.err
