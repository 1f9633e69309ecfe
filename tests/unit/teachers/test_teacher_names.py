"""Teacher names as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.errors import UsageError
from kdzoo.teachers.names import TeacherName, parse_teacher


def test_a_backbone_alone_comes_from_the_hub():
    name = parse_teacher(" wide_resnet50_2 ")
    assert name == TeacherName(architecture="wide_resnet50_2", source="hub")
    assert (str(name), name.label) == ("wide_resnet50_2", "wide_resnet50_2")


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
    assert str(name) == text.strip()
