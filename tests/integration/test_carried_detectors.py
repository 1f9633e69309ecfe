"""A signed release on its way to a machine without the zoo, as people type it: pull, pack, a stick, predict."""

import json
import os
import shutil
from pathlib import Path

import pytest
from helpers.command import run
from helpers.public_layouts import make_elpv

SMALL = ("--set", "width=0.25", "--set", "batch_size=4", "--set", "epoch_steps=0", "--epochs", 1, "--image-size", 64)


@pytest.fixture
def site(capsys, isolated, tmp_path, monkeypatch):
    """Two signed releases, pulled and packed; from then on there is no zoo, and signatures are asked for."""
    cells = make_elpv(isolated / "kdzoo" / "data" / "elpv")
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "zoo", "keygen", "key").status == 0
    monkeypatch.setenv("KDZOO_SIGNING_KEY", "key")
    trained = ("train", "rd", "-d", "elpv", "-c", "mono", "--teacher", "random-test_resnet", *SMALL)
    assert run(capsys, *trained, "--out", "own", "--publish").status == 0
    good = tmp_path / "good"
    good.mkdir()
    for number, path in enumerate(sorted(cells.rglob("*.png"))[:4]):
        shutil.copy(path, good / f"{number}.png")
    again = run(capsys, "calibrate", "rd", "elpv/mono", "--normals", good, "--false-alarms", "20%")
    assert again.status == 0, again.err
    for number in (1, 2):
        given = ("--release", number, "--out")
        assert run(capsys, "zoo", "pull", "rd/elpv/mono", *given, f"folder{number}").status == 0
        assert run(capsys, "zoo", "pack", "rd", "elpv/mono", *given, f"file{number}").status == 0
    monkeypatch.setenv("KDZOO_ZOO", str(tmp_path / "nowhere"))
    monkeypatch.setenv("KDZOO_REQUIRE_SIGNATURE", "key.pub")
    return good


def scores(capsys, source, images):
    asked = ("--from", source, images, "--out", "judged", "--format", "jsonl", "--no-heatmaps", "--overwrite")
    ran = run(capsys, "predict", *asked)
    assert ran.status == 0, ran.err
    with Path("judged/predictions.jsonl").open() as file:
        return [(row["score"], row["threshold"]) for row in map(json.loads, file)]


def test_it_is_one_thing_wherever_it_goes(capsys, site, tmp_path, monkeypatch):
    before = scores(capsys, "folder1", site)
    assert scores(capsys, "file1", site) == before
    other = scores(capsys, "file2", site)
    assert [one for one, _ in other] == [one for one, _ in before] and other != before, (
        "the weights with new thresholds"
    )
    measured = [run(capsys, "evaluate", "--from", source, "--json") for source in ("file1", "folder1")]
    assert [ran.status for ran in measured] == [0, 0] and measured[0].out == measured[1].out != ""

    packed = run(capsys, "zoo", "pack", "--from", "folder1", "--out", "again")
    assert packed.status == 0 and packed.out.startswith("rd/elpv/mono release 1 in again, ")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "file1").read_bytes()
    assert run(capsys, "zoo", "unpack", "again", "--out", "back").status == 0
    assert run(capsys, "zoo", "unpack", "again", "--out", "back").status == 0, "again, over what it left"
    for path in (tmp_path / "folder1").iterdir():
        assert (tmp_path / "back" / path.name).read_bytes() == path.read_bytes()

    # The same weights under another release's document: it is the manifest that tells them apart.
    shutil.copy("folder2/detector.json", "back/detector.json")
    mixed = run(capsys, "predict", "--from", "back", site, "--out", "judged")
    assert mixed.status == 1 and "is not the document of the manifest beside it" in mixed.err.replace("\n", " ")
    named = json.loads((tmp_path / "folder2" / "detector.json").read_text())["weights"]
    assert named == json.loads((tmp_path / "folder1" / "detector.json").read_text())["weights"]

    own = run(capsys, "predict", "--from", "own", site, "--out", "judged")
    assert own.status == 1 and "is not signed: it has no manifest" in own.err.replace("\n", " ")
    assert run(capsys, "zoo", "pack", "--from", "own", "--out", "unsigned").status == 1
    monkeypatch.delenv("KDZOO_REQUIRE_SIGNATURE")
    assert scores(capsys, "own", site) == before
    packed = run(capsys, "zoo", "pack", "--from", "own", "--out", "unsigned")
    assert packed.status == 0 and scores(capsys, "unsigned", site) == before


def test_what_came_damaged_is_an_error_with_a_next_step(capsys, site, tmp_path):
    whole = (tmp_path / "file1").read_bytes()
    damages = {
        "cut": whole[: len(whole) // 2],
        "altered": whole[:-5000] + bytes([whole[-5000] ^ 1]) + whole[-4999:],
        "photo": sorted(site.iterdir())[0].read_bytes(),
    }
    for name, content in damages.items():
        (tmp_path / name).write_bytes(content)
        for asked in (("predict", "--from", name, site, "--out", "judged"), ("zoo", "unpack", name, "--out", "back")):
            ran = run(capsys, *asked)
            assert ran.status == 1 and "is no whole packed detector" in ran.err.replace("\n", " "), ran.err
    assert not (tmp_path / "back").exists() and not list(tmp_path.glob(".back*"))


@pytest.mark.parametrize(
    "asked",
    [
        ("zoo", "pack", "--out", "x"),
        ("zoo", "pack", "rd", "elpv/mono"),
        ("zoo", "pack", "rd", "elpv/mono", "--from", "folder1", "--out", "x"),
        ("zoo", "pack", "--from", "nowhere", "--out", "x"),
        ("zoo", "pack", "--from", "folder1", "--release", 1, "--out", "x"),
        ("predict", "--from", "nowhere", "good", "--out", "x"),
        ("predict", "rd", "elpv/mono", "--from", "nowhere", "good", "--out", "x"),
    ],
)
def test_what_cannot_be_asked_for(capsys, tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder1", "good"):
        (tmp_path / folder).mkdir()
    assert run(capsys, *asked).status == 2
    assert not (tmp_path / "x").exists()
