"""`kdzoo data preview`: what it says, and what is on the sheet."""

import json

import numpy as np
import pytest
from helpers.command import run
from helpers.layouts import make_category
from PIL import Image

SIDE = 160


@pytest.fixture
def parts(tmp_path):
    """A category of six images of noise, each of its own colour."""
    rng = np.random.default_rng(0)
    root = make_category(tmp_path / "lid", train=6)
    for path in (root / "train" / "good").iterdir():
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return root


def pictures(page, cell):
    """The three pictures of a cell."""
    left, top = 16 + cell % 2 * (3 * SIDE + 16), 36 + 34 + cell // 2 * (SIDE + 40)
    return [page[top : top + SIDE, left + n * (SIDE + 4) : left + n * (SIDE + 4) + SIDE].astype(int) for n in range(3)]


@pytest.mark.parametrize("synthesis", ["perlin", "nsa", "cutpaste"])
def test_a_sheet_shows_image_anomaly_and_outline(capsys, parts, tmp_path, synthesis):
    out = tmp_path / "sheets" / "sheet.png"
    ran = run(
        capsys, "data", "preview", "--synthesis", synthesis, "-d", parts, "-c", "lid", "-o", out, "--count", 4,
        "--image-size", 64, "--set", "probability=1", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    said = json.loads(ran.out)
    assert said["sheet"] == str(out) and said["category"] == "lid/lid"
    assert said["images"] == len(said["mask_shares"]) == 4
    assert said["anomalous"] == sum(share > 0 for share in said["mask_shares"].values()) >= 2
    page = np.asarray(Image.open(out))
    assert page.shape == (2 * (SIDE + 40) + 40, 2 * (3 * SIDE + 16) + 16, 3)
    for cell, (name, share) in enumerate(said["mask_shares"].items()):
        original, planted, outlined = pictures(page, cell)
        expected = np.asarray(Image.open(parts / name).convert("RGB").resize((SIDE, SIDE))).astype(int)
        assert np.array_equal(original, expected)
        assert (original != planted).any() == (planted != outlined).any() == (share > 0)


def test_the_same_seed_gives_the_same_file_and_another_seed_another(capsys, parts, tmp_path):
    for name, seed in (("one", 5), ("two", 5), ("other", 6)):
        ran = run(
            capsys, "data", "preview", "-d", parts, "-c", "lid", "-o", tmp_path / name, "--count", 2, "--seed", seed
        )
        assert ran.status == 0, ran.err
        assert f"of 2 images have an anomaly: {tmp_path / name}" in ran.out
    one, two, other = ((tmp_path / name).read_bytes() for name in ("one", "two", "other"))
    assert one == two != other


def test_all_images_are_shown_where_there_are_fewer_than_asked_for(capsys, parts, tmp_path):
    ran = run(capsys, "data", "preview", "-d", parts, "-c", "lid", "-o", tmp_path / "sheet.png", "--count", 9, "--json")
    assert json.loads(ran.out)["images"] == 6


def test_textures_come_from_a_folder(capsys, parts, tmp_path):
    (tmp_path / "photographs").mkdir()
    Image.new("RGB", (20, 20), "red").save(tmp_path / "photographs" / "red.png")
    common = ("data", "preview", "-d", parts, "-c", "lid", "--textures", tmp_path / "photographs")
    assert run(capsys, *common, "-o", tmp_path / "sheet.png").status == 0
    ran = run(capsys, *common, "-o", tmp_path / "sheet.png", "--synthesis", "nsa")
    assert ran.status == 2 and "'nsa' fills nothing with textures" in ran.err


@pytest.mark.parametrize(
    ("changed", "status", "named"),
    [
        (("--synthesis", "perlim"), 2, "did you mean 'perlin'"),
        (("--set", "probabilty=1"), 2, "did you mean 'probability'"),
        (("--set", "probability=7"), 2, "out of range"),
        (("-c", "lids"), 2, "did you mean 'lid'"),
        (("--count", "0"), 2, "--count"),
        (("--textures", "nowhere"), 1, "no textures in nowhere"),
    ],
)
def test_wrong_usage_is_named_and_writes_nothing(capsys, parts, tmp_path, changed, status, named):
    out = tmp_path / "sheet.png"
    ran = run(capsys, "data", "preview", "-d", parts, "-c", "lid", "-o", out, *changed)
    assert ran.status == status
    assert named in ran.err and not out.exists()


def test_an_unknown_data_command_names_the_nearest(capsys):
    ran = run(capsys, "data", "preveiw")
    assert ran.status == 2 and "did you mean 'preview'" in ran.err
