"""kdzoo zoo copy as a person types it."""

import json
import os

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish

from zoo_registry import Registry

OTHER = "aand/mvtec/bottle"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.chdir(tmp_path)
    publish(tmp_path / "src", "one")
    publish(tmp_path / "src", "two", entry=OTHER)
    return tmp_path


def open_zoo(folder) -> Registry:
    return Registry.open(folder, cache=folder.parent / "cache")


def test_to_a_folder_and_again(capsys, here):
    planned = json.loads(run(capsys, "zoo", "copy", "src", "dst", "--all", "--dry-run", "--json").out)
    assert planned["dry_run"] is True and not (here / "dst").exists()
    done = json.loads(run(capsys, "zoo", "copy", "src", "dst", "--all", "--json").out)
    assert done == planned | {"dry_run": False}
    assert done["releases"] == [f"{OTHER} release 1", f"{ENTRY} release 1"]
    assert {"entry": ENTRY, "alias": "champion", "release": 1} in done["moved"]
    again = run(capsys, "zoo", "copy", "src", "dst", "--all")
    assert again.status == 0 and again.out.endswith("0 signatures; 2 releases were there\n")
    assert run(capsys, "zoo", "fsck", "--deep", "--zoo", "dst").status == 0


def test_by_pattern_and_alias(capsys, here):
    publish(here / "src", "three")
    done = run(capsys, "zoo", "copy", "src", "dst", "rd/*/*", "--alias", "champion")
    assert f"copied {ENTRY} release 2\n" in done.out and OTHER not in done.out
    assert open_zoo(here / "dst").releases(ENTRY) == [2]


def test_an_alias_that_was_moved_there_stays_and_the_note_says_how_to_move_it(capsys, here):
    publish(here / "src", "three")
    run(capsys, "zoo", "copy", "src", "dst", "--all")
    open_zoo(here / "dst").set_alias(ENTRY, "champion", 1)
    open_zoo(here / "src").set_alias(ENTRY, "champion", 1)
    open_zoo(here / "src").set_alias(ENTRY, "champion", 2)
    done = run(capsys, "zoo", "copy", "src", "dst", "--all", "--json")
    assert done.status == 0 and json.loads(done.out)["kept"][0]["target_release"] == 1
    note = next(line for line in done.err.splitlines() if line.startswith("Note: champion"))
    command = note.partition("kdzoo ")[2].split()
    assert run(capsys, *command, "--force").status == 0
    assert open_zoo(here / "dst").read_alias(ENTRY, "champion").release == 2


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["src", "dst"], 2, "say which entries"),
        (["src", "dst", ENTRY, "--all"], 2, "say which entries"),
        (["src"], 2, "DST"),
        (["src", "src", "--all"], 2, "both"),
        (["nowhere", "dst", "--all"], 1, "no zoo at"),
        (["src", "dst", "rd/*"], 2, "method/dataset/category"),
        (["src", "dst", "mrkd/*/*"], 1, "no entry mrkd"),
        (["src", "dst", "--all", "--alias", "../x"], 2, "not a valid name"),
        (["src", "dst", "--all", "--alias", "staging"], 1, "has alias 'staging'"),
        (["http://x/y", "dst", "--all"], 2, "not understood"),
    ],
)
def test_what_cannot_be_says_why(capsys, here, arguments, status, said):
    ran = run(capsys, "zoo", "copy", *arguments)
    assert (ran.status, ran.out) == (status, "") and said in ran.err
    assert not (here / "dst").exists()


def test_a_conflict_names_both(capsys, here):
    publish(here / "dst", "mine")
    ran = run(capsys, "zoo", "copy", "src", "dst", "--all")
    assert ran.status == 1 and f"{ENTRY} release 1, published" in ran.err
    assert str(here / "src") in ran.err and str(here / "dst") in ran.err and "nothing was copied" in ran.err


def test_offline_refuses_what_takes_a_network(capsys, monkeypatch):
    monkeypatch.setenv("KDZOO_OFFLINE", "1")
    assert run(capsys, "zoo", "copy", "src", "dst", "--all").status == 0
    refused = run(capsys, "zoo", "copy", "src", "s3://bucket/zoo", "--all")
    assert refused.status == 1 and "KDZOO_OFFLINE" in refused.err
