"""Each file of a category is used, known to be no image, or left out and named."""

import os

import pytest
from helpers.layouts import make_category, write_image, write_mask

from kdzoo.data.files import IMAGE_SUFFIXES
from kdzoo.data.layouts.left_out import is_known_as_none, left_out
from kdzoo.data.layouts.mvtec import can_hold_out, read_category


def notes(root):
    return read_category("parts", "nut", root).notes


def test_nothing_is_said_of_what_is_used_or_known_as_no_image(tmp_path):
    root = make_category(tmp_path)
    for name in ("readme.txt", "LICENSE", "train/good/Thumbs.db", "test/labels.csv", "train/good/.DS_Store"):
        (root / name).write_text("no image")
    write_image(root / "train/good/._000.png")
    write_image(root / "__MACOSX/train/good/000.png")
    write_image(root / ".thumbnails/000.png")
    write_mask(root / "ground_truth/scratch/spare_mask.png")  # which `kdzoo data verify` tells of
    assert notes(root) == ()


def test_a_folder_within_a_folder_is_named_with_how_many_images(tmp_path):
    root = make_category(tmp_path)
    for number in range(12):
        write_image(root / f"train/good/camera-2/{number:03}.png")
    write_image(root / "test/scratch/again/x/000.png")
    write_image(root / "Test/ok/000.png")
    said = notes(root)
    assert len(said) == 3
    assert said[0].startswith("1 image in Test/ok is left out, first 000.png: images are taken from train/good, ")
    assert said[1].startswith("1 image in test/scratch/again/x is left out")
    assert said[2].startswith("12 images in train/good/camera-2 are left out, first 000.png")


def test_files_that_may_be_images_are_named_by_their_suffix(tmp_path):
    root = make_category(tmp_path)
    for name in ("a.heic", "b.HEIC", "c.raw"):
        (root / "train/good" / name).write_bytes(b"some camera's")
    said = notes(root)
    assert [note.partition(", first")[0] for note in said] == [
        "2 files with the suffix '.heic' in train/good are left out",
        "1 file with the suffix '.raw' in train/good is left out",
    ]
    assert "jfif" in said[0]


def test_of_many_the_first_are_named_and_the_rest_counted(tmp_path):
    for number in range(8):
        write_image(tmp_path / f"{number}/000.png")
    said = left_out(tmp_path, (), why="elsewhere")
    assert len(said) == 6 and said[-1] == "and 3 more folders with images that are left out"


def test_links_to_folders_are_named_and_not_followed(tmp_path):
    root = make_category(tmp_path / "nut")
    write_image(tmp_path / "other/000.png")
    (root / "train/good/linked").symlink_to(tmp_path / "other")
    (root / "train/good/round").symlink_to(root)
    (root / "all").symlink_to("/")
    assert notes(root) == (
        "1 link in the folder itself is left out, first all: links to folders are not followed",
        "2 links in train/good are left out, first linked: links to folders are not followed",
    )


def test_a_used_folder_may_be_a_link(tmp_path):
    root = make_category(tmp_path / "nut")
    (root / "train/good").rename(tmp_path / "elsewhere")
    (root / "train/good").symlink_to(tmp_path / "elsewhere")
    index = read_category("parts", "nut", root)
    assert index.count("train") == 4 and index.notes == ()


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root, walk = make_category(tmp_path / "nut"), os.walk

    def closed(top, onerror=None):
        onerror(PermissionError(13, "Permission denied", str(root / "private")))
        return walk(top)

    monkeypatch.setattr("kdzoo.data.layouts.left_out.os.walk", closed)
    assert notes(root) == ("the folder private cannot be listed, and is left out",)


def test_files_without_a_suffix_are_named_unless_they_are_known(tmp_path):
    root = make_category(tmp_path)
    for name in ("README", "LICENSE", "train/good/IMG0001"):
        (root / name).write_bytes(b"?")
    (said,) = notes(root)
    assert said.startswith("1 file without a suffix in train/good is left out, first IMG0001")


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES))
def test_every_suffix_of_an_image_is_used_in_any_case(tmp_path, suffix):
    root = make_category(tmp_path)
    (root / f"train/good/extra{suffix.upper()}").write_bytes(b"whatever it holds")
    index = read_category("parts", "nut", root)
    assert index.count("train") == 5 and index.notes == ()
    assert not is_known_as_none(root / f"x{suffix}")


@pytest.mark.parametrize("name", ["Good", "OK", "normal", "GOOD", "Normal"])
def test_normal_folders_by_other_names_are_normal(tmp_path, name):
    root = make_category(tmp_path)
    (root / "train/good").rename(root / "train" / name)
    (root / "test/good").rename(root / "test" / name)
    index = read_category("parts", "nut", root)
    assert [index.count("train"), index.count("test", 0), index.count("test", 1)] == [4, 3, 5]
    assert index.notes == tuple(f"{part}/{name} is taken for normal images, as good is" for part in ("train", "test"))
    assert can_hold_out(root)


def test_masks_in_folders_as_mvtec_loco_has_them(tmp_path):
    root = make_category(tmp_path, defects={"logical": 2}, masks=False)
    for number in range(2):
        for part in range(2):
            write_mask(root / f"ground_truth/logical/{number:03}/{part:03}.png")
    index = read_category("parts", "nut", root)
    masks = [sample.mask_path for sample in index.samples if sample.label]
    assert masks == [root / "ground_truth/logical/000", root / "ground_truth/logical/001"]
    assert index.notes == ()


def test_a_category_in_another_script_says_what_it_is_called_here(tmp_path):
    root = make_category(tmp_path / "瓶")
    assert notes(root) == ("瓶 is called nut here",)
