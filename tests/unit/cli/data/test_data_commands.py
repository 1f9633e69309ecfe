"""`kdzoo data list`, `verify` and `show`: what they print, write, and end with."""

import json

import numpy as np
import pytest
from helpers.command import run
from helpers.layouts import make_category, write_mask
from PIL import Image

SIDE = 160
OUTLINE = (0, 255, 230)


@pytest.fixture
def parts(tmp_path):
    """Six train images of a dark disc on a light ground, two test images, one with a mask."""
    root = make_category(tmp_path / "parts" / "lid", train=6, good=1, defects={"scratch": 1})
    y, x = np.mgrid[:64, :64] - 31.5
    rng = np.random.default_rng(0)
    for path in sorted((root / "train").rglob("*.png")) + sorted((root / "test").rglob("*.png")):
        grey = np.where(np.hypot(y, x) < 20, 60, 220) + rng.integers(-4, 5, (64, 64))
        Image.fromarray(grey.astype(np.uint8)).convert("RGB").save(path)
    write_mask(root / "ground_truth" / "scratch" / "000_mask.png", size=(64, 64))
    return tmp_path / "parts"


def pictures(path, cell, columns=4):
    """The two pictures of a cell of a sheet."""
    page = np.asarray(Image.open(path))
    left, top = 16 + cell % columns * (2 * SIDE + 16), 36 + 34 + cell // columns * (SIDE + 40)
    return [page[top : top + SIDE, left + n * (SIDE + 4) : left + n * (SIDE + 4) + SIDE] for n in range(2)]


def outlined(picture):
    return (np.abs(picture.astype(int) - OUTLINE) < 60).all(axis=2).any()


@pytest.mark.parametrize("words", [("data",), ("data", "list")])
def test_the_list_names_every_data_set_and_what_to_run(capsys, words, parts):
    assert run(capsys, "data", "add", "lids", parts).status == 0
    ran = run(capsys, *words)
    assert ran.status == 0, ran.err
    for expected in ("mvtec: not there: kdzoo data download mvtec", "CC BY-NC-SA 4.0", "0 of 15", str(parts)):
        assert expected in ran.out
    assert "lids: parts: kdzoo sweep aand --dataset lids" in ran.out


@pytest.mark.parametrize("words", [("data", "--json"), ("data", "list", "--json")])
def test_the_list_as_json(capsys, words):
    rows = json.loads(run(capsys, *words).out)
    assert [row["name"] for row in rows][:2] == ["demo", "mvtec"]
    assert rows[1]["state"] == "missing" and rows[1]["expected_images"] == 5354


def test_the_group_still_has_its_help_and_its_other_commands(capsys):
    ran = run(capsys, "data", "--help")
    assert ran.status == 0 and all(word in ran.out for word in ("list", "verify", "show", "preview"))
    ran = run(capsys, "data", "verfy")
    assert ran.status == 2 and "did you mean 'verify'" in ran.err


def test_a_whole_data_set_is_verified(capsys, parts):
    ran = run(capsys, "data", "verify", parts)
    assert ran.status == 0, ran.err
    assert "Everything is there, and can be read." in ran.out
    said = json.loads(run(capsys, "data", "verify", parts, "--json").out)
    assert said["ok"] and said["dataset"] == "parts" and said["root"] == str(parts)
    (lid,) = said["categories"]
    assert lid["images"] == {"train": 6, "validation": 0, "test_normal": 1, "test_defective": 1}
    assert len(lid["fingerprint"]) == 64


def test_what_is_wrong_is_listed_and_ends_in_status_1(capsys, parts):
    (parts / "lid" / "train" / "good" / "004.png").write_bytes(b"damaged")
    write_mask(parts / "lid" / "ground_truth" / "scratch" / "000_mask.png", size=(32, 64))
    ran = run(capsys, "data", "verify", parts)
    assert ran.status == 1 and "2 problems in the data set 'parts'" in ran.err
    assert "unreadable: lid/train/good/004.png: image" in ran.out
    assert "mask: lid/test/scratch/000.png: mask" in ran.out and "is 32x64 pixels" in ran.out
    ran = run(capsys, "data", "verify", parts, "-c", "lid", "--json")
    assert ran.status == 1
    said = json.loads(ran.out)
    assert not said["ok"]
    assert [problem["kind"] for problem in said["categories"][0]["problems"]] == ["mask", "unreadable"]


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("verify", "demoo"), 2, "did you mean 'demo'"),
        (("verify", "visa"), 1, "kdzoo data download visa"),
        (("verify", "PARTS", "-c", "lidd"), 2, "did you mean 'lid'"),
        (("show", "PARTS", "-o", "OUT", "-c", "lidd"), 2, "did you mean 'lid'"),
        (("show", "PARTS", "-o", "OUT", "--rule", "light"), 2, "add --foreground"),
        (("show", "PARTS", "-o", "OUT", "--foreground", "--rule", "ligth"), 2, "did you mean 'light'"),
        (("show", "PARTS", "-o", "OUT", "--foreground", "--foreground-masks", "nowhere"), 1, "no folder of foreground"),
        (("show", "PARTS", "-o", "OUT", "--foreground", "--rule", "auto", "--foreground-masks", "x"), 2, "give one"),
        (("show", "PARTS"), 2, "--out"),
    ],
)
def test_wrong_usage_is_named_and_writes_nothing(capsys, parts, tmp_path, words, status, named):
    out = tmp_path / "sheet.png"
    ran = run(capsys, "data", *({"PARTS": parts, "OUT": out}.get(word, word) for word in words))
    assert ran.status == status
    assert named in ran.err and not out.exists()


def test_a_sheet_shows_normal_images_and_defects_with_their_outline(capsys, parts, tmp_path):
    out = tmp_path / "sheets" / "sheet.png"
    ran = run(capsys, "data", "show", parts, "-c", "lid", "-o", out, "--count", 3, "--image-size", 64, "--json")
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    assert (said["images"], said["categories"], said["foreground"]) == (4, ["lid"], None)
    assert not any(outlined(picture) for cell in range(3) for picture in pictures(out, cell))
    plain, marked = pictures(out, 3)
    assert not outlined(plain) and outlined(marked)
    assert len(list(out.parent.iterdir())) == 1  # nothing unfinished is left beside it


def test_the_foreground_is_outlined(capsys, parts, tmp_path):
    out = tmp_path / "sheet.png"
    ran = run(capsys, "data", "show", parts, "--foreground", "-o", out, "--image-size", 64, "--count", 2, "--json")
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    disc = np.pi * 20**2 / 64**2
    assert said["images"] == 2 and abs(said["foreground"]["lid"] - disc) < 0.02
    plain, marked = pictures(out, 0)
    assert not outlined(plain) and outlined(marked)
    ran = run(capsys, "data", "show", parts, "--foreground", "--rule", "whole", "-o", out, "--image-size", 64)
    assert "lid: the product is the whole image" in ran.out


def test_the_foreground_of_a_persons_masks(capsys, parts, tmp_path):
    for number in range(6):
        write_mask(tmp_path / "masks" / f"{number:03}.png", size=(64, 64))
    ran = run(
        capsys, "data", "show", parts, "--foreground", "--foreground-masks", tmp_path / "masks", "-o",
        tmp_path / "sheet.png", "--image-size", 64, "--json",
    )  # fmt: skip
    assert json.loads(ran.out)["foreground"] == {"lid": 0.5}


def test_an_output_that_cannot_be_written_is_named(capsys, parts, tmp_path):
    (tmp_path / "file").write_text("x")
    ran = run(capsys, "data", "show", parts, "-o", tmp_path / "file" / "sheet.png")
    assert ran.status == 1 and "sheet.png" in ran.err
