"""Sets of textures: found by name or as a folder, and no data sets."""

import pytest
from helpers.public_layouts import make_dtd

from kdzoo.data.catalog import open_dataset
from kdzoo.data.registered import register
from kdzoo.data.texture_sets import find_textures
from kdzoo.errors import DatasetError, DatasetNotFoundError, UsageError
from kdzoo.settings import Settings


@pytest.fixture
def settings(tmp_path):
    return Settings.from_environment({"KDZOO_HOME": str(tmp_path / "home")})


def test_dtd_by_name(tmp_path, settings):
    with pytest.raises(DatasetNotFoundError) as caught:
        find_textures("dtd", settings)
    assert "kdzoo data download dtd" in caught.value.hint and "kdzoo data add dtd PATH" in caught.value.hint
    images = make_dtd(settings.data / "dtd")
    assert find_textures("dtd", settings) == images
    elsewhere = make_dtd(tmp_path / "textures")
    for root in (elsewhere, elsewhere.parent):
        register("dtd", root, settings)
        assert find_textures("dtd", settings) == elsewhere


def test_too_few_folders(settings):
    make_dtd(settings.data / "dtd", folders=46)
    with pytest.raises(DatasetError, match=r"holds 46 folders of textures; .* has 47"):
        find_textures("dtd", settings)


def test_a_folder(tmp_path, settings):
    assert find_textures(str(tmp_path), settings) == tmp_path
    with pytest.raises(DatasetNotFoundError, match="no textures in"):
        find_textures(str(tmp_path / "gone"), settings)


def test_it_is_no_data_set(tmp_path, settings):
    register("dtd", make_dtd(tmp_path / "dtd").parent, settings)
    for home in (settings, Settings.from_environment({"KDZOO_HOME": str(tmp_path / "other")})):
        with pytest.raises(UsageError, match="is a set of textures"):
            open_dataset("dtd", home)
