"""What every data set's reader promises, whatever the layout and the way it is opened."""

import shutil
from collections import Counter
from functools import partial

import pytest
from helpers.layouts import make_category, make_dataset, write_image
from helpers.public_layouts import make_elpv, make_ksdd2, make_mvtec3d, make_visa
from helpers.tables import coco_of, make_photos, write_table

from kdzoo.data.cache.decoded import decode
from kdzoo.data.catalog import CATALOG, open_dataset
from kdzoo.data.demo import DemoCounts, ensure_demo
from kdzoo.data.registered import register
from kdzoo.data.samples import GOOD
from kdzoo.data.splits import split
from kdzoo.data.tables.take_up import take_up
from kdzoo.errors import UnknownNameError
from kdzoo.settings import Settings


def by_name(home):
    make_dataset(home / "data" / "mvtec", CATALOG["mvtec"].categories)
    return "mvtec"


def half_of_it(home):
    make_dataset(home / "data" / "mvtec", ("tile", "wood"))
    return "mvtec"


def by_its_folder(home):
    return str(make_dataset(home / "elsewhere" / "mvtec", ("bottle", "cable", "zipper")))


def own_folder(home):
    root = make_dataset(home / "My Parts", ("Left Door", "nut"))
    make_category(root / "without-masks", masks=False)
    return str(root)


def own_category(home):
    return str(make_category(home / "nut"))


def own_normals(home):
    root = home / "normals"
    make_category(root / "nut", good=0, defects={})
    make_category(root / "bolt", good=2, defects={})
    return str(root)


def own_validation(home):
    root = make_category(home / "checked" / "nut", good=1).parent
    write_image(root / "nut/validation/good/0.png")
    return str(root)


def own_by_its_name(home):
    root = make_dataset(home / "v7", ("Left Door", "nut"))
    register("doors", root, Settings.from_environment({"KDZOO_HOME": str(home)}))
    return "doors"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small demo data set, drawn once."""
    counts = DemoCounts(train=2, test_good=2, per_defect=1)
    return ensure_demo(tmp_path_factory.mktemp("demo") / "drawn", counts=counts)


def drawn(home, demo):
    return str(shutil.copytree(demo, home / "drawn"))


def visa(home):
    make_visa(home / "data" / "visa")
    return "visa"


def visa_elsewhere(home):
    register("visa", make_visa(home / "VisA_20220922"), Settings.from_environment({"KDZOO_HOME": str(home)}))
    return "visa"


def mvtec3d(home):
    return str(make_mvtec3d(home / "mvtec3d"))


def ksdd2(home):
    make_ksdd2(home / "data" / "ksdd2")
    return "ksdd2"


def elpv(home):
    make_elpv(home / "data" / "elpv")
    return "elpv"


def elpv_elsewhere(home):
    register("elpv", make_elpv(home / "cells"), Settings.from_environment({"KDZOO_HOME": str(home)}))
    return "elpv"


def table(home):
    rows = make_photos(home / "flat")
    for place, row in enumerate(rows):
        row["category"] = ("Left Door", "nut")[place % 2]
    return taken_up(home, write_table(home / "parts.csv", rows))


def table_of_coco(home):
    return taken_up(home, coco_of(home / "flat", home / "parts.json"))


def taken_up(home, file):
    """Registers a table of the images in ``flat``; returns its name."""
    settings = Settings.from_environment({"KDZOO_HOME": str(home)})
    register("parts", take_up("parts", file, home / "flat", settings.tables).folder, settings)
    return "parts"


OPENERS = [by_name, half_of_it, by_its_folder, own_folder, own_category, own_normals, own_validation, own_by_its_name]
OPENERS += [drawn, visa, visa_elsewhere, mvtec3d, ksdd2, elpv, elpv_elsewhere, table, table_of_coco]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def opened(request, tmp_path):
    """A data set, and the function that opens it from the same files in another home."""

    make = request.param
    if make is drawn:
        make = partial(drawn, demo=request.getfixturevalue("demo"))

    def opening(home):
        return open_dataset(make(home), Settings.from_environment({"KDZOO_HOME": str(home)}))

    return opening(tmp_path / "one"), opening


def test_categories_are_valid_names_in_order(opened):
    dataset, _ = opened
    names = dataset.categories()
    assert names and list(names) == sorted(set(names))
    for name in (dataset.name, *names):
        assert name == name.lower() and " " not in name and "/" not in name
    assert not set(dataset.missing()) & set(names)
    if dataset.info.categories is not None:
        assert sorted({*names, *dataset.missing()}) == sorted(dataset.info.categories)


def test_samples(opened):
    dataset, _ = opened
    for name in dataset.categories():
        index = dataset.category(name)
        assert index.name == f"{dataset.name}/{name}"
        ids = [sample.id for sample in index.samples]
        assert ids == sorted(set(ids))
        for sample in index.samples:
            assert sample.path == index.root / sample.id and sample.path.is_file()
            assert sample.label == (sample.defect_type != GOOD)
            assert sample.label == 0 or sample.split != "train"
            assert sample.mask_path is None or (sample.label and sample.mask_path.is_file())
        assert index.of_split("train")
        assert sum(index.count(split) for split in ("train", "validation", "test")) == len(index.samples)


def test_no_file_is_taken_twice_and_all_but_strays_are_taken(opened):
    dataset, _ = opened
    for name in dataset.categories():
        index = dataset.category(name)
        used = Counter(path for sample in index.samples for path in (sample.path, sample.mask_path) if path)
        assert set(used.values()) == {1}
        left_out = {path for path in index.root.rglob("*") if path.is_file()} - used.keys()
        assert all(meant_to_be_left_out(path, dataset.info.layout, name) for path in left_out)


def of_another_category(path, category):
    """Whether ELPV's table says that an image is of the other kind, or unsure."""
    rows = [line.split() for line in (path.parents[1] / "labels.csv").read_text().splitlines()]
    kinds = {image.partition("/")[2]: (grade, kind) for image, grade, kind in rows}
    grade, kind = kinds[path.name]
    return kind != category or grade not in ("0.0", "1.0")


def of_another_row(path, category):
    """Whether an image, or the mask of one, belongs to the other category of the flat folder in `table`."""
    return category == ("nut", "left-door")[int(path.stem[1:]) % 2]


def meant_to_be_left_out(path, layout, category):
    """What a layout brings along that is neither an image to use nor a mask that says something."""
    return {
        "mvtec": False,
        "visa": path.name == "9999.JPG",
        "mvtec3d": path.parent.name == "xyz" or path.parts[-3:-1] == ("good", "gt"),
        "ksdd2": "(copy)" in path.name or path.stem.endswith("_GT"),
        "elpv": layout == "elpv" and (path.name == "labels.csv" or of_another_category(path, category)),
        "table": layout == "table" and of_another_row(path, category),
    }[layout]


def test_the_default_protocol_can_be_followed(opened):
    dataset, _ = opened
    for name in dataset.categories():
        parts = split(dataset.category(name), dataset.info.default_protocol)
        assert parts.train and parts.select


def test_another_home_holds_the_same(opened, tmp_path):
    dataset, opening = opened
    other = opening(tmp_path / "two")
    assert other.categories() == dataset.categories() and other.root != dataset.root
    for name in dataset.categories():
        here, there = dataset.category(name), other.category(name)
        assert here.fingerprint() == there.fingerprint()
        for protocol in ("synthetic", dataset.info.default_protocol):
            assert split(here, protocol, seed=3).digest == split(there, protocol, seed=3).digest


def test_nothing_is_written_to_the_data_set(opened, tmp_path):
    dataset, _ = opened
    before = {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*")}
    for name in dataset.categories():
        part = decode(dataset.category(name).samples, size=4, cache_dir=tmp_path / "cache", masks=True)
        assert len(part.images) == len(part.labels) == len(part.samples)
    assert {path: path.stat().st_mtime_ns for path in dataset.root.rglob("*")} == before


def test_a_category_that_does_not_exist(opened):
    dataset, _ = opened
    with pytest.raises(UnknownNameError, match="unknown category 'no-such-thing'"):
        dataset.category("no-such-thing")


def test_a_category_that_went_away(opened):
    dataset, _ = opened
    name = dataset.categories()[0]
    index = dataset.category(name)
    gone = index.root / index.of_split("train")[0].id.partition("/")[0]
    if gone.is_dir():
        shutil.rmtree(gone)
    else:  # of a flat folder an image goes
        gone.unlink()
    with pytest.raises((LookupError, FileNotFoundError), match=name):
        dataset.category(name)
