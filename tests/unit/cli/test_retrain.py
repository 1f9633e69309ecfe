"""`kdzoo retrain`: a release's configuration on the data as it is now, compared with its champion."""

import json
import shutil

import pytest
from helpers.command import run
from helpers.layouts import make_dataset

SMALL = ("--set", "epoch_steps=2", "--set", "batch_size=4", "--set", "width=0.25", "--image-size", "64")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A zoo with a release of `rd`, and its data set, to whose train images some were added since."""
    place = tmp_path_factory.mktemp("place")
    make_dataset(place / "parts", ("bottle",))
    return place


@pytest.fixture
def home(place, monkeypatch):
    monkeypatch.setenv("KDZOO_HOME", str(place / "home"))
    return place / "home"


def test_more_train_images_are_compared_with_the_champion(place, home, capsys):
    teacher = ("--teacher", "random-resnet18")
    first = run(
        capsys, "train", "rd", "-d", str(place / "parts"), "--epochs", "2", "--seed", "3", *SMALL, *teacher,
        "--device", "cpu", "--publish", "--json",
    )  # fmt: skip
    assert first.status == 0, first.err
    before = json.loads(first.out)
    good = place / "parts" / "bottle" / "train" / "good"
    for image in sorted(good.glob("*.png"))[:3]:
        shutil.copy(image, good / f"more-{image.name}")
    known = run(capsys, "retrain", "rd/parts/bottle")
    assert known.status == 2
    assert "--dataset PATH" in known.err
    ran = run(
        capsys, "retrain", "parts/bottle", "-d", str(place / "parts"), "--device", "cpu", "--json",
        "--out", str(place / "again"),
    )  # fmt: skip
    assert ran.status == 0, ran.err
    now = json.loads(ran.out)
    assert now["config"] == before["config"]
    assert now["options"] == before["options"]
    note = now["published"]["note"]
    assert note.startswith(("champion 1 stays", "beats champion 1"))
    assert "on the same selection images, with other train (" in note
    assert "rd/parts/bottle again, as release 1 of best/parts/bottle was trained" in ran.err
    document = json.loads((place / "again" / "detector.json").read_bytes())
    shown = json.loads(run(capsys, "zoo", "show", "rd/parts/bottle", "--release", "1", "--json").out)["document"]
    assert document["teacher"]["sha256"] == shown["teacher"]["sha256"]
    changed = {name for name, digest in document["split"]["parts"].items() if digest != shown["split"]["parts"][name]}
    assert changed == {"train"}
