import os
import re
import shutil
import unicodedata
from pathlib import Path

import pytest
from helpers.layouts import make_category, make_dataset, write_image
from helpers.public_layouts import make_elpv

import kdzoo.data.demo
from kdzoo.data.catalog import CATALOG, open_dataset
from kdzoo.data.files import slug
from kdzoo.errors import DatasetError, DatasetNotFoundError, UnknownNameError, UsageError
from kdzoo.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})


def test_catalog_facts():
    assert set(CATALOG) == {"demo", "mvtec", "visa", "mvtec3d", "ksdd2", "elpv"}
    demo, mvtec = CATALOG["demo"], CATALOG["mvtec"]
    assert (demo.default_protocol, demo.default_teacher, demo.default_image_size) == ("holdout", "lite0", 128)
    assert (mvtec.default_protocol, mvtec.default_teacher, mvtec.default_image_size) == (
        "holdout",
        "wide_resnet50_2.tv_in1k",
        256,
    )
    assert len(mvtec.categories) == 15 and list(mvtec.categories) == sorted(mvtec.categories)
    with pytest.raises(TypeError):
        CATALOG["other"] = demo


def test_a_catalog_data_set_that_is_only_half_there(settings):
    make_dataset(settings.data / "mvtec", ("tile", "bottle", "stranger"))
    dataset = open_dataset("mvtec", settings)
    assert (dataset.name, dataset.info) == ("mvtec", CATALOG["mvtec"])
    assert dataset.categories() == ("bottle", "tile")
    assert len(dataset.missing()) == 13 and "zipper" in dataset.missing()
    assert dataset.category("tile").name == "mvtec/tile"
    with pytest.raises(DatasetNotFoundError, match="mvtec/zipper"):
        dataset.category("zipper")
    with pytest.raises(UnknownNameError, match="did you mean 'bottle'"):
        dataset.category("botle")


@pytest.mark.parametrize("state", ["absent", "empty"])
def test_a_catalog_data_set_that_is_not_there(settings, state):
    if state == "empty":
        (settings.data / "mvtec").mkdir(parents=True)
    with pytest.raises(DatasetNotFoundError) as caught:
        open_dataset("mvtec", settings)
    assert str(settings.data / "mvtec") in str(caught.value)
    for words in ("https://www.mvtec.com", "kdzoo data download mvtec", "kdzoo data add mvtec PATH"):
        assert words in caught.value.hint


def test_the_demo_is_made_where_data_sets_are(settings, monkeypatch):
    made = []

    def ensure_demo(root, progress=None):
        made.append(root)
        progress(1, 1)
        return make_dataset(root, ("weave",))

    monkeypatch.setattr(kdzoo.data.demo, "ensure_demo", ensure_demo)
    seen = []
    dataset = open_dataset("demo", settings, progress=lambda done, total: seen.append((done, total)))
    assert dataset.categories() == ("weave",) and dataset.missing() == ()
    assert made == [settings.data / "demo"] and seen == [(1, 1)]
    by_path = open_dataset(str(settings.data / "demo"), settings, progress=lambda done, total: None)
    assert by_path == dataset and len(made) == 2


def test_unknown_name(settings):
    with pytest.raises(UnknownNameError, match="unknown data set 'mvtek'; did you mean 'mvtec'"):
        open_dataset("mvtek", settings)


def test_own_folder(tmp_path, settings):
    root = make_dataset(tmp_path / "Line 3 (new)", ("Metal Nut", "bolt"))
    dataset = open_dataset(str(root), settings)
    assert dataset.name == "line-3-new" and dataset.root == root
    assert dataset.categories() == ("bolt", "metal-nut")
    index = dataset.category("metal-nut")
    assert index.name == "line-3-new/metal-nut" and index.root == root / "Metal Nut"
    assert (dataset.info.default_protocol, dataset.info.default_teacher) == ("holdout", "lite0")
    assert dataset.info.default_image_size == 256 and dataset.missing() == ()


def test_own_folder_that_is_a_category(tmp_path, settings):
    dataset = open_dataset(str(make_category(tmp_path / "Nuts")), settings)
    assert dataset.categories() == ("nuts",)
    assert dataset.category("nuts").name == "nuts/nuts"


def test_own_folder_where_one_category_has_no_defects(tmp_path, settings):
    root = make_dataset(tmp_path / "parts", ("nut",))
    make_category(root / "bolt", defects={})
    assert open_dataset(str(root), settings).info.default_protocol == "synthetic"


def test_ways_to_write_a_path(tmp_path, settings, monkeypatch):
    root = make_dataset(tmp_path / "parts")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("parts", "./parts", "~/parts", "parts/../parts/", str(root)):
        assert open_dataset(text, settings).root == root
    monkeypatch.chdir(root)
    assert open_dataset(".", settings).name == "parts"


def test_a_link_gives_its_own_name(tmp_path, settings):
    make_dataset(tmp_path / "v7")
    (tmp_path / "parts").symlink_to(tmp_path / "v7")
    assert open_dataset(str(tmp_path / "parts"), settings).name == "parts"


def test_paths_that_lead_to_nothing(tmp_path, settings):
    with pytest.raises(DatasetNotFoundError, match="gone"):
        open_dataset(str(tmp_path / "gone"), settings)
    archive = tmp_path / "parts.zip"
    archive.write_bytes(b"PK")
    with pytest.raises(DatasetError, match="is a file") as caught:
        open_dataset(str(archive), settings)
    assert "unpack" in caught.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds no category") as caught:
        open_dataset(str(tmp_path / "empty"), settings)
    assert "train/good" in caught.value.hint


def test_two_folders_that_make_one_name(tmp_path, settings):
    root = make_dataset(tmp_path / "parts", ("metal nut", "Metal-Nut"))
    with pytest.raises(DatasetError) as caught:
        open_dataset(str(root), settings)
    for words in ("metal nut", "Metal-Nut", "'metal-nut'"):
        assert words in str(caught.value)


def test_names_of_which_none_can_be_made(tmp_path, settings):
    make_dataset(tmp_path / "部品")
    with pytest.raises(UsageError, match="部品"):
        open_dataset(str(tmp_path / "部品"), settings)


class TestAFolderThatBearsACatalogName:
    def test_elsewhere_it_is_that_data_set(self, tmp_path, settings):
        root = make_dataset(tmp_path / "MVTec", ("bottle", "tile"))
        dataset = open_dataset(str(root), settings)
        assert dataset.info is CATALOG["mvtec"] and dataset.root == root

    def test_with_other_categories_it_is_refused(self, tmp_path, settings):
        root = make_dataset(tmp_path / "mvtec", ("bottle", "my-nut"))
        with pytest.raises(UsageError, match="another data set") as caught:
            open_dataset(str(root), settings)
        assert "rename" in caught.value.hint

    def test_a_single_category_is_refused(self, tmp_path, settings):
        with pytest.raises(UsageError, match="another data set"):
            open_dataset(str(make_category(tmp_path / "demo")), settings)

    def test_in_its_place_it_is_the_name(self, settings):
        make_dataset(settings.data / "mvtec")
        assert open_dataset(str(settings.data / "mvtec"), settings) == open_dataset("mvtec", settings)


def test_opened_categories_follow_the_disk(tmp_path, settings):
    root = make_dataset(tmp_path / "parts", ("nut", "bolt"))
    dataset = open_dataset(str(root), settings)
    shutil.rmtree(root / "bolt")
    write_image(root / "rod/train/good/0.png")
    assert dataset.categories() == ("nut", "rod")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Metal_Nut.v2", "metal_nut.v2"),
        ("  Ärger & Co. ", "arger-co"),
        ("../..", ""),
        ("CON", ""),
        ("com1.parts", ""),
        ("x" * 80, "x" * 64),
        ("console", "console"),
    ],
)
def test_slug(text, name):
    assert slug(text) == name


def test_data_can_be_opened_by_a_path_object_as_text(tmp_path, settings):
    root: Path = make_dataset(tmp_path / "parts")
    assert open_dataset(root.as_posix(), settings).categories() == ("bottle", "cable")


def test_a_category_on_request_is_taken_only_by_its_name(settings):
    make_elpv(settings.data / "elpv")
    dataset = open_dataset("elpv", settings)
    assert dataset.categories() == ("mono", "poly") and dataset.missing() == ()
    assert dataset.category_name("mono-all") == "mono-all"
    assert dataset.category("mono-all").name == "elpv/mono-all"
    assert dataset.folder("poly-all") == dataset.root
    with pytest.raises(UnknownNameError, match="unknown category 'elpv'"):
        dataset.category_name("elpv")  # four categories lie in the folder of that name


def test_a_folder_of_elpv_is_known_by_its_layout(settings, tmp_path):
    root = make_elpv(tmp_path / "cells")
    with pytest.raises(DatasetError, match="is laid out like ELPV") as caught:
        open_dataset(str(root), settings)
    assert f"kdzoo data add elpv {root}" in caught.value.hint


def test_categories_in_other_scripts_have_a_name_of_their_own(tmp_path):
    make_dataset(tmp_path / "parts", ("ボトル", "瓶", "lid"))
    opened = open_dataset(str(tmp_path / "parts"), Settings.from_environment())
    names = opened.categories()
    assert len(set(names)) == 3 and "lid" in names and all(re.fullmatch(r"lid|x-[0-9a-f]{8}", name) for name in names)
    assert opened.category(opened.category_name("瓶")).root == tmp_path / "parts/瓶"
    make_dataset(tmp_path / "sides", ("正面1", "背面1", "2"))
    sides = open_dataset(str(tmp_path / "sides"), Settings.from_environment())
    assert len(sides.categories()) == 3 and sum(name.startswith("1-x-") for name in sides.categories()) == 2
    assert sides.category(sides.category_name("背面1")).root.name == "背面1"
    # What lies beside the categories is none of theirs, whatever it is called.
    (tmp_path / "sides/backup/train").mkdir(parents=True)
    (tmp_path / "sides/backup/train" / os.fsdecode(b"\xff.txt")).write_text("")
    assert len(sides.categories()) == 3
    # The same text in another spelling is the same category on every machine.
    (tmp_path / "parts/ボトル").rename(tmp_path / "parts" / unicodedata.normalize("NFD", "ボトル"))
    assert opened.categories() == names
