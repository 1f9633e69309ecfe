"""A small mark on a large image is lost when it is squashed, and found in tiles: from training to prediction."""

import json

import numpy as np
import pytest
from helpers.command import run
from PIL import Image

from kdzoo.cli.options import build_options
from kdzoo.data.catalog import open_dataset
from kdzoo.detector import Detector
from kdzoo.errors import UsageError
from kdzoo.pictures import LEGEND_HEIGHT
from kdzoo.settings import Settings

SMALL = (
    "--teacher", "random-resnet18", "--epochs", "2", "--set", "batch_size=8",
    "--set", "epoch_steps=0", "--set", "schedule=published", "--set", "warmup=0",
)  # fmt: skip
TILED = "--tile", "64", "--overlap", "16"
HEIGHT, WIDTH = 200, 320


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Noise of 320 x 200 pixels; every second defective image has a mark of 4 x 10 pixels at another place."""
    root, rng = tmp_path_factory.mktemp("own") / "parts", np.random.default_rng(0)

    def write(name, *, mark=None):
        path = root / "lid" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(90, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        if mark is not None:
            top, left = mark
            pixels[top : top + 4, left : left + 10] = 150
            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[top : top + 4, left : left + 10] = 255
            target = root / "lid" / "ground_truth" / "scratch" / f"{path.stem}_mask.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask).save(target)
        Image.fromarray(pixels).save(path)

    for number in range(6):
        write(f"train/good/{number}.png")
        write(f"test/good/{number}.png")
        write(f"test/scratch/{number}.png", mark=(20 + 25 * number, 290 - 45 * number))
    return root


@pytest.fixture(scope="module")
def folder(parts, tmp_path_factory):
    """A detector in tiles."""
    return tmp_path_factory.mktemp("tiled") / "detector"


def trained(capsys, parts, out, *given):
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, *given, "--out", out, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out.splitlines()[-1])


@pytest.fixture
def tiled(capsys, parts, folder):
    if not folder.exists():
        trained(capsys, parts, folder, *TILED)
    return folder


def test_tiles_find_what_squashing_loses(capsys, parts, tiled, tmp_path):
    squashed = trained(capsys, parts, tmp_path / "squashed", "--image-size", "64")["metrics"]
    metrics = json.loads((tiled / "detector.json").read_text())["metrics"]
    assert metrics["test_image_auroc"] == 1.0 > squashed["test_image_auroc"]
    assert metrics["test_pixel_ap"] > 2 * squashed["test_pixel_ap"]


def test_the_release_keeps_its_tiles_and_predicts_by_them(capsys, parts, tiled, tmp_path):
    document = json.loads((tiled / "detector.json").read_text())
    assert document["options"]["resize"] == "tile" and document["input"]["overlap"] == 16
    again = run(capsys, "evaluate", "--from", tiled, "-d", parts, "--json")
    assert again.status == 0 and "note" not in again.err
    assert json.loads(again.out)["metrics"] == pytest.approx(
        {name: value for name, value in document["metrics"].items() if name.startswith("test_")}, rel=1e-5
    )
    ran = run(capsys, "predict", "--from", tiled, parts / "lid/test", "--out", tmp_path / "judged", "--format", "jsonl")
    assert ran.status == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "judged/predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    for row in rows:
        with Image.open(row["heatmap"]) as picture:
            assert picture.size == (WIDTH, HEIGHT + LEGEND_HEIGHT)
        if "scratch" in row["file"]:
            number = int(row["file"][-5])
            left, top, right, bottom = row["regions"][0]["box"]
            assert left <= 295 - 45 * number <= right and top <= 22 + 25 * number <= bottom


def test_another_overlap_or_scale_is_said_to_be_one_that_nobody_calibrated(capsys, parts, tiled, tmp_path):
    for given in (("--overlap", "0"), ("--scale", "0.5"), ("--tile", "64", "--overlap", "24")):
        ran = run(capsys, "evaluate", "--from", tiled, "-d", parts, *given, "--json")
        assert ran.status == 0, ran.err
        assert "its thresholds may not hold" in ran.err
    same = run(capsys, "evaluate", "--from", tiled, "-d", parts, *TILED, "--json")
    assert same.status == 0 and "thresholds" not in same.err
    refused = run(capsys, "predict", "--from", tiled, parts / "lid/test", "--out", tmp_path / "x", "--tile", "128")
    assert refused.status == 2 and "trained on squares of 64" in refused.err


def test_a_detector_of_whole_images_takes_tiles_and_no_details_alone(capsys, parts, tmp_path):
    trained(capsys, parts, tmp_path / "whole", "--image-size", "64")
    image = parts / "lid/test/scratch/0.png"
    ran = run(capsys, "predict", "--from", tmp_path / "whole", image, "--out", tmp_path / "t", "--tile", "64")
    assert ran.status == 0 and "its thresholds may not hold" in ran.err
    assert "the mean over all places is taken off" in ran.err
    alone = run(capsys, "predict", "--from", tmp_path / "whole", image, "--out", tmp_path / "u", "--scale", "2")
    assert alone.status == 2 and "--scale goes with --tile" in alone.err
    assert Detector.open(tmp_path / "whole").tiling is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"tile": 64, "image_size": 128}, "--tile and --image-size both say"),
        ({"tile": 64, "resize": "pad"}, "--tile and --resize both say"),
        ({"overlap": 8}, "--overlap goes with --tile"),
        ({"scale": 0.5, "resize": "pad"}, "--scale goes with --tile"),
    ],
)
def test_options_that_disagree_are_refused(parts, given, said):
    with pytest.raises(UsageError, match=said):
        build_options(open_dataset(str(parts), Settings.from_environment()), given, Settings.from_environment())


def test_a_tile_is_an_image_size_and_a_way_to_see_it(parts):
    dataset = open_dataset(str(parts), Settings.from_environment())
    for given in ({"tile": 128, "overlap": 8}, {"image_size": 128, "resize": "tile", "overlap": 8}):
        options = build_options(
            dataset, {"teacher": "random-resnet18", "scale": None} | given, Settings.from_environment()
        )
        assert (options.image_size, options.resize, options.overlap, options.scale) == (128, "tile", 8, 1.0)


@pytest.mark.parametrize(
    "given", [("--tile", "100"), ("--tile", "64", "--overlap", "40"), ("--tile", "64", "--scale", "9")]
)
def test_tiles_that_cannot_be_are_told_before_anything_is_decoded(capsys, parts, tmp_path, given):
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, *given, "--out", tmp_path / "none")
    assert ran.status == 2 and "Decoding" not in ran.err
    assert not (tmp_path / "none").exists()
