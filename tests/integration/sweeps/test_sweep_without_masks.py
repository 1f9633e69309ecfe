"""A sweep over ELPV, which has no masks, as a person runs it: table, leaderboard, pictures, card and release."""

import json
from pathlib import Path

import pytest
from helpers.command import run
from helpers.public_layouts import make_elpv
from mlflow import MlflowClient

import kdzoo
from kdzoo.settings import Settings

PIXELS = ("pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro")
ASKED = (
    "-d",
    "elpv",
    "--teacher",
    "random-resnet18",
    "--image-size",
    64,
    "--epochs",
    2,
    "--set",
    "epoch_steps=0",
    "--trials",
    1,
)


def test_a_sweep_from_end_to_end(isolated, capsys, local_ray):
    cells = make_elpv(isolated / "kdzoo" / "data" / "elpv")
    refused = run(capsys, "sweep", "rd", *ASKED, "--objective", "pixel_auroc", "--name", "pixels")
    assert refused.status == 2 and "has no pixel masks, so 'pixel_auroc' cannot be measured" in refused.err
    done = run(capsys, "sweep", "rd", *ASKED, "--set", "width=0.25", "--set", "batch_size=4", "--name", "cells")
    assert done.status == 0, done.err
    zoo = isolated / "kdzoo" / "zoo"
    for category in ("mono", "poly"):
        shown = run(capsys, "zoo", "show", f"rd/elpv/{category}", "--zoo", zoo)
        assert shown.status == 0, shown.err
        assert "image_auroc" in shown.out
        assert "test_pixel_auroc is undefined: the data set has no pixel masks" in shown.out
        measured = run(capsys, "evaluate", "rd", f"elpv/{category}", "--zoo", zoo, "--json")
        assert set(json.loads(measured.out)["undefined"]) == set(PIXELS)
    listed = {folder.name for folder in (zoo / "entries" / "rd" / "elpv").iterdir()}
    assert listed == {"mono", "poly"}, "categories on request take no part unless they are named"
    ranked = run(capsys, "leaderboard", "--dataset", "elpv")
    assert ranked.status == 0 and "mono" in ranked.out and "poly" in ranked.out
    nowhere = run(capsys, "leaderboard", "--dataset", "elpv", "--metric", "pixel_auroc")
    assert nowhere.status == 0, nowhere.err
    client = MlflowClient(Settings.from_environment().mlflow_uri)
    (experiment,) = [each for each in client.search_experiments() if each.name == "kdzoo/rd/elpv"]
    found = client.search_runs([experiment.experiment_id], "tags.`kdzoo.level` = 'category'")
    for each in found:
        picture = client.download_artifacts(each.info.run_id, "cases.png")
        assert Path(picture).read_bytes().startswith(b"\x89PNG")
        assert not any(name.removeprefix("test_") in PIXELS for name in each.data.metrics)
    assert len(found) == 2
    detector = kdzoo.load("rd", "elpv/mono", zoo=str(zoo), device="cpu")
    assert detector.predict(cells / "images" / "cell0001.png").overlay().size == (12, 8)


def test_a_category_on_request_is_swept_by_its_name(isolated, capsys, local_ray):
    make_elpv(isolated / "kdzoo" / "data" / "elpv")
    changes = ("--set", "width=0.25", "--set", "batch_size=4")
    done = run(capsys, "sweep", "rd", *ASKED, *changes, "--categories", "poly-all", "--json")
    assert done.status == 0, done.err
    assert [row["category"] for row in json.loads(done.out)["categories"]] == ["poly-all"]


@pytest.mark.parametrize("name", ["mono-every"])
def test_a_category_that_is_not_there(isolated, capsys, name):
    make_elpv(isolated / "kdzoo" / "data" / "elpv")
    done = run(capsys, "sweep", "rd", *ASKED, "--categories", name)
    assert done.status == 2 and f"unknown category '{name}'" in done.err and "mono-all" in done.err
