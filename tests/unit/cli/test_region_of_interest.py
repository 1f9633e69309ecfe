"""A fixture beside the part alarms, until a region of interest leaves it out: from training to prediction."""

import json

import numpy as np
import pytest
from helpers.command import run
from PIL import Image

import kdzoo
from kdzoo.detector import Detector

SMALL = (
    "--teacher", "random-resnet18", "--image-size", "64", "--epochs", "2", "--set", "batch_size=4",
    "--set", "epoch_steps=0", "--set", "schedule=published", "--set", "warmup=0",
    # Levels as they are: by place, a lamp that no train image shows counts for more where its light falls inside.
    "--set", "level_scale=sum", "--set", "top_t=1",
)  # fmt: skip


def write(path, rng, *, lamp=False, scratch=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(90, 120, (64, 64, 3), dtype=np.uint8)
    if lamp:
        pixels[20:44, 48:62] = (255, 255, 120)
    if scratch:
        pixels[28:36, 4:26] = (10, 10, 10)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A lamp at the right is on in some normal images of the test part alone; scratches lie on the left."""
    root, rng = tmp_path_factory.mktemp("own") / "parts", np.random.default_rng(0)
    for number in range(8):
        write(root / "lid" / "train" / "good" / f"{number}.png", rng)
    for number in range(6):
        write(root / "lid" / "test" / "good" / f"{number}.png", rng, lamp=number % 2 == 0)
        write(root / "lid" / "test" / "scratch" / f"{number}.png", rng, scratch=True)
        mask = np.zeros((64, 64), np.uint8)
        mask[28:36, 4:26] = 255
        target = root / "lid" / "ground_truth" / "scratch" / f"{number}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return root


@pytest.fixture(scope="module")
def roi(tmp_path_factory):
    place = tmp_path_factory.mktemp("roi") / "left.json"
    place.write_text(json.dumps({"polygons": [[[0, 0], [0.7, 0], [0.7, 1], [0, 1]]]}))
    return place


def trained(capsys, parts, out, *given):
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, *given, "--out", out, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out.splitlines()[-1])


def test_a_lamp_outside_of_the_region_does_not_count(capsys, parts, roi, tmp_path):
    whole = trained(capsys, parts, tmp_path / "whole")
    left = trained(capsys, parts, tmp_path / "left", "--roi", roi)
    assert whole["metrics"]["test_image_auroc"] < 1.0
    assert left["metrics"]["test_image_auroc"] == 1.0
    assert whole["options"]["roi"] == ""
    assert json.loads(left["options"]["roi"])["polygons"][0][1] == [0.7, 0.0]
    again = run(capsys, "evaluate", "--from", tmp_path / "left", "-d", parts, "--json")
    assert "another split" not in again.err
    assert json.loads(again.out)["metrics"]["test_image_auroc"] == 1.0


def test_the_release_keeps_its_region_and_prediction_may_have_another(capsys, parts, roi, tmp_path):
    trained(capsys, parts, tmp_path / "left", "--roi", roi)
    lit = parts / "lid" / "test" / "good" / "0.png"
    detector = Detector.open(tmp_path / "left")
    found = detector.predict(lit)
    edge = int(np.ceil(64 * 0.7))
    assert not found.mask[:, edge:].any()
    inside, outside = found.anomaly_map[:, : edge - 1], found.anomaly_map[:, edge:]
    assert set(outside.ravel().tolist()) == {inside.min()}
    assert found.score < detector.set_roi(None).predict(lit).score
    right = tmp_path / "right.png"
    mask = np.zeros((32, 32), np.uint8)
    mask[:, 20:] = 255
    Image.fromarray(mask).save(right)
    assert not detector.set_roi(right).predict(lit).mask[:, :40].any()
    scores = {}
    for name, given in (("own", ()), ("right", ("--roi", right))):
        ran = run(
            capsys, "predict", "--from", tmp_path / "left", lit, "--out", tmp_path / name, "--format", "jsonl",
            "--no-heatmaps", *given,
        )  # fmt: skip
        assert ran.status == 0, ran.err
        scores[name] = json.loads((tmp_path / name / "predictions.jsonl").read_text())["score"]
    assert scores["own"] == pytest.approx(found.score, abs=1e-6)
    assert scores["right"] > scores["own"]


def test_a_border_that_covers_the_region_is_refused(capsys, parts, roi, tmp_path):
    trained(capsys, parts, tmp_path / "left", "--roi", roi)
    corner = tmp_path / "corner.json"
    corner.write_text(json.dumps({"polygons": [[[0, 0], [0.2, 0], [0.2, 0.2], [0, 0.2]]]}))
    detector = Detector.open(tmp_path / "left").set_roi(corner).set_regions(border=20)
    with pytest.raises(kdzoo.KdzooError, match="region of interest lies in the border"):
        detector.predict(parts / "lid" / "test" / "good" / "0.png")


def test_anomalies_are_planted_inside_alone(parts, roi, tmp_path):
    from kdzoo.data.catalog import open_dataset
    from kdzoo.data.roi import Roi
    from kdzoo.settings import Settings
    from kdzoo.training.data import TrialData
    from kdzoo.training.spec import RunOptions

    text = Roi.read(roi).text
    made = {}
    for name, region in (("left", text), ("whole", "")):
        options = RunOptions(image_size=64, protocol="synthetic", roi=region)
        dataset = open_dataset(str(parts), Settings.from_environment())
        made[name] = TrialData(dataset, "lid", options, cache=tmp_path / "cache")
    left, inside = made["left"], Roi.parse(text).inside(64, 64)
    assert not left.foreground[:, ~inside].any()
    assert left.foreground.any()
    assert not left.selection.masks[:, ~inside].any()
    assert left.selection.masks.any()
    assert left.parts.digest != made["whole"].parts.digest
    assert left.describe()["roi"] == {"share": inside.mean()}


def test_what_is_no_region_is_told_before_anything_is_decoded(capsys, parts, tmp_path):
    (tmp_path / "roi.json").write_text("{}")
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, "--roi", tmp_path / "roi.json", "--out", tmp_path / "none")
    assert ran.status == 2 and "roi.json" in ran.err and not (tmp_path / "none").exists()
