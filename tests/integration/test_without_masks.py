"""ELPV, which has no masks, through every command: what needs pixels is undefined, says so, and breaks nothing."""

import json

import pytest
from helpers.command import run
from helpers.public_layouts import make_elpv

SMALL = ("--set", "width=0.25", "--set", "batch_size=4", "--set", "epoch_steps=0", "--epochs", 2, "--image-size", 64)
TEACHER = ("--teacher", "random-test_resnet")
PIXELS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")


@pytest.fixture(autouse=True)
def cells(isolated):
    return make_elpv(isolated / "kdzoo" / "data" / "elpv")


@pytest.fixture
def trained(capsys, tmp_path):
    done = run(capsys, "train", "rd", "-d", "elpv", "-c", "mono", *SMALL, *TEACHER, "--out", tmp_path / "out")
    assert done.status == 0, done.err
    return tmp_path / "out"


@pytest.mark.parametrize("objective", PIXELS)
def test_an_objective_that_needs_masks_is_refused_before_anything_is_trained(capsys, tmp_path, objective):
    asked = ("-d", "elpv", *SMALL, *TEACHER, "--objective", objective)
    done = run(capsys, "train", "rd", *asked, "-c", "mono", "--out", tmp_path / "out")
    assert done.status == 2
    assert f"the data set has no pixel masks, so '{objective}' cannot be measured" in done.err
    assert "image_auroc" in done.err and not list(tmp_path.rglob("detector.json"))


def test_a_detector_is_trained_measured_and_used(capsys, trained, cells, tmp_path):
    document = json.loads((trained / "detector.json").read_text())
    assert document["dataset"]["name"] == "elpv" and document["dataset"]["category"] == "mono"
    done = run(capsys, "evaluate", "--from", trained, "--json")
    assert done.status == 0, done.err
    result = json.loads(done.out)
    assert set(result["metrics"]) == {"test_image_auroc", "test_image_ap", "test_image_f1_max"}
    assert set(result["undefined"]) == set(PIXELS)
    for part in ("select", "report"):
        plain = run(capsys, "evaluate", "--from", trained, "--part", part)
        assert plain.status == 0, plain.err
    judged = run(capsys, "predict", "--from", trained, cells / "images", "--out", tmp_path / "judged")
    assert judged.status == 0, judged.err


def test_the_unsure_cells_are_reported_where_they_are_asked_for(capsys, tmp_path):
    done = run(capsys, "train", "rd", "-d", "elpv", "-c", "mono-all", *SMALL, *TEACHER, "--out", tmp_path / "out")
    assert done.status == 0, done.err
    assert "one test image each, so that only one side has any: unsure-67" in done.err
    document = json.loads((tmp_path / "out" / "detector.json").read_text())
    assert document["dataset"]["category"] == "mono-all"


def test_it_is_looked_at(capsys, tmp_path):
    shown = run(capsys, "data", "show", "elpv", "-o", tmp_path / "sheet.png")
    assert shown.status == 0 and (tmp_path / "sheet.png").is_file()
    verified = run(capsys, "data", "verify", "elpv", "--json")
    checks = json.loads(verified.out)["categories"]
    assert [check["notes"] for check in checks] == [["no defective image has a mask: pixel metrics stay undefined"]] * 2
    listed = {row["name"]: row for row in json.loads(run(capsys, "data", "--json").out)}
    assert (listed["elpv"]["categories"], listed["elpv"]["state"]) == (2, "incomplete")
