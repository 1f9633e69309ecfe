"""What every data set's reader promises, whatever the layout and the way it is opened."""

import shutil
from collections import Counter

import pytest
from helpers.layouts import make_category, make_dataset

from kdzoo.data.catalog import CATALOG, open_dataset
from kdzoo.data.decoded_cache import decode
from kdzoo.data.samples import GOOD
from kdzoo.data.splits import split
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


OPENERS = [by_name, half_of_it, by_its_folder, own_folder, own_category, own_normals]


@pytest.fixture(params=OPENERS, ids=lambda opener: opener.__name__)
def opened(request, tmp_path):
    """A data set, and the function that opens it from the same files in another home."""

    def opening(home):
        return open_dataset(request.param(home), Settings.from_environment({"KDZOO_HOME": str(home)}))

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
            assert sample.split == "test" or not sample.label
            assert sample.mask_path is None or (sample.label and sample.mask_path.is_file())
        assert index.of_split("train")


def test_every_file_is_one_sample_or_one_mask(opened):
    dataset, _ = opened
    for name in dataset.categories():
        index = dataset.category(name)
        used = Counter(path for sample in index.samples for path in (sample.path, sample.mask_path) if path)
        assert used == Counter(path for path in index.root.rglob("*") if path.is_file())


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
        assert split(here, "synthetic").digest == split(there, "synthetic").digest


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
    root = dataset.category(name).root
    shutil.rmtree(root / "train")
    with pytest.raises((LookupError, FileNotFoundError), match=name):
        dataset.category(name)
