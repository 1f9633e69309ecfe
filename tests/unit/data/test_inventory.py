"""What `inventory` says of data sets that are there, in part, damaged, moved or missing."""

import shutil

import pytest
from helpers.layouts import make_category, make_dataset, write_image

from kdzoo.data.catalog import CATALOG
from kdzoo.data.demo import DemoCounts, ensure_demo
from kdzoo.data.inventory import inventory
from kdzoo.data.registered import register
from kdzoo.data.texture_sets import TEXTURE_SETS
from kdzoo.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})


def listed(settings):
    return {row.name: row for row in inventory(settings)}


def test_nothing_is_there_and_nothing_is_made(settings, tmp_path):
    steps = []
    rows = inventory(settings, lambda done, total: steps.append((done, total)))
    assert [row.name for row in rows] == [*CATALOG, *TEXTURE_SETS]
    assert {row.state for row in rows} == {"missing"}
    assert steps == [(done, len(rows)) for done in range(1, len(rows) + 1)]
    found = {row.name: row for row in rows}
    assert found["mvtec"].expected_categories == 15 and found["mvtec"].expected_images == 3629 + 1725
    assert found["visa"].next == "kdzoo data download visa"
    assert found["demo"].next.startswith("kdzoo data show demo")
    assert not (tmp_path / "home").exists()


def test_what_is_there_is_counted(settings):
    ensure_demo(settings.data / "demo", counts=DemoCounts(train=2, test_good=1, per_defect=1))
    row = listed(settings)["demo"]
    assert (row.state, row.categories, row.expected_categories) == ("there", 4, None)
    assert row.images == 4 * (2 + 1 + 4)
    assert row.next == "kdzoo sweep aand --dataset demo"


def test_a_part_of_a_data_set_is_incomplete(settings):
    make_dataset(settings.data / "mvtec", ("bottle", "cable"))
    row = listed(settings)["mvtec"]
    assert (row.state, row.categories, row.expected_categories, row.images) == ("incomplete", 2, 15, 24)
    assert row.next == "kdzoo data verify mvtec"


def test_an_empty_folder_is_no_data_set(settings):
    (settings.data / "mvtec").mkdir(parents=True)
    assert listed(settings)["mvtec"].state == "missing"


def test_named_folders_stand_after_the_known_ones(settings, tmp_path):
    make_category(tmp_path / "lids" / "red")
    register("lids", tmp_path / "lids", settings)
    rows = inventory(settings)
    assert [row.name for row in rows] == [*CATALOG, "lids", *TEXTURE_SETS]
    row = {each.name: each for each in rows}["lids"]
    assert (row.state, row.categories, row.images, row.root) == ("there", 1, 12, tmp_path / "lids")


def test_a_known_data_set_is_found_where_it_was_registered(settings, tmp_path):
    make_dataset(tmp_path / "mvtec-copy", ("bottle",))
    register("mvtec", tmp_path / "mvtec-copy", settings)
    row = listed(settings)["mvtec"]
    assert (row.state, row.root, row.images) == ("incomplete", tmp_path / "mvtec-copy", 12)


def test_a_folder_that_was_moved_is_missing(settings, tmp_path):
    make_category(tmp_path / "lids" / "red")
    register("lids", tmp_path / "lids", settings)
    shutil.move(tmp_path / "lids", tmp_path / "elsewhere")
    row = listed(settings)["lids"]
    assert (row.state, row.next) == ("missing", "kdzoo data add lids PATH")


def test_a_damaged_data_set_says_why_and_the_others_are_listed(settings):
    make_category(settings.data / "mvtec" / "bottle")
    write_image(settings.data / "mvtec" / "bottle" / "train" / "bad" / "000.png")
    rows = listed(settings)
    assert rows["mvtec"].state == "damaged" and "holds the folder 'bad'" in rows["mvtec"].trouble
    assert rows["mvtec"].next == "kdzoo data verify mvtec"
    assert len(rows) == len(CATALOG) + len(TEXTURE_SETS)


def test_textures(settings):
    root = settings.data / "dtd" / "images"
    for number in range(46):
        write_image(root / f"kind{number}" / "a.jpg")
    row = listed(settings)["dtd"]
    assert row.state == "damaged" and "46 folders" in row.trouble
    write_image(root / "kind46" / "a.jpg")
    row = listed(settings)["dtd"]
    assert (row.state, row.categories, row.kind) == ("there", 47, "textures")
