"""Teacher names as people type them."""

import hashlib

import pytest
import timm
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import UsageError
from kdzoo.teachers.card import TeacherCard
from kdzoo.teachers.local import LocalTeachers
from kdzoo.teachers.names import TeacherName, full_name, parse_teacher


def test_a_backbone_alone_comes_from_the_hub():
    name = parse_teacher(" wide_resnet50_2.tv_in1k ")
    assert name == TeacherName(architecture="wide_resnet50_2.tv_in1k", source="hub")
    assert (str(name), name.label) == ("wide_resnet50_2.tv_in1k", "wide_resnet50_2.tv_in1k")


@pytest.mark.parametrize(
    ("text", "full"),
    [
        (" wide_resnet50_2 ", "wide_resnet50_2.racm_in1k"),
        ("test_resnet", "test_resnet.r160_in1k"),
        ("wide_resnet50_2.tv_in1k", "wide_resnet50_2.tv_in1k"),
        ("resnet200", "resnet200"),
        ("no_such_model", "no_such_model"),
    ],
    ids=["default tag", "another default tag", "a tag", "nothing published", "unknown"],
)
def test_the_hubs_weights_are_named_in_full(text, full):
    """By timm's default where no tag is given; what it cannot know stays as it is, and is refused where it is built."""
    assert str(parse_teacher(text)) == parse_teacher(text).label == full_name(text) == full
    assert "." not in full or timm.get_pretrained_cfg(full).hf_hub_id == f"timm/{full}"


@pytest.mark.parametrize("text", ["random-resnet18", "kdzoo-tiny", "lite0", "plant", "resnet18@nowhere.pth"])
def test_other_names_are_full_as_they_are(text):
    assert full_name(f" {text} ") == text


def test_a_teacher_of_this_machine_keeps_a_backbones_bare_name(tmp_path):
    """As one that came from a zoo of an earlier kdzoo: its card says which weights it has."""
    teachers = LocalTeachers(tmp_path / "teachers")
    (tmp_path / "w").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    card = TeacherCard(name="resnet18", architecture="resnet18", sha256=digest, mean=(0.5,) * 3, std=(0.5,) * 3)
    teachers.add(card, tmp_path / "w")
    assert full_name("resnet18", teachers=teachers) == str(parse_teacher("resnet18", teachers=teachers)) == "resnet18"
    assert full_name("resnet34", teachers=teachers) == "resnet34.a1_in1k"


def test_random_weights():
    name = parse_teacher("random-resnet18")
    assert name == TeacherName(architecture="resnet18", source="random")
    assert (str(name), name.label) == ("random-resnet18", "random-resnet18")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt"])
def test_a_file(tmp_path, suffix):
    file = tmp_path / f"mine{suffix}"
    file.touch()
    name = parse_teacher(f"resnet18@{file}")
    assert name == TeacherName(architecture="resnet18", source="file", file=file)
    assert (str(name), name.label) == (f"resnet18@{file}", f"resnet18@mine{suffix}")


def test_a_relative_file_and_one_in_the_users_home(tmp_path, monkeypatch, isolated):
    (tmp_path / "a.pth").touch()
    (isolated / "b.pth").touch()
    monkeypatch.chdir(tmp_path)
    assert parse_teacher("resnet18@a.pth").file == tmp_path / "a.pth"
    assert parse_teacher("resnet18@~/b.pth").file == isolated / "b.pth"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no teacher"),
        ("random-", "names no teacher"),
        ("@weights.pth", "names no teacher"),
        ("weights.pth", "names a file but no backbone"),
        ("resnet18@weights.bin", "unknown suffix"),
        ("resnet18@", "unknown suffix"),
        ("resnet18@nowhere.pth", "there is no teacher weight file"),
        ("resnet18@~nobody-at-all/w.pth", "cannot look for"),
        ("random-resnet18@w.pth", "random weights and for a file"),
    ],
)
def test_names_that_cannot_be(text, said):
    with pytest.raises(UsageError, match=said):
        parse_teacher(text)


def test_a_folder_is_no_weight_file(tmp_path):
    (tmp_path / "w.pth").mkdir()
    with pytest.raises(UsageError, match="there is no teacher weight file"):
        parse_teacher(f"resnet18@{tmp_path / 'w.pth'}")


@given(st.text(max_size=30))
def test_any_text_is_a_name_or_a_usage_error(text):
    try:
        name = parse_teacher(text)
    except UsageError:
        return
    assert name.architecture
    whole = text.strip()
    assert str(name) == whole or (name.source == "hub" and timm.is_model(whole) and str(name).startswith(f"{whole}."))
    assert parse_teacher(str(name)) == name
