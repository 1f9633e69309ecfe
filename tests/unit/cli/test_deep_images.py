"""A camera of 12 bits from its files to a decision: verify, train, the detector, predict."""

import json
import shutil

import numpy as np
import pytest
from helpers.command import run
from helpers.raw_images import write_png16
from PIL import Image

from kdzoo.detector import Detector

SMALL = (
    "--teacher",
    "random-test_resnet",
    "--image-size",
    "64",
    "--epochs",
    "1",
    "--set",
    "width=0.25",
    "--set",
    "epoch_steps=0",
)


def eight_bit_parts(root):
    rng = np.random.default_rng(0)
    for place, count in (("train/good", 6), ("test/good", 4), ("test/red", 4)):
        (root / "lid" / place).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(90, 120, (48, 64, 3), dtype=np.uint8)
            if place == "test/red":
                pixels[10:26, 20:40] = (250, 20, 20)
            Image.fromarray(pixels).save(root / "lid" / place / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same parts in 8 bits, and in colour of 12 bits in 16-bit files."""
    eight = eight_bit_parts(tmp_path_factory.mktemp("eight") / "parts")
    twelve = shutil.copytree(eight, tmp_path_factory.mktemp("twelve") / "parts")
    for path in twelve.rglob("*.png"):
        write_png16(path, np.rint(np.asarray(Image.open(path)) * (4095 / 255)).astype(np.uint16))
    return eight, twelve


def test_verify_says_what_mends_nearly_black_images(capsys, sets):
    said = run(capsys, "data", "verify", sets[1])
    assert said.status == 0
    assert "nearly black" in said.out + said.err and "--intensity 0,4095" in said.out + said.err
    assert "black" not in run(capsys, "data", "verify", sets[0]).out


def test_twelve_bits_train_and_predict_as_their_eight_bits_do(capsys, sets, tmp_path):
    found = {}
    for name, root, given in (("eight", sets[0], ()), ("twelve", sets[1], ("--intensity", "auto"))):
        ran = run(capsys, "train", "rd", "-d", root, *SMALL, *given, "--out", tmp_path / name, "--json")
        assert ran.status == 0, ran.err
        judged = run(
            capsys, "predict", "--from", tmp_path / name, root / "lid" / "test", "--out", tmp_path / f"judged-{name}",
            "--format", "jsonl", "--no-heatmaps",
        )  # fmt: skip
        assert judged.status == 0, judged.err
        lines = (tmp_path / f"judged-{name}" / "predictions.jsonl").read_text().splitlines()
        found[name] = json.loads(ran.out.splitlines()[-1]), [json.loads(line)["score"] for line in lines]
    assert found["twelve"][0]["options"]["intensity"] == "0,4095"
    assert found["eight"][0]["options"]["intensity"] == "full"
    # The pixels are the same, so all that follows is.
    assert found["twelve"][1] == found["eight"][1]
    assert found["twelve"][0]["metrics"] == found["eight"][0]["metrics"]
    detector, path = Detector.open(tmp_path / "twelve"), next((sets[1] / "lid" / "test" / "red").glob("*.png"))
    deep = np.rint(np.asarray(Image.open(sets[0] / path.relative_to(sets[1]))) * (4095 / 255)).astype(np.uint16)
    assert detector.predict(deep).score == detector.predict(path).score
    again = run(capsys, "evaluate", "--from", tmp_path / "twelve", "-d", sets[1], "--json")
    measured = json.loads(again.out)["metrics"]
    assert measured["test_image_auroc"] == found["twelve"][0]["metrics"]["test_image_auroc"]


def test_without_it_training_warns(capsys, caplog, sets, tmp_path):
    ran = run(capsys, "train", "rd", "-d", sets[1], *SMALL, "--out", tmp_path / "dark")
    assert ran.status == 0 and "nearly black" in caplog.text and "--intensity 0,4095" in caplog.text


def test_values_above_white_are_warned_of(capsys, caplog, sets, tmp_path):
    given = ("--intensity", "0,1023", "--out", tmp_path / "bright")
    assert run(capsys, "train", "rd", "-d", sets[1], *SMALL, *given).status == 0
    assert "all above 1023 are white" in caplog.text and "nearly black" not in caplog.text


def test_what_is_no_intensity_is_refused_before_anything_is_decoded(capsys, sets, tmp_path):
    ran = run(capsys, "train", "rd", "-d", sets[1], *SMALL, "--intensity", "4095,0", "--out", tmp_path / "none")
    assert ran.status == 2 and "4095,0" in ran.err and not (tmp_path / "none").exists()
