"""The data set on a machine of a cluster that lacks it."""

import dataclasses
import shutil

import pytest
from helpers.archives import good_tar, make_archive
from helpers.layouts import make_dataset

from kdzoo.data.catalog import CATALOG, Dataset, open_dataset
from kdzoo.data.download.place import Place
from kdzoo.errors import DatasetNotFoundError, DownloadError
from kdzoo.search.workers.node_data import bring, place_of
from kdzoo.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})


def known(name, settings):
    return Dataset(info=CATALOG[name], root=settings.data / name)


def test_what_is_there_is_left_alone(tmp_path, settings):
    dataset = open_dataset(str(make_dataset(tmp_path / "parts")), settings)
    bring(dataset, None)
    shutil.rmtree(dataset.root)
    with pytest.raises(DatasetNotFoundError, match=f"'parts' is not in '{dataset.root}'") as caught:
        bring(dataset, None)
    assert "same path" in caught.value.hint and "--download" not in caught.value.hint


def test_one_that_has_an_archive_can_be_fetched_where_kdzoo_looks_for_it_alone(settings):
    assert place_of(known("visa", settings), settings).root == settings.data / "visa"
    assert place_of(dataclasses.replace(known("visa", settings), root=settings.home / "visa"), settings) is None
    assert place_of(known("demo", settings), settings) is None


def test_nothing_is_fetched_unless_allowed(settings):
    visa = known("visa", settings)
    with pytest.raises(DatasetNotFoundError) as caught:
        bring(visa, None)
    assert "--download" in caught.value.hint
    # Allowed, it goes for the archive, which this mirror does not have.
    mirrored = dataclasses.replace(settings, data_mirror="http://127.0.0.1:9/sets")
    with pytest.raises(DownloadError):
        bring(visa, place_of(visa, mirrored))


def test_an_allowed_one_is_fetched(tmp_path, settings, web):
    content = good_tar(top="Parts/")
    url = web.give("parts.tar", content)
    place = Place(archive=make_archive(url, content, "tar"), data=tmp_path / "data", url=url)
    bring(dataclasses.replace(known("mvtec", settings), root=place.root), place)
    assert (place.root / "bolt/train/good/000.png").is_file()


@pytest.mark.long
def test_the_demo_is_made_anywhere(settings):
    demo = known("demo", settings)
    bring(demo, None)
    assert demo.categories() == CATALOG["demo"].categories
