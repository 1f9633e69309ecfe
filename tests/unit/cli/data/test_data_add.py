"""`kdzoo data add`, and the names that it gives in other commands."""

import json

import pytest
from helpers.command import run
from helpers.layouts import make_category, make_dataset, write_image
from helpers.public_layouts import make_dtd, make_ksdd2, make_mvtec3d, make_visa

from kdzoo.data.registered import registered
from kdzoo.settings import Settings


def added(capsys, *arguments):
    ran = run(capsys, "data", "add", *arguments, "--json")
    assert ran.status == 0, ran.err
    return json.loads(ran.out), ran.err


def test_an_own_folder(capsys, tmp_path):
    root = make_dataset(tmp_path / "Line 3", ("Left Door", "nut"))
    write_image(root / "nut/validation/good/0.png")
    result, err = added(capsys, "doors", root)
    assert result == {
        "name": "doors",
        "path": str(root),
        "protocol": "holdout",
        "categories": [
            {"category": "left-door", "train": 4, "validation": 0, "test_normal": 3, "test_defective": 5, "masks": 5},
            {"category": "nut", "train": 4, "validation": 1, "test_normal": 3, "test_defective": 5, "masks": 5},
        ],
    }
    assert err == "" and registered(Settings.from_environment()) == {"doors": root}
    text = run(capsys, "data", "add", "doors", root).out
    assert "nut        4 train, 1 validation, 3 normal and 5 defective test images, 5 masks" in text
    assert "kdzoo sweep aand --dataset doors" in text


def test_only_normal_images_are_needed(capsys, tmp_path):
    result, err = added(capsys, "lids", make_category(tmp_path / "x", good=0, defects={}).parent)
    assert result["protocol"] == "synthetic" and "falls back to synthetic" in err


@pytest.mark.parametrize(
    ("name", "make", "counts"),
    [
        ("visa", make_visa, (4, 0, 3, 3)),
        ("mvtec3d", make_mvtec3d, (4, 2, 3, 4)),
        ("ksdd2", make_ksdd2, (6, 3, 4, 2)),
    ],
)
def test_a_known_data_set(capsys, tmp_path, name, make, counts):
    result, err = added(capsys, name, make(tmp_path / "unpacked"))
    first = result["categories"][0]
    assert tuple(first[key] for key in ("train", "validation", "test_normal", "test_defective")) == counts
    assert result["protocol"] == "holdout" and ("are not there" in err) == (name != "ksdd2")


def test_textures(capsys, tmp_path):
    images = make_dtd(tmp_path / "textures")
    result, _ = added(capsys, "dtd", images.parent)
    assert result["textures"] == str(images)
    sheet = tmp_path / "sheet.png"
    part = make_category(tmp_path / "lid")
    command = ("data", "preview", "-d", part, "-c", "lid", "-o", sheet, "--image-size", 32)
    ran = run(capsys, *command, "--textures", "dtd")
    assert ran.status == 0 and sheet.stat().st_size > 1000


def test_moved_and_removed(capsys, tmp_path):
    added(capsys, "lids", make_dataset(tmp_path / "a"))
    _, err = added(capsys, "lids", make_dataset(tmp_path / "b"))
    assert f"'lids' was {tmp_path / 'a'} until now" in err
    ran = run(capsys, "data", "add", "lids", "--remove")
    assert ran.status == 0 and f"{tmp_path / 'b'} was left alone" in ran.out
    assert (tmp_path / "b/bottle/train/good/000.png").is_file()
    ran = run(capsys, "data", "add", "lids", "--remove", "--json")
    assert ran.status == 2 and "unknown registered data set 'lids'" in ran.err


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("Lids", "FOLDER"), 2, "is not a valid name"),
        (("../lids", "FOLDER"), 2, "is not a valid name"),
        (("demo", "FOLDER"), 2, "draws itself"),
        (("mvtec", "FOLDER"), 2, "the name of another data set (MVTec AD)"),
        (("visa", "FOLDER"), 2, "the name of another data set (VisA)"),
        (("dtd", "FOLDER"), 1, "folders of textures"),
        (("lids", "EMPTY"), 1, "holds no category"),
        (("lids", "MISSING"), 1, "there is no folder"),
        (("lids", "FILE"), 1, "is a file"),
        (("lids", "BAD"), 1, "only 'good' may be trained on"),
        (("lids",), 2, "kdzoo data add lids PATH"),
        (("lids", "FOLDER", "--remove"), 2, "--remove takes no folder"),
    ],
)
def test_what_is_refused_leaves_no_trace(capsys, tmp_path, arguments, status, said):
    places = {"FOLDER": make_dataset(tmp_path / "parts", ("nut", "bolt")), "MISSING": tmp_path / "gone"}
    places |= {"EMPTY": tmp_path / "empty", "FILE": tmp_path / "a.zip"}
    places["EMPTY"].mkdir()
    places["FILE"].write_bytes(b"PK")
    places["BAD"] = make_dataset(tmp_path / "bad", ("nut",))
    write_image(places["BAD"] / "nut/train/dent/0.png")
    ran = run(capsys, "data", "add", *(places.get(argument, argument) for argument in arguments))
    assert ran.status == status and said in ran.err and ran.out == ""
    assert registered(Settings.from_environment()) == {}
