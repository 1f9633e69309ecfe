"""`kdzoo teacher` as people type it: status, output and files on the disk."""

import json
import os
import pickle
from pathlib import Path

import pytest
import timm
import torch
from helpers.command import run
from safetensors.torch import save_file

TINY = "test_resnet"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def file(tmp_path):
    torch.manual_seed(5)
    save_file(timm.create_model(TINY).state_dict(), tmp_path / "w.safetensors")
    return tmp_path / "w.safetensors"


@pytest.fixture(autouse=True)
def no_hub_cache(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


def add(capsys, file, name="plant", *more):
    return run(capsys, "teacher", "add", file, "--name", name, "--architecture", TINY, *more)


def listed(capsys, *more):
    return json.loads(run(capsys, "teacher", *more, "--json").out)


def test_from_a_file_to_another_machine(capsys, file, tmp_path, monkeypatch):
    ran = add(capsys, file)
    assert (ran.status, ran.err) == (0, "")
    assert "kdzoo sweep aand --dataset demo --teacher plant" in ran.out
    row = next(row for row in listed(capsys) if row["source"] == "local")
    assert (row["name"], row["architecture"]) == ("plant", TINY)
    assert row["sha256"] in ran.out
    zoo = tmp_path / "zoo"
    pushed = run(capsys, "teacher", "push", "plant", "--zoo", zoo)
    assert (pushed.status, pushed.out) == (0, f"'plant' is in {zoo}, sha256 {row['sha256']}\n")
    assert "as before" in run(capsys, "teacher", "push", "plant", "--zoo", zoo).out
    assert run(capsys, "teacher", "remove", "plant").out == "'plant' is no longer a teacher of this machine\n"
    assert [row["source"] for row in listed(capsys, "list", "--zoo", zoo) if row["name"] == "plant"] == ["zoo"]
    shown = json.loads(run(capsys, "teacher", "show", "plant", "--zoo", zoo, "--json").out)
    assert (shown["source"], shown["levels"]["channels"]) == ("zoo", [32, 48, 192])
    monkeypatch.setenv("KDZOO_HOME", str(tmp_path / "another"))
    pulled = json.loads(run(capsys, "teacher", "pull", "plant", "--zoo", zoo, "--json").out)
    assert pulled["file"].startswith(str(tmp_path / "another" / "cache" / "teachers"))
    card = run(capsys, "teacher", "show", "plant").out
    assert all(word in card for word in ("local", "origin", "file w.safetensors", "0.5, 0.5, 0.5", "unknown"))


def test_the_list_as_a_table_and_past_damage(capsys, file):
    add(capsys, file)
    add(capsys, file, "line3")
    next(Path(os.environ["KDZOO_HOME"]).rglob("line3.json")).write_text("{}")
    ran = run(capsys, "teacher")
    assert ran.status == 0
    assert "plant" in ran.out and "431,592" in ran.out
    assert "Note: line3: " in ran.err


def test_what_the_hub_left_is_listed(capsys, tmp_path):
    digest = "ab" * 32
    for name in ("resnet18.a1_in1k", "no_such_model.x"):
        repository = tmp_path / "hub" / f"models--timm--{name}"
        for folder in ("refs", "blobs", "snapshots/abc"):
            (repository / folder).mkdir(parents=True)
        (repository / "refs" / "main").write_text("abc")
        (repository / "blobs" / digest).write_bytes(b"12345")
        (repository / "snapshots" / "abc" / "model.safetensors").symlink_to(repository / "blobs" / digest)
    found = [row for row in listed(capsys) if row["source"] == "hub cache"]
    assert found == [
        {
            "name": "resnet18.a1_in1k",
            "source": "hub cache",
            "architecture": "resnet18.a1_in1k",
            "bytes": 5,
            "sha256": digest,
        }
    ]


def test_a_backbone_by_its_metadata(capsys):
    shown = json.loads(run(capsys, "teacher", "show", "tf_mobilenetv3_small_100", "--json").out)
    assert (shown["source"], shown["mean"], shown["std"]) == ("hub", [0.5] * 3, [0.5] * 3)
    assert shown["hub"].startswith("timm/tf_mobilenetv3_small_100")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("add", "FILE"), 2, "--name is missing"),
        (("add", "FILE", "--name", "../x", "--architecture", TINY), 2, "not a valid name"),
        (("add", "FILE", "--name", "resnet18", "--architecture", TINY), 2, "is taken: it means a backbone of timm"),
        (("add", "FILE", "--name", "plant", "--architecture", "resnett18"), 2, "unknown teacher 'resnett18'"),
        (("add", "FILE", "--name", "plant", "--architecture", "resnet18"), 1, "torchvision"),
        (("add", "FILE", "--name", "plant", "--architecture", TINY, "--mean", "1,2"), 2, "--mean '1,2' is not three"),
        (("add", "FILE", "--name", "plant", "--architecture", TINY, "--std", "0,0,0"), 1, "'std' must be three"),
        (("add", "nowhere.pth", "--name", "plant", "--architecture", TINY), 2, "there is no teacher weight file"),
        (("remove", "plant"), 2, "unknown local teacher 'plant'"),
        (("remove", "kdzoo-tiny"), 2, "ships with kdzoo"),
        (("pull", "plant"), 1, "there is no zoo at"),
        (("pull", "../x"), 2, "not a valid name"),
        (("push", "random-resnet18"), 2, "every machine makes by itself"),
        (("show", "plnt"), 2, "unknown teacher 'plnt'"),
        (("lst",), 2, "unknown command 'lst'"),
    ],
)
def test_wrong_input_says_what_to_do(capsys, file, arguments, status, said):
    ran = run(capsys, "teacher", *(str(file) if word == "FILE" else word for word in arguments))
    assert (ran.status, ran.out) == (status, "")
    assert said in ran.err
    assert "Traceback" not in ran.err


def test_a_pickle_in_disguise_is_refused(capsys, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(pickle.dumps({"a": 1}))
    ran = add(capsys, tmp_path / "w.safetensors")
    assert ran.status == 1
    assert "cannot read teacher weights" in ran.err and "tensors only" in ran.err
