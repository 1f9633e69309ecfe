import os

import pytest
from helpers.layouts import make_category, make_dataset, write_image, write_mask

from kdzoo.data.layouts.mvtec import can_hold_out, categories, read_category
from kdzoo.errors import DatasetError, DatasetNotFoundError


def read(root):
    return read_category("parts", "nut", root)


def refused(root, *words, kind=DatasetError):
    with pytest.raises(kind) as caught:
        read(root)
    for word in words:
        assert word in str(caught.value)
    return caught.value


def test_the_whole_layout(tmp_path):
    index = read(make_category(tmp_path, train=2, good=1, defects={"scratch": 2}))
    assert index.name == "parts/nut" and index.root == tmp_path
    assert [(sample.id, sample.split, sample.defect_type, sample.label) for sample in index.samples] == [
        ("test/good/000.png", "test", "good", 0),
        ("test/scratch/000.png", "test", "scratch", 1),
        ("test/scratch/001.png", "test", "scratch", 1),
        ("train/good/000.png", "train", "good", 0),
        ("train/good/001.png", "train", "good", 0),
    ]
    assert [sample.mask_path for sample in index.samples] == [
        None,
        tmp_path / "ground_truth/scratch/000_mask.png",
        tmp_path / "ground_truth/scratch/001_mask.png",
        None,
        None,
    ]
    assert all(sample.path == tmp_path / sample.id for sample in index.samples)


def test_suffixes_in_any_case_and_nothing_else(tmp_path):
    folder = tmp_path / "train/good"
    for name in ("a.PNG", "b.JpG", "c.jpeg", "d.bmp", "e.tif", "f.TIFF", "g.webp"):
        write_image(folder / name)
    for name in (".hidden.png", "Thumbs.db", "notes.txt", "h.png.part"):
        (folder / name).write_text("no image")
    (folder / "folder.png").mkdir()
    assert [sample.path.name[0] for sample in read(tmp_path).samples] == list("abcdefg")


def test_hidden_folders_are_left_out(tmp_path):
    make_category(tmp_path)
    write_image(tmp_path / "train/.trash/x.png")
    write_image(tmp_path / "test/.trash/x.png")
    assert len(read(tmp_path).samples) == 4 + 3 + 5


def test_a_mask_may_bear_its_images_name_and_another_suffix(tmp_path):
    make_category(tmp_path, defects={})
    for name in ("000.jpg", "001.jpg"):
        write_image(tmp_path / "test/dent" / name)
    write_mask(tmp_path / "ground_truth/dent/000.BMP")
    write_mask(tmp_path / "ground_truth/dent/001_mask.tif")
    masks = [sample.mask_path.name for sample in read(tmp_path).samples if sample.label]
    assert masks == ["000.BMP", "001_mask.tif"]


def test_missing_masks_are_counted_and_the_first_is_named(tmp_path):
    make_category(tmp_path, defects={"scratch": 5})
    for number in (1, 3):
        (tmp_path / f"ground_truth/scratch/00{number}_mask.png").unlink()
    error = refused(tmp_path, "2 of 5", "scratch", "001.png")
    assert "001_mask.png" in error.hint


def test_a_defect_type_without_masks_among_others_that_have_them(tmp_path):
    make_category(tmp_path)
    write_image(tmp_path / "test/dent/000.png")
    refused(tmp_path, "1 of 1", "dent")


def test_no_ground_truth_at_all(tmp_path):
    index = read(make_category(tmp_path, masks=False))
    assert {sample.mask_path for sample in index.samples} == {None}
    assert sum(sample.label for sample in index.samples) == 5


def test_two_images_never_share_a_mask(tmp_path):
    make_category(tmp_path, defects={"scratch": 1})
    write_image(tmp_path / "test/scratch/000.jpg")
    refused(tmp_path, "000.jpg", "000.png", "share the mask")


def test_no_test_folder(tmp_path):
    index = read(make_category(tmp_path, good=0, defects={}))
    assert [sample.split for sample in index.samples] == ["train"] * 4


def test_empty_train(tmp_path):
    (tmp_path / "train/good").mkdir(parents=True)
    refused(tmp_path, "holds no images")


def test_no_train(tmp_path):
    refused(tmp_path, "parts/nut", "train/good", kind=DatasetNotFoundError)


def test_only_good_may_be_trained_on(tmp_path):
    make_category(tmp_path)
    write_image(tmp_path / "train/scratch/000.png")
    refused(tmp_path, "'scratch'", "only 'good'")


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_beside_the_folders(tmp_path, part):
    make_category(tmp_path)
    write_image(tmp_path / part / "loose.png")
    refused(tmp_path, "loose.png", "none of its folders")


def test_a_name_that_is_not_utf8(tmp_path):
    make_category(tmp_path)
    write_image(tmp_path / "train/good" / os.fsdecode(b"caf\xe9.png"))
    error = refused(tmp_path, r"caf\xe9.png", "not valid UTF-8")
    str(error).encode("utf-8")


def test_links_in_a_circle(tmp_path):
    make_category(tmp_path)
    (tmp_path / "train/good/circle").symlink_to(tmp_path)  # a folder: not searched
    (tmp_path / "test/good/linked.png").symlink_to(tmp_path / "test/good/000.png")
    assert len(read(tmp_path).samples) == 4 + 4 + 5
    loop = tmp_path / "train/good/loop.png"
    loop.symlink_to(loop)
    refused(tmp_path, "loop.png", "leads nowhere")


def test_letters_with_accents_have_one_spelling(tmp_path):
    for spelling in ("é", "e\u0301"):
        root = make_category(tmp_path / spelling, defects={})
        write_image(root / "test/dent" / f"{spelling}.png")
        write_mask(root / "ground_truth/dent" / f"{spelling}_mask.png")
        assert read(root).samples[0].id == "test/dent/é.png"
        assert read(root).samples[0].mask_path.is_file()


def test_two_spellings_of_one_name(tmp_path):
    make_category(tmp_path)
    for spelling in ("é", "e\u0301"):
        write_image(tmp_path / "train/good" / f"{spelling}.png")
    if len(list((tmp_path / "train/good").iterdir())) == 6:  # a file system that tells them apart
        refused(tmp_path, "two images", "é.png")


def test_categories(tmp_path):
    make_dataset(tmp_path, ("nut", "bolt"))
    (tmp_path / "papers").mkdir()
    write_image(tmp_path / ".hidden/train/good/0.png")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    found = categories(tmp_path)
    assert list(found) == ["bolt", "nut"] and found["nut"] == tmp_path / "nut"
    with pytest.raises(DatasetNotFoundError, match="gone"):
        categories(tmp_path / "gone")


@pytest.mark.parametrize(
    ("good", "defects", "enough"),
    [(2, {"dent": 2}, True), (2, {"dent": 1, "stain": 1}, True), (1, {"dent": 2}, False), (2, {"dent": 1}, False)],
)
def test_can_hold_out(tmp_path, good, defects, enough):
    assert can_hold_out(make_category(tmp_path, good=good, defects=defects)) is enough


def test_can_not_hold_out_without_a_test_part(tmp_path):
    assert not can_hold_out(make_category(tmp_path, good=0, defects={}))
