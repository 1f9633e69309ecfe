"""Sets of textures: found by name or as a folder, and no data sets."""

import pytest
from helpers.layouts import write_image
from helpers.public_layouts import make_dtd

from kdzoo.data.catalog import open_dataset
from kdzoo.data.registered import register
from kdzoo.data.texture_sets import TextureChoice, choose_textures, find_textures
from kdzoo.errors import ConfigError, DatasetError, DatasetNotFoundError, UsageError
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


def test_a_choice_is_absolute_and_its_label_tells_no_place(tmp_path, settings, monkeypatch):
    write_image(tmp_path / "cork" / "a.png")
    monkeypatch.chdir(tmp_path)
    chosen = choose_textures("cork", settings)
    assert str(chosen) == f"folder:{tmp_path / 'cork'}"
    assert chosen.label == "folder:cork"
    assert TextureChoice.parse(str(chosen)) == chosen
    assert TextureChoice.parse(chosen.label).label == chosen.label


def test_a_collection_is_chosen_by_its_name(settings):
    images = make_dtd(settings.data / "dtd")
    write_image(images / "banded" / "1.jpg")
    chosen = choose_textures("dtd", settings)
    assert (chosen.name, chosen.folder, chosen.label) == ("dtd", images, "dtd:images")


def test_a_folder_without_photographs_is_refused(tmp_path, settings):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(DatasetNotFoundError, match="no textures in") as caught:
        choose_textures(str(tmp_path), settings)
    assert "--textures" in caught.value.hint


@pytest.mark.parametrize("text", ["", "cork", "folder:", "dtb:/x", "folder:a\0b"])
def test_texts_that_are_no_choice(text):
    with pytest.raises(ConfigError, match="name no folder of photographs"):
        TextureChoice.parse(text)


def test_the_digest_is_of_names_and_bytes_wherever_they_lie(tmp_path):
    for place in ("one", "two"):
        for number in range(2):
            write_image(tmp_path / place / "sub" / f"{number}.png", (10, 20, number))
    one, two = (TextureChoice(name="folder", folder=tmp_path / place) for place in ("one", "two"))
    before = one.digest()
    assert before == two.digest() == one.digest()
    (tmp_path / "one" / "readme.txt").write_text("not a photograph")
    assert one.digest() == before
    write_image(tmp_path / "one" / "sub" / "0.png", (10, 20, 99))
    assert one.digest() != before
    (tmp_path / "two" / "sub" / "0.png").rename(tmp_path / "two" / "sub" / "9.png")
    assert two.digest() != before
    with pytest.raises(DatasetNotFoundError):
        TextureChoice(name="folder", folder=tmp_path / "gone").digest()
