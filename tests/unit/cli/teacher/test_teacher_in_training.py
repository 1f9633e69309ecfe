"""A training takes its teacher from the zoo where this machine has not got it."""

import json

import timm
import torch
from helpers.command import run
from helpers.layouts import make_category
from safetensors.torch import save_file

from kdzoo.detector import Detector


def test_a_named_teacher_of_the_zoo_trains(capsys, tmp_path):
    torch.set_num_threads(1)
    torch.manual_seed(5)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    own = ("--name", "plant", "--architecture", "test_resnet", "--mean", "0.4,0.4,0.4")
    for words in (("add", tmp_path / "w.safetensors", *own), ("push", "plant"), ("remove", "plant")):
        assert run(capsys, "teacher", *words).status == 0
    make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    asked = ("--teacher", "plant", "--image-size", 64, "--epochs", 1, "--out", tmp_path / "out")
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", *asked)
    assert ran.status == 0, ran.err
    assert "Note: teacher 'plant' comes from" in ran.err
    document = json.loads((tmp_path / "out" / "detector.json").read_text())
    teacher = document["teacher"]
    assert (teacher["name"], teacher["source"], teacher["mean"]) == ("plant", "local", [0.4] * 3)
    assert document["input"]["mean"] == [0.4] * 3


def test_the_hubs_weights_are_written_down_with_their_tag(capsys, tmp_path, monkeypatch):
    """And a detector of an earlier kdzoo, which left the tag out, is read as before."""
    torch.set_num_threads(1)
    torch.manual_seed(5)
    save_file(timm.create_model("test_resnet").state_dict(), tmp_path / "w.safetensors")
    monkeypatch.setattr("kdzoo.teachers.weights._hub_file", lambda *_, **__: tmp_path / "w.safetensors")
    make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    asked = ("--teacher", "test_resnet", "--image-size", 64, "--epochs", 1, "--out", tmp_path / "out")
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", *asked)
    assert ran.status == 0, ran.err
    path = tmp_path / "out" / "detector.json"
    document = json.loads(path.read_text())
    full = "test_resnet.r160_in1k"
    assert (document["teacher"]["name"], document["teacher"]["architecture"]) == (full, full)
    assert document["options"]["teacher"] == full
    photograph = next((tmp_path / "lid" / "test").rglob("*.png"))
    score = Detector.open(tmp_path / "out", device="cpu").predict(photograph).score
    document["teacher"]["name"] = document["teacher"]["architecture"] = document["options"]["teacher"] = "test_resnet"
    path.write_text(json.dumps(document))
    assert Detector.open(tmp_path / "out", device="cpu").predict(photograph).score == score
