"""Messages, exit statuses and help of the command line; nothing here trains."""

import errno

import click
import pytest
from helpers.bank import register_bank
from helpers.command import run
from helpers.layouts import make_category, make_dataset

from kdzoo.cli import errors as cli_errors
from kdzoo.cli.groups import DefaultGroup
from kdzoo.cli.main import cli
from kdzoo.cli.options import parse_changes
from kdzoo.errors import DatasetError, UnknownNameError, UsageError
from zoo_registry.errors import BlobCorruptError, NameInvalidError


def every_command(group=cli, path=()):
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


def test_every_command_has_help_and_an_example(capsys):
    for path, command in every_command():
        ran = run(capsys, *path, "--help")
        assert ran.status == 0, path
        assert ran.out.startswith("Usage:"), path
        if isinstance(command, DefaultGroup) or len(path) == 1:
            assert "kdzoo " + path[0] in ran.out.partition("\n")[2], f"{path} shows no example"


def test_version(capsys):
    from kdzoo import __version__

    assert __version__ in run(capsys, "--version").out


@pytest.mark.parametrize(
    ("arguments", "named", "hinted"),
    [
        (["swep"], "did you mean 'sweep'", "sweep"),
        (["sweep", "aandd", "-d", "demo"], "did you mean 'aand'", "rd"),
        (["train", "radd", "-d", "demo"], "'radd'", "rd"),
        (["train", "rd", "-d", "dmo"], "did you mean 'demo'", "mvtec"),
        (["methods", "ad"], "unknown method 'ad'", "aand"),
        (["zoo", "lst"], "did you mean 'list'", "show"),
        (["sweep", "rd", "-d", "demo", "--time-budget", "soon"], "'soon' is no duration", "90m"),
        (["zoo", "show", "aand/../demo"], "..", ""),
        (["predict", "rd", "demo/weave", "--out", "x"], "no images named", "FILES"),
        (["predict", "rd", "demo/weave", "not-there.png", "--out", "x"], "not-there.png", ""),
        (["evaluate", "--from", "not-there"], "not-there", ""),
        (["evaluate", "rd", "a/b", "--from", "."], "leave METHOD out", ""),
        (["evaluate", "--from", ".", "--release", "3"], "leave --release out", ""),
        (["train", "rd", "-d", "demo", "--zoo", "x"], "add --publish", ""),
        (["train", "rd", "-d", ""], "--dataset is empty", "demo"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_names_the_way_out(capsys, arguments, named, hinted):
    ran = run(capsys, *arguments)
    assert ran.status == 2
    assert ran.out == ""
    assert named in ran.err and hinted in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-c", "weav"], "did you mean 'weave'"),
        ([], "choose one with --category"),
        (["-c", "weave", "--set", "lerning_rate=1"], "did you mean 'learning_rate'"),
        (["-c", "weave", "--set", "learning_rate=9"], "out of range"),
        (["-c", "weave", "--set", "learning_rate"], "KEY=VALUE"),
        (["-c", "weave", "--set", "learning_rate=nan"], "learning_rate"),
        (["-c", "weave", "--protocol", "tset"], "test"),
        (["-c", "weave", "--image-size", "100"], "multiple of 32"),
        (["-c", "weave", "--objective", "aurpo"], "did you mean 'aupro'"),
        (["-c", "weave", "--teacher", "random-resnt18"], "resnet18"),
        (["-c", "weave", "--teacher", "resnet18@missing.pth"], "missing.pth"),
        (["-c", "weave", "--device", "tpu"], "tpu"),
        (["-c", "weave", "--epochs", "0"], "--epochs"),
        (["-c", "weave", "--epochs", "3", "--set", "epochs=2"], "--set epochs"),
        (["-c", ""], "category"),
    ],
)
def test_wrong_values_of_train(capsys, tmp_path, arguments, named):
    make_dataset(tmp_path / "cloth", ("weave", "knit"))
    ran = run(capsys, "train", "rd", "-d", tmp_path / "cloth", "--teacher", "random-resnet18", *arguments)
    assert ran.status == 2, ran.err
    assert named in ran.err


def test_a_hub_that_is_not_there_names_the_ways_out(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    ran = run(capsys, "train", "rd", "-d", tmp_path / "lid", "--teacher", "resnet18")
    assert ran.status == 1
    for way in ("three ways out", "resnet18.a1_in1k@weights.safetensors", "--teacher lite0", "--teacher kdzoo-tiny"):
        assert way in ran.err


def test_truncated_images_are_named_and_can_be_left_out(capsys, tmp_path):
    category = make_category(tmp_path / "lid", train=4, good=4, defects={"scratch": 4})
    broken = category / "train" / "good" / "001.png"
    broken.write_bytes(broken.read_bytes()[:40])
    ran = run(capsys, "train", "rd", "-d", category, "--teacher", "random-resnet18", "--image-size", 64)
    assert ran.status == 1
    assert "001.png" in ran.err and "--skip-unreadable" in ran.err


def test_a_mask_of_another_size_is_named(capsys, tmp_path):
    from helpers.layouts import write_mask

    category = make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    for mask in (category / "ground_truth" / "scratch").iterdir():
        write_mask(mask, size=(5, 5))
    ran = run(capsys, "train", "rd", "-d", category, "--teacher", "random-resnet18", "--image-size", 64)
    assert ran.status == 1
    assert "_mask.png" in ran.err and "5x5" in ran.err


def test_too_few_epochs_for_the_stages(capsys, tmp_path):
    make_dataset(tmp_path / "cloth", ("weave",))
    ran = run(capsys, "train", "aand", "-d", tmp_path / "cloth", "--teacher", "random-resnet18", "--epochs", 1)
    assert ran.status == 2 and "2 stages" in ran.err


@pytest.mark.parametrize("command", ["train", "sweep"])
def test_epochs_of_a_method_without_any(capsys, monkeypatch, tmp_path, command):
    register_bank(monkeypatch)
    make_dataset(tmp_path / "cloth", ("weave",))
    ran = run(capsys, command, "bank", "-d", tmp_path / "cloth", "--teacher", "random-resnet18", "--epochs", 3)
    assert ran.status == 2
    assert "this method has no epochs" in ran.err and "leave --epochs out" in ran.err


def test_a_sweep_of_no_categories(capsys, tmp_path):
    make_dataset(tmp_path / "cloth", ("weave", "knit"))
    ran = run(capsys, "sweep", "rd", "-d", tmp_path / "cloth", "--teacher", "random-resnet18", "--categories", ",")
    assert ran.status == 2 and "weave" in ran.err


def test_an_output_folder_that_takes_no_files_is_found_before_training(capsys, tmp_path):
    make_category(tmp_path / "lid", good=4, defects={"scratch": 4})
    (tmp_path / "file").write_text("x")
    ran = run(
        capsys, "train", "rd", "-d", tmp_path / "lid", "--teacher", "random-resnet18", "--out", tmp_path / "file" / "x"
    )
    assert ran.status == 1 and "file" in ran.err and "epoch 1" not in ran.err


def test_debug_shows_the_traceback():
    from kdzoo.cli.main import main

    with pytest.raises(UnknownNameError):
        main(["methods", "ad", "--debug"])


def test_methods_as_json(capsys):
    import json

    assert {"rd", "aand"} <= {row["name"] for row in json.loads(run(capsys, "methods", "--json").out)}
    knobs = {row["key"]: row for row in json.loads(run(capsys, "methods", "aand", "--json").out)}
    assert knobs["hkd_top_k"]["default"] == 10


def test_an_empty_zoo_and_leaderboard_say_how_to_fill_them(capsys):
    for command, status in (("zoo", 1), ("leaderboard", 0)):  # a zoo that is not there may be a wrong address
        ran = run(capsys, command)
        assert (ran.status, ran.out) == (status, "")
        assert "kdzoo sweep" in ran.err


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (UsageError("bad"), 2, "bad"),
        (NameInvalidError("name"), 2, "name"),
        (DatasetError("gone"), 1, "gone"),
        (BlobCorruptError("blob"), 1, "blob"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ModuleNotFoundError("no", name="mlflow.tracking"), 1, "mlflow"),
        (OSError(errno.ENOSPC, "no space", "/data/x"), 1, "disk is full"),
        (PermissionError(errno.EACCES, "denied", "/data/x"), 1, "/data/x"),
    ],
)
def test_the_table_of_errors(error, status, words):
    seen = cli_errors.shown(error)
    assert seen.status == status
    assert words in seen.message + seen.hint


def test_an_unforeseen_error_is_not_dressed_up():
    assert cli_errors.shown(ZeroDivisionError("x")) is None


def test_changes():
    assert parse_changes(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
