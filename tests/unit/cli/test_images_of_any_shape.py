"""Images that are not square, from training to the table of regions: stretched as ever, or padded."""

import json

import numpy as np
import pytest
from helpers.command import run
from PIL import Image

from kdzoo.detector import Detector
from kdzoo.pictures import LEGEND_HEIGHT, LEGEND_WIDTH

WIDTH, HEIGHT = 96, 32
SMALL = ("--teacher", "random-test_resnet", "--image-size", "64", "--epochs", "2", "--set", "batch_size=4")
HOLE = (slice(10, 20), slice(60, 76))


def write(path, rng, *, hole=False, upright=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(90, 120, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    if hole:
        pixels[HOLE] = (10, 10, 10)
    Image.fromarray(pixels.transpose(1, 0, 2) if upright else pixels).save(path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Strips with a hole in some; every second one lies upright."""
    root, rng = tmp_path_factory.mktemp("own") / "parts", np.random.default_rng(0)
    for number in range(8):
        write(root / "lid" / "train" / "good" / f"{number}.png", rng, upright=number % 2 == 1)
    for number in range(6):
        upright = number % 2 == 1
        write(root / "lid" / "test" / "good" / f"{number}.png", rng, upright=upright)
        write(root / "lid" / "test" / "hole" / f"{number}.png", rng, hole=True, upright=upright)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[HOLE] = 255
        target = root / "lid" / "ground_truth" / "hole" / f"{number}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask.T if upright else mask).save(target)
    return root


@pytest.fixture(scope="module")
def detector(parts, tmp_path_factory):
    """Where a padded detector was trained."""
    return tmp_path_factory.mktemp("runs") / "pad"


@pytest.fixture(scope="module")
def made(parts, detector):
    from click.testing import CliRunner

    from kdzoo.cli.train import train

    words = ["rd", "-d", parts, *SMALL, "--resize", "pad", "--out", detector, "--json"]
    ran = CliRunner().invoke(train, [str(word) for word in words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout.splitlines()[-1])


def test_the_release_says_that_it_pads_and_what_that_costs(made, detector):
    assert made["options"]["resize"] == "pad"
    document = Detector.open(detector).document
    assert document["input"]["resize"] == "bilinear-antialiased-padded"
    assert document["dataset"]["padding"]["share"] == pytest.approx(1 - 21 / 64)
    assert made["metrics"]["test_image_auroc"] == 1.0


def test_evaluate_finds_what_training_found(capsys, made, parts, detector):
    again = run(capsys, "evaluate", "--from", detector, "-d", parts, "--json")
    assert again.status == 0 and "another split" not in again.err
    measured = json.loads(again.out)["metrics"]
    for name, value in made["metrics"].items():
        assert name.startswith("val_") or measured[name] == pytest.approx(value, abs=1e-6)


def test_predict_gives_regions_in_the_images_own_pixels(capsys, made, parts, detector, tmp_path):
    folder = parts / "lid" / "test" / "hole"
    # Marked is what no normal image reaches; a lower mark shows more of the hole.
    ran = run(
        capsys, "predict", "--from", detector, folder, "--out", tmp_path, "--format", "jsonl", "--min-area", "20",
        "--false-positive-rate", "0.4",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    for number, row in enumerate(rows):
        upright = number % 2 == 1
        assert row["anomalous"]
        left, top, right, bottom = row["regions"][0]["box"]
        if upright:
            left, top, right, bottom = top, left, bottom, right
        assert 0 <= left < right <= WIDTH and 0 <= top < bottom <= HEIGHT
        assert left < 68 < right and top < 15 < bottom, "the middle of the hole"
        with Image.open(row["heatmap"]) as picture:
            width, height = (HEIGHT, WIDTH) if upright else (WIDTH, HEIGHT)
            assert picture.size == (max(width, LEGEND_WIDTH), height + LEGEND_HEIGHT)


def test_without_the_option_images_are_stretched(capsys, parts, tmp_path):
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, "--out", tmp_path / "own", "--json")
    assert ran.status == 0, ran.err
    assert json.loads(ran.out.splitlines()[-1])["options"]["resize"] == "stretch"
    document = Detector.open(tmp_path / "own").document
    assert document["input"]["resize"] == "bilinear-antialiased-square" and "padding" not in document["dataset"]


def test_another_word_is_refused_before_anything_is_decoded(capsys, parts, tmp_path):
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, "--resize", "crop", "--out", tmp_path / "none")
    assert ran.status == 2 and "resize" in ran.err and "stretch" in ran.err and not (tmp_path / "none").exists()
