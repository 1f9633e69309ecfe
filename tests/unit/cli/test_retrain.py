"""`kdzoo retrain`: a release's configuration on the data as it is now, compared with its champion."""

import json
import shutil

import pytest
from helpers.command import run
from helpers.layouts import make_category, make_dataset, write_image, write_mask

SMALL = ("--set", "epoch_steps=2", "--set", "batch_size=4", "--set", "width=0.25", "--image-size", "64")
VALUES = {"selection": "val_image_auroc", "report": "test_image_auroc"}
AAND = ("--epochs", "2", *SMALL, "--teacher", "random-resnet18", "--device", "cpu")


@pytest.mark.parametrize(
    ("protocol", "seed", "decisive", "others", "changed"),
    [
        ("holdout", 3, "selection", "train (20 here, 10 there)", {"train"}),
        ("synthetic", 6, "report", "train (16 here, 8 there) and selection (4 here, 2 there)", {"train", "selection"}),
    ],
)
def test_more_train_images_are_compared_with_the_champion(
    tmp_path, monkeypatch, capsys, protocol, seed, decisive, others, changed
):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    parts = tmp_path / "parts"
    make_category(parts / "bottle", train=10)
    first = run(
        capsys, "train", "rd", "-d", parts, "--epochs", "2", "--seed", seed, *SMALL, "--teacher", "random-resnet18",
        "--protocol", protocol, "--device", "cpu", "--publish", "--json",
    )  # fmt: skip
    assert first.status == 0, first.err
    before = json.loads(first.out)
    good = parts / "bottle" / "train" / "good"
    for image in sorted(good.glob("*.png")):
        shutil.copy(image, good / f"more-{image.name}")
    known = run(capsys, "retrain", "rd/parts/bottle")
    assert known.status == 2
    assert "--dataset PATH" in known.err
    ran = run(
        capsys, "retrain", "parts/bottle", "-d", parts, "--device", "cpu", "--json", "--out", tmp_path / "again"
    )  # fmt: skip
    assert ran.status == 0, ran.err
    now = json.loads(ran.out)
    assert now["config"] == before["config"]
    assert now["options"] == before["options"]
    was, is_now = (each["metrics"][VALUES[decisive]] for each in (before, now))
    assert now["published"]["note"] == (
        f"champion 1 stays ({was:.4f}, here {is_now:.4f}); on the same {decisive} images, with other {others} images"
    )
    assert is_now < was
    assert "rd/parts/bottle again, as release 1 of best/parts/bottle was trained" in ran.err
    document = json.loads((tmp_path / "again" / "detector.json").read_bytes())
    shown = json.loads(run(capsys, "zoo", "show", "rd/parts/bottle", "--release", "1", "--json").out)["document"]
    assert document["teacher"]["sha256"] == shown["teacher"]["sha256"]
    parts_then = shown["split"]["parts"]
    assert {name for name, digest in document["split"]["parts"].items() if digest != parts_then[name]} == changed


def photographs(folder, *colours):
    for index, colour in enumerate(colours):
        write_image(folder / f"{index}.png", colour, (32, 32))


def test_photographs_that_filled_anomalies_are_asked_for_and_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "parts", ("bottle",))
    photographs(tmp_path / "own" / "stains", (200, 10, 10), (10, 200, 10))
    photographs(tmp_path / "stains", (1, 2, 3))  # of the same name, where the command runs
    first = run(
        capsys, "train", "aand", "-d", "parts/", *AAND, "--textures", tmp_path / "own" / "stains", "--publish",
    )  # fmt: skip
    assert first.status == 0, first.err
    again = ("retrain", "aand/parts/bottle", "-d", "parts/", "--device", "cpu", "--json", "--no-publish")
    asked = run(capsys, *again)
    assert asked.status == 2
    assert "photographs of 'stains'" in asked.err and "--textures FOLDER" in asked.err
    same = run(capsys, *again, "--textures", "own/stains", "--out", "same")
    assert same.status == 0, same.err
    assert "not those that the release" not in same.err
    document = json.loads((tmp_path / "same" / "detector.json").read_bytes())
    assert document["options"]["textures"] == "folder:stains" and document["dataset"]["textures"]["images"] == 2
    other = run(capsys, *again, "--textures", "stains", "--out", "other")
    assert other.status == 0, other.err
    assert "stains are not those that the release was trained with: 1 of sha256" in other.err
    assert "... now, 2 of sha256" in other.err


def test_a_known_collection_of_textures_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    make_dataset(tmp_path / "parts", ("bottle",))
    images = tmp_path / "home" / "data" / "dtd" / "images"
    for number in range(47):
        photographs(images / f"kind{number:02}", (number, 2 * number, 9))
    first = run(capsys, "train", "aand", "-d", tmp_path / "parts", *AAND, "--textures", "dtd", "--publish")
    assert first.status == 0, first.err
    again = ("retrain", "aand/parts/bottle", "-d", tmp_path / "parts", "--device", "cpu", "--no-publish")
    ran = run(capsys, *again)
    assert ran.status == 0, ran.err
    assert "not those that the release" not in ran.err
    images.rename(images.with_name("gone"))
    gone = run(capsys, *again)
    assert gone.status == 1 and "kdzoo data download dtd" in gone.err


def test_textures_say_nothing_to_a_release_without(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    make_dataset(tmp_path / "parts", ("bottle",))
    photographs(tmp_path / "stains", (1, 2, 3))
    first = run(capsys, "train", "aand", "-d", tmp_path / "parts", *AAND, "--publish")
    assert first.status == 0, first.err
    ran = run(capsys, "retrain", "aand/parts/bottle", "-d", tmp_path / "parts", "--textures", tmp_path / "stains")
    assert ran.status == 2 and "filled with no photographs" in ran.err


def test_masks_of_the_product_are_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "home"))
    parts = make_dataset(tmp_path / "parts", ("bottle",))
    for image in (parts / "bottle" / "train" / "good").glob("*.png"):
        write_mask(tmp_path / "masks" / image.name)
    masks = ("--foreground-masks", tmp_path / "masks")
    first = run(capsys, "train", "aand", "-d", parts, *AAND, *masks, "--publish")
    assert first.status == 0, first.err
    again = ("retrain", "aand/parts/bottle", "-d", parts, "--device", "cpu", "--no-publish", "--out", tmp_path / "o")
    asked = run(capsys, *again)
    assert asked.status == 2 and "--foreground-masks FOLDER" in asked.err
    ran = run(capsys, *again, *masks)
    assert ran.status == 0, ran.err
    then = json.loads(run(capsys, "zoo", "show", "aand/parts/bottle", "--json").out)["document"]["dataset"]
    assert json.loads((tmp_path / "o" / "detector.json").read_bytes())["dataset"]["foreground"] == then["foreground"]
