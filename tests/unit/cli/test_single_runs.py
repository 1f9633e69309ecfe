"""train, evaluate, predict and the zoo's commands on real files, each step reading what the one before wrote."""

import csv
import json

import numpy as np
import pytest
from helpers.bank import register_bank
from helpers.command import run
from PIL import Image

from kdzoo.cli.predict import _COLUMNS
from kdzoo.pictures import LEGEND_HEIGHT, LEGEND_WIDTH
from kdzoo.training.document import examined_metrics

SMALL = (
    "--teacher",
    "random-test_resnet",
    "--image-size",
    "64",
    "--epochs",
    "2",
    "--set",
    "width=0.25",
    "--set",
    "batch_size=4",
    "--set",
    "epoch_steps=0",
)


def write(path, rng, *, defect=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(90, 120, (48, 64, 3), dtype=np.uint8)
    if defect:
        pixels[10:26, 20:40] = (250, 20, 20)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A person's own folder of one category."""
    root, rng = tmp_path_factory.mktemp("own") / "lids", np.random.default_rng(0)
    for number in range(8):
        write(root / "small" / "train" / "good" / f"{number}.png", rng)
    for number in range(4):
        write(root / "small" / "test" / "good" / f"{number}.png", rng)
        write(root / "small" / "test" / "red" / f"{number}.png", rng, defect=True)
        mask = np.zeros((48, 64), np.uint8)
        mask[10:26, 20:40] = 255
        target = root / "small" / "ground_truth" / "red" / f"{number}_mask.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(target)
    return root


def test_a_gate_that_does_not_separate_is_said_and_kept(capsys, parts, tmp_path):
    """One epoch of four images opens no gate."""
    given = ("train", "aand", "-d", parts, *SMALL, "--set", "amplify_learning_rate=0.000001", "--out", tmp_path / "run")
    told = run(capsys, *given)
    assert "on planted anomalies: gate_auroc_1 0." in told.err
    assert "Note: the gate does not tell planted anomalies from normal positions: AUROC 0." in told.err
    assert "gate_auroc_3" in told.out
    assert "(planted anomalies)" in told.out
    document = json.loads((tmp_path / "run" / "detector.json").read_text())
    found = document["examined"]["amplify"]
    gates = ["gate_auroc_1", "gate_auroc_2", "gate_auroc_3"]
    assert list(found["metrics"]) == [*gates, *(f"{name}_other" for name in gates)]
    assert found["warnings"][0] in told.err
    assert examined_metrics(document) == found["metrics"]


def test_train_changes_images_where_it_is_asked_to(capsys, parts, tmp_path):
    told = run(capsys, "train", "rd", "-d", parts, *SMALL, "--augment", "rotate, hflip", "--out", tmp_path / "run")
    assert told.status == 0
    assert "Note: train images are changed each time anew, so their features are computed at every step" in told.err
    document = json.loads((tmp_path / "run" / "detector.json").read_text())
    assert document["options"]["augment"] == "hflip,rotate"
    refused = run(capsys, "train", "rd", "-d", parts, *SMALL, "--augment", "rotat", "--out", tmp_path / "no")
    assert refused.status == 2
    assert "did you mean 'rotate'?" in refused.err


def test_train_plants_what_it_is_asked_to(capsys, parts, tmp_path):
    write(tmp_path / "stains" / "rust" / "1.png", np.random.default_rng(1))
    given = ("train", "mrkd", "-d", parts, *SMALL, "--synthesis", "perlin", "--textures", tmp_path / "stains")
    told = json.loads(run(capsys, *given, "--out", tmp_path / "run", "--json").out)
    assert (told["options"]["synthesis"], told["options"]["textures"]) == ("perlin", "folder:stains")
    document = json.loads((tmp_path / "run" / "detector.json").read_text())
    assert document["dataset"]["textures"]["images"] == 1
    measured = run(capsys, "evaluate", "--from", tmp_path / "run", "-d", parts, "--json")
    assert measured.status == 0
    refused = run(
        capsys, "train", "rd", "-d", parts, *SMALL, "--textures", tmp_path / "stains", "--out", tmp_path / "no"
    )
    assert refused.status == 2
    assert "'rd' learns from no planted anomalies" in refused.err


def test_train_evaluate_publish_predict(capsys, parts, tmp_path, monkeypatch):
    out = tmp_path / "run"
    monkeypatch.setenv("KDZOO_WHO", "kim of line 3")
    # The papers' sum: scores below 1, of which float32 keeps the sixth digit however images are batched.
    given = (*SMALL, "--set", "level_scale=sum")
    ran = run(capsys, "train", "rd", "-d", parts, *given, "--out", out, "--publish", "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out.splitlines()[-1])
    assert result["protocol"] == "holdout"
    for name in ("image_auroc", "pixel_auroc", "pixel_ap", "aupro"):
        assert 0 <= result["metrics"][f"test_{name}"] <= 1
    assert result["config"]["width"] == 0.25 and result["config"]["epochs"] == 2
    assert result["checkpoint"] == str(out) and (out / "cases.png").stat().st_size > 1000
    assert result["published"]["release"] == 1
    assert f"digest {result['published']['digest']}\n" in run(capsys, "zoo", "show", "rd/lids/small").out

    for source in (("rd", "lids/small"), ("--from", str(out))):
        again = run(capsys, "evaluate", *source, "-d", parts, "--json")
        measured = json.loads(again.out)
        assert "another split" not in again.err
        for name, value in measured["metrics"].items():
            assert value == pytest.approx(result["metrics"][name], abs=1e-5)
        decided = result["operating_point"]["report"]
        for name, counted in (("false_alarm", decided["false_alarms"]), ("miss", decided["misses"])):
            assert measured[f"{name}_interval"] == [counted["low"], counted["high"]]
        assert measured["false_alarms"] == decided["false_alarms"]["count"]
        assert measured["missed_defects"] == measured["defective_images"] - measured["found_defects"]
        assert measured["calibration"] == result["operating_point"]["calibration"]
    said = run(capsys, "evaluate", "rd", "lids/small", "-d", parts).out
    assert "2 normal images cannot show 1.0 %: 99 would hold it on average" in said
    half = json.loads(
        run(capsys, "evaluate", "rd", "lids/small", "-d", parts, "--json", "--false-positive-rate", "0.5").out
    )
    assert half["calibration"]["asked_rate"] == 0.5 and half["calibration"]["holds"]
    own = run(capsys, "evaluate", "rd", "lids/small", "-d", parts, "--threshold", "0.5").out
    assert "stated" not in own and "false alarms" in own, "of a threshold of a person's own nothing is stated"

    images = sorted((parts / "small" / "test").rglob("*.png"))
    alone = run(capsys, "predict", "rd", "lids/small", images[0])
    assert alone.status == 0 and len(alone.out.splitlines()) == 1
    assert alone.out.startswith(f"{images[0]}: score ") and ", threshold " in alone.out
    (row,) = map(json.loads, run(capsys, "predict", "lids/small", images[0], "--format", "jsonl").out.splitlines())
    assert f"score {row['score']:.4f}, threshold {row['threshold']:.4f}" in alone.out
    several = run(capsys, "predict", "lids/small", *images[:3])
    assert len(several.out.splitlines()) == 3 and "of 3 images are anomalous" in several.err
    ran = run(capsys, "predict", "rd", "lids/small", parts / "small" / "test", "--out", tmp_path / "judged")
    assert ran.status == 0 and f"of {len(images)} images" in ran.out
    with (tmp_path / "judged" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == _COLUMNS and [row["file"] for row in rows] == [str(path) for path in images]
    for row in rows:
        assert row["anomalous"] == str(int(float(row["score"]) > float(row["threshold"])))
        with Image.open(row["heatmap"]) as picture:
            assert picture.size == (LEGEND_WIDTH, 48 + LEGEND_HEIGHT) and LEGEND_WIDTH > 64, "its legend is below"
        box = [int(row[side]) for side in ("left", "top", "right", "bottom") if row[side]]
        assert len(box) == (4 if int(row["regions"]) else 0)
        assert not box or (0 <= box[0] < box[2] <= 64 and 0 <= box[1] < box[3] <= 48 and int(row["area"]) > 0)

    (move,) = json.loads(run(capsys, "zoo", "history", "rd/lids/small", "--json").out)
    assert (move["action"], move["who"]) == ("publish", "kim of line 3")
    listed = json.loads(run(capsys, "zoo", "--json").out)
    released = [(row["entry"], row["method"], row["champion"]) for row in listed]
    assert released == [("best/lids/small", "rd", 1), ("rd/lids/small", "rd", 1)]
    assert "rd/lids/small" in run(capsys, "zoo").out
    assert run(capsys, "zoo", "promote", "rd/lids/small", 1).out == "champion of rd/lids/small is release 1\n"
    assert run(capsys, "zoo", "promote", "rd/lids/small", 7).status == 1
    card = run(capsys, "zoo", "show", "rd/lids/small").out
    assert "protocol" in card and "random-test_resnet" in card
    assert "of 2 (0 to" in card and "2 normal images cannot show 1.0 %" in card
    manifest = json.loads(run(capsys, "zoo", "show", "rd/lids/small", "--json").out)
    assert manifest["document"]["metrics"] == result["metrics"]
    made = manifest["document"]["provenance"]
    assert made["command"].startswith("kdzoo train rd -d ") and made["command"].endswith("--publish --json")
    assert f"kdzoo {made['code']['version']}" in card and made["packages"]["sha256"] in card and made["command"] in card
    assert json.loads((out / "detector.json").read_text())["provenance"] == made

    pulled = tmp_path / "pulled"
    assert run(capsys, "zoo", "pull", "rd/lids/small", "--out", pulled).status == 0
    assert run(capsys, "zoo", "pull", "rd/lids/small", "--out", pulled).status == 0, "again, over what it left"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("x")
    refused = run(capsys, "zoo", "pull", "rd/lids/small", "--out", tmp_path / "mine")
    assert refused.status == 1 and "'notes.txt'" in refused.err and len(list((tmp_path / "mine").iterdir())) == 1
    lines = run(
        capsys,
        "predict",
        "--from",
        pulled,
        images[0],
        "--out",
        tmp_path / "again",
        "--format",
        "jsonl",
        "--no-heatmaps",
    )
    assert lines.status == 0
    row = json.loads((tmp_path / "again" / "predictions.jsonl").read_text())
    assert row["score"] == pytest.approx(float(rows[0]["score"]), abs=1e-6) and row["heatmap"] == ""

    rule = ("--border", "9", "--min-area", "2", "--threshold", "0", "--format", "jsonl", "--no-heatmaps")
    ran = run(capsys, "predict", "--from", pulled, *images, "--out", tmp_path / "inner", *rule)
    assert ran.status == 0
    inner = [json.loads(line) for line in (tmp_path / "inner" / "predictions.jsonl").read_text().splitlines()]
    for row, before in zip(inner, rows, strict=True):
        assert row["score"] <= float(before["score"]) + 1e-6
        assert row["anomalous"] == bool(row["regions"])
        for region in row["regions"]:
            left, top, right, bottom = region["box"]
            assert 9 <= left < right <= 64 - 9 and 9 <= top < bottom <= 48 - 9 and region["area"] >= 2


def test_calibrated_on_train_images_when_asked(capsys, parts, tmp_path):
    out = tmp_path / "run"
    ran = run(
        capsys, "train", "rd", "-d", parts, *SMALL, "--out", out, "--calibration-folds", 2, "--false-alarms", "20%"
    )
    assert ran.status == 0 and "2 more models are trained" in ran.err
    assert "8 train images, scored by models that had not seen them" in ran.out
    assert "11.1 % expected, at most 31.2 % false alarms with 95 % confidence" in ran.out, "one of nine, under 20 %"
    assert run(capsys, "train", "rd", "-d", parts, *SMALL, "--out", out, "--calibration-folds", 1).status == 2


@pytest.mark.parametrize(
    ("setting", "value", "status", "said"),
    [
        ("KDZOO_ZOO", "{here}/notes.txt/zoo", 1, "notes.txt"),
        ("KDZOO_ZOO", "s3://models?x", 2, "'?' or '#'"),
        ("KDZOO_SIGNING_KEY", "{here}/none.key", 1, "none.key"),
        ("KDZOO_SIGNING_KEY", "{here}/notes.txt", 1, "notes.txt"),
    ],
)
def test_what_cannot_be_published_to_is_told_before_the_training(
    capsys, parts, tmp_path, monkeypatch, setting, value, status, said
):
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setenv(setting, value.format(here=tmp_path))
    out = tmp_path / "run"
    ran = run(capsys, "train", "rd", "-d", parts, *SMALL, "--out", out, "--publish")
    assert (ran.status, ran.out) == (status, "") and said in ran.err
    assert "epoch" not in ran.err and list(out.glob("*")) == []


def test_predict_names_an_unreadable_image_and_leaves_it_out_when_asked(capsys, parts, tmp_path):
    out = tmp_path / "run"
    assert run(capsys, "train", "rd", "-d", parts, *SMALL, "--out", out).status == 0
    good = parts / "small" / "test" / "good" / "0.png"
    broken = tmp_path / "broken.png"
    broken.write_bytes(good.read_bytes()[:50])
    ran = run(capsys, "predict", "--from", out, good, broken, "--out", tmp_path / "judged")
    assert ran.status == 1 and "broken.png" in ran.err and "--skip-unreadable" in ran.err
    again = ("predict", "--from", out, good, broken, "--out", tmp_path / "judged", "--skip-unreadable")
    refused = run(capsys, *again)
    assert refused.status == 2 and "is there already" in refused.err and "--overwrite" in refused.err
    ran = run(capsys, *again, "--overwrite")
    assert ran.status == 0 and "1 unreadable" in ran.out
    other = ("predict", "--from", out, good, "--out", tmp_path / "judged", "--format", "jsonl")
    refused = run(capsys, *other)
    assert refused.status == 2 and f"'{tmp_path / 'judged' / 'heatmaps' / '0.png'}' is there already" in refused.err
    assert not (tmp_path / "judged" / "predictions.jsonl").exists(), "nothing was judged"
    assert run(capsys, *other, "--no-heatmaps").status == 0
    assert run(capsys, *other, "--overwrite").status == 0
    ran = run(capsys, "predict", "--from", out, broken, "--out", tmp_path / "none", "--skip-unreadable")
    assert ran.status == 1 and "none of 1 images" in ran.err
    ran = run(capsys, "predict", "--from", out, *[good] * 16, broken, "--out", tmp_path / "most", "--no-heatmaps")
    assert ran.status == 1 and "broken.png" in ran.err
    assert len((tmp_path / "most" / "predictions.csv").read_text().splitlines()) == 17, "what was judged is kept"


def test_a_set_with_one_class_only_says_undefined(capsys, tmp_path):
    rng = np.random.default_rng(1)
    for number in range(6):
        write(tmp_path / "lid" / "train" / "good" / f"{number}.png", rng)
    for number in range(2):
        write(tmp_path / "lid" / "test" / "good" / f"{number}.png", rng)
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", *SMALL, "--json")
    assert ran.status == 0, ran.err
    result = json.loads(ran.out)
    assert result["protocol"] == "synthetic"
    assert "test_image_auroc" not in result["metrics"] and "test_image_auroc" in result["undefined"]
    assert "val_image_auroc" in result["metrics"]
    ran = run(capsys, "evaluate", "--from", result["checkpoint"], "-d", tmp_path / "lid")
    assert ran.status == 0 and "undefined" in ran.out


def test_an_objective_that_cannot_be_measured_is_found_before_training(capsys, tmp_path):
    rng = np.random.default_rng(2)
    for number in range(4):
        write(tmp_path / "lid" / "train" / "good" / f"{number}.png", rng)
        write(tmp_path / "lid" / "test" / "good" / f"{number}.png", rng)
        write(tmp_path / "lid" / "test" / "red" / f"{number}.png", rng, defect=True)
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", *SMALL, "--objective", "pixel_ap")
    assert ran.status == 2
    assert "no pixel masks" in ran.err and "image_auroc" in ran.err and "epoch 1" not in ran.err


def test_a_broken_report_image_does_not_cost_the_trained_detector(capsys, parts, tmp_path):
    import shutil

    from kdzoo.data.layouts.mvtec import read_category
    from kdzoo.data.splits import split

    copy = tmp_path / "lids"
    shutil.copytree(parts, copy)
    reported = split(read_category("lids", "small", copy / "small"), "holdout").report
    next(sample for sample in reported if sample.label).path.write_bytes(b"broken")
    out = tmp_path / "run"
    ran = run(capsys, "train", "rd", "-d", copy, *SMALL, "--out", out)
    assert ran.status == 1 and "kdzoo evaluate --from" in ran.err
    assert "val_image_auroc" in ran.out and "test_image_auroc" not in ran.out
    ran = run(capsys, "evaluate", "--from", out, "-d", parts, "--json")
    assert ran.status == 0 and "test_image_auroc" in json.loads(ran.out)["metrics"]


def test_left_out_images_are_told_and_counted(capsys, parts, tmp_path):
    import shutil

    copy = tmp_path / "lids"
    shutil.copytree(parts, copy)
    (copy / "small" / "train" / "good" / "3.png").write_bytes(b"broken")
    ran = run(capsys, "train", "rd", "-d", copy, *SMALL, "--out", tmp_path / "run", "--skip-unreadable")
    assert ran.status == 0 and "Left out: train/good/3.png" in ran.err
    document = json.loads((tmp_path / "run" / "detector.json").read_text())
    assert document["dataset"]["skipped"] == ["train/good/3.png"] and document["dataset"]["train_images"] == 7


def test_a_method_without_epochs_says_what_it_found(capsys, monkeypatch, parts, tmp_path):
    register_bank(monkeypatch)
    options = ("--teacher", "random-resnet18", "--image-size", 64, "--set", "rows=16", "--json")
    ran = run(capsys, "train", "bank", "-d", parts, *options, "--out", tmp_path / "run")
    assert ran.status == 0, ran.err
    assert "epoch 1/1 fill rows 16.0000 images 8.0000, best image_auroc" in ran.err
    result = json.loads(ran.out)
    assert result["epochs"] == {"trained": 1, "best": 1, "planned": 1}
    assert result["config"] == {"batch_size": 16, "smoothing_sigma": 4.0, "rows": 16}
