"""Foreground rules as people write them, and a person's own masks: what is taken, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from helpers.layouts import make_category, write_image, write_mask
from PIL import Image

from kdzoo.data.foreground.masks import check_mask_folders, read_foreground_masks
from kdzoo.data.foreground.rule import KINDS, ForegroundRule
from kdzoo.data.layouts.mvtec import read_category
from kdzoo.errors import ConfigError, DatasetError, DatasetNotFoundError, ImageError, UnknownNameError


@pytest.mark.parametrize("text", ["auto", "whole", "light", "dark", " auto "])
def test_a_rule_without_files(text):
    rule = ForegroundRule.parse(text)
    assert (rule.kind, rule.folder) == (text.strip(), None)
    assert str(rule) == rule.label == text.strip()
    assert rule.kind in KINDS


def test_a_rule_with_masks(tmp_path):
    assert str(ForegroundRule.parse("masks:lids")) == "masks:lids"
    rule = ForegroundRule.parse("masks: lids/cut ", base=tmp_path)
    assert rule.folder == tmp_path / "lids" / "cut"
    assert ForegroundRule.parse(str(rule)) == rule
    assert rule.label == "masks:cut" and str(tmp_path) not in rule.label
    assert ForegroundRule.parse("masks:/elsewhere", base=tmp_path).folder == Path("/elsewhere")
    assert ForegroundRule.parse("masks:~/lids", base=tmp_path).folder == Path.home() / "lids"


@pytest.mark.parametrize(
    ("text", "error", "named"),
    [
        ("ligth", UnknownNameError, "did you mean 'light'"),
        ("", UnknownNameError, "unknown foreground rule"),
        ("masks", ConfigError, "names no folder"),
        ("masks:", ConfigError, "names no folder"),
        ("masks:a\0b", ConfigError, "names no folder"),
        ("masks:~nobody-of-this-name/x", ConfigError, "no home folder"),
    ],
)
def test_what_is_no_rule(text, error, named):
    with pytest.raises(error, match=named) as raised:
        ForegroundRule.parse(text)
    assert raised.value.hint


def test_a_rule_has_a_folder_if_it_is_of_masks():
    for wrong in ({"kind": "masks"}, {"kind": "light", "folder": Path("x")}):
        with pytest.raises(ConfigError):
            ForegroundRule(**wrong)


@pytest.fixture
def lid(tmp_path):
    """The train images of a category."""
    root = make_category(tmp_path / "parts" / "lid", train=3)
    return read_category("parts", "lid", root).of_split("train")


def read(folder, samples, size=16):
    return read_foreground_masks(folder, samples, size=size, names=("lid", "Lid"))


@pytest.mark.parametrize("place", ["", "lid", "Lid", "train/good", "lid/train/good"])
@pytest.mark.parametrize("ending", [".png", "_mask.png", ".bmp"])
def test_masks_lie_in_the_folder_or_in_the_images_own_sub_folders(lid, tmp_path, place, ending):
    masks = tmp_path / "masks"
    for number in range(3):
        write_mask(masks / place / f"{number:03}{ending}")
    found = read(masks, lid)
    assert found.shape == (3, 16, 16) and found.dtype == bool
    assert found[:, :, :8].all() and not found[:, :, 8:].any()  # the left half is product


def test_each_image_has_its_own_mask_in_the_order_of_the_samples(lid, tmp_path):
    for number in range(3):
        mask = np.zeros((8, 12), np.uint8)
        mask[:, 4 * number : 4 * number + 4] = 1
        (tmp_path / "masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number:03}.png")
    found = read(tmp_path / "masks", lid[::-1], size=12)
    assert [int(mask.any(axis=0).argmax()) for mask in found] == [8, 4, 0]


def test_a_missing_folder_names_it(lid, tmp_path):
    with pytest.raises(DatasetNotFoundError, match=r"no folder of foreground masks .*nowhere") as raised:
        read(tmp_path / "nowhere", lid)
    assert "--foreground-masks" in raised.value.hint


def test_missing_masks_are_counted_and_the_first_is_named(lid, tmp_path):
    write_mask(tmp_path / "masks" / "001.png")
    with pytest.raises(
        DatasetError, match=r"2 of 3 images have no foreground mask in .*masks, first train/good/000.png"
    ):
        read(tmp_path / "masks", lid)


def test_all_masks_that_cannot_be_used_are_named(lid, tmp_path):
    masks = tmp_path / "masks"
    write_mask(masks / "000.png", size=(12, 9))
    (masks / "001.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    Image.new("L", (12, 8)).save(masks / "002.png")
    with pytest.raises(ImageError) as raised:
        read(masks, lid)
    said = str(raised.value)
    assert said.startswith("3 of 3 foreground masks cannot be used")
    for part in ("000.png is 12x9 pixels", "001.png", "002.png is empty: no pixel of it is product"):
        assert part in said


def test_two_images_cannot_share_a_mask(tmp_path):
    root = make_category(tmp_path / "lid", train=1)
    write_image(root / "validation" / "good" / "000.png")
    samples = [sample for sample in read_category("parts", "lid", root).samples if sample.split != "test"]
    write_mask(tmp_path / "masks" / "000.png")
    with pytest.raises(DatasetError, match="would share the foreground mask"):
        read(tmp_path / "masks", samples)
    for split in ("train", "validation"):
        write_mask(tmp_path / "masks" / split / "good" / "000.png")
    assert read(tmp_path / "masks", samples).shape == (2, 16, 16)


def test_several_categories_need_a_folder_each(tmp_path):
    (tmp_path / "lid").mkdir()
    check_mask_folders(tmp_path, ["lid"])
    check_mask_folders(tmp_path, ["cup"])
    with pytest.raises(DatasetNotFoundError, match="holds no folder 'cup'"):
        check_mask_folders(tmp_path, ["lid", "cup"])
    with pytest.raises(DatasetNotFoundError, match="no folder of foreground masks"):
        check_mask_folders(tmp_path / "nowhere", [])
