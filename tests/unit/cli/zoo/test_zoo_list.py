"""kdzoo zoo list as a person types it."""

import json
import os

import pytest
from helpers.command import run
from helpers.zoos import ENTRY, publish

from zoo_registry import Registry
from zoo_registry.store.folder import FolderStore

OTHER = "aand/mvtec/bottle"


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    folder = tmp_path / "zoo"
    (tmp_path / "w").write_text("weights")
    document = {"protocol": "[red]\x1b[2Jtest", "metrics": {"test_image_auroc": 0.98765, "test_aupro": None, "n": True}}
    registry = Registry.open(folder, cache=tmp_path / "publisher")
    registry.publish(OTHER, document, {"w": tmp_path / "w"})
    publish(folder, "one")
    publish(folder, "two", alias=None)
    publish(folder, "unnamed", entry="rd/demo/print", alias=None)
    return folder


def test_entries_with_their_champions(zoo, capsys):
    ran = run(capsys, "zoo", "list", "--zoo", zoo)
    lines = [line.split() for line in ran.out.splitlines()]
    assert ran.status == 0 and "\x1b[2J" not in ran.out and "Note" not in ran.err
    assert [OTHER, "1", "1", r"[red]\x1b[2Jtest", "0.988", "–"] in lines
    assert [ENTRY, "1", "2", "holdout", "–", "–"] in lines
    assert ["rd/demo/print", "–", "1", "–", "–", "–"] in lines


def test_json_of_it(zoo, capsys):
    rows = json.loads(run(capsys, "zoo", "--zoo", zoo, "--json").out)
    assert [row["entry"] for row in rows] == [OTHER, "rd/demo/print", ENTRY]
    assert rows[0]["metrics"] == {"test_image_auroc": 0.98765} and rows[0]["created"] is not None
    assert [(row["champion"], row["releases"], row["problem"]) for row in rows] == [
        (1, 1, None),
        (None, 1, None),
        (1, 2, None),
    ]


def test_a_champion_that_cannot_be_read_is_a_note_and_a_line(zoo, capsys):
    (zoo / "entries" / ENTRY / "releases" / "000001.json").write_text("{")
    (zoo / "entries" / OTHER / "aliases" / "champion.json").write_text("{")
    ran = run(capsys, "zoo", "list", "--zoo", zoo)
    assert ran.status == 0
    assert f"Note: {ENTRY}: manifest of {ENTRY} release 1" in ran.err and f"Note: {OTHER}: alias champion" in ran.err
    assert [ENTRY, "–", "2", "–", "–", "–"] in [line.split() for line in ran.out.splitlines()]


def test_it_takes_one_listing_and_two_small_files_an_entry(zoo, capsys, monkeypatch):
    asked = []

    def counted(name):
        real = getattr(FolderStore, name)

        def ask(self, key, *args, **options):
            asked.append((name, key))
            return real(self, key, *args, **options)

        return ask

    for name in ("list", "scan", "get", "read", "stat"):
        monkeypatch.setattr(FolderStore, name, counted(name))
    run(capsys, "zoo", "list", "--zoo", zoo)
    assert [key for name, key in asked if name == "list"] == ["entries/"]
    read = {key for name, key in asked if name in ("get", "read")}
    assert len(read) == 4 and all(key.endswith(("/champion.json", "/000001.json")) for key in read)


def test_an_empty_zoo_and_none(tmp_path, capsys):
    (tmp_path / "zoo" / "entries").mkdir(parents=True)
    ran = run(capsys, "zoo", "list", "--zoo", tmp_path / "zoo")
    assert (ran.status, ran.out) == (0, "") and "kdzoo sweep" in ran.err
    ran = run(capsys, "zoo", "list", "--zoo", tmp_path / "none")
    assert ran.status != 0 and "no zoo at" in ran.err
