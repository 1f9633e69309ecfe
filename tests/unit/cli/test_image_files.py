"""Which images a command line names, and what their pictures are called."""

from pathlib import PurePath

import pytest
from helpers.layouts import write_image

from kdzoo.cli.image_files import NamedImage, image_files, named_images
from kdzoo.cli.predict import _picture_names
from kdzoo.errors import DatasetError, UsageError


def names(*words):
    return [image.name.as_posix() for image in named_images([str(word) for word in words])]


@pytest.fixture
def photos(tmp_path):
    for name in ("b/001.jpg", "a/000.PNG", "a/deep/000.pgm", "top.jfif"):
        write_image((tmp_path / "photos" / name).with_suffix(".png")).rename(tmp_path / "photos" / name)
    return tmp_path / "photos"


def test_folders_are_walked_through_in_order_and_names_are_below_them(photos):
    assert names(photos) == ["a/000.PNG", "a/deep/000.pgm", "b/001.jpg", "top.jfif"]
    assert names(photos / "a", photos / "b/001.jpg") == ["000.PNG", "deep/000.pgm", "001.jpg"]
    assert image_files([str(photos / "b")]) == [photos / "b/001.jpg"]


def test_strays_are_none_and_what_may_be_an_image_is_told_of(photos, capsys):
    for name in ("a/._000.png", ".thumbs/000.png", "__MACOSX/a/000.png"):
        write_image(photos / name)
    for name in ("Thumbs.db", "a/notes.txt", "b/x.heic"):
        (photos / name).write_bytes(b"no image")
    assert names(photos) == ["a/000.PNG", "a/deep/000.pgm", "b/001.jpg", "top.jfif"]
    said = capsys.readouterr().err
    assert said.startswith("Note: 1 file with the suffix '.heic' in b is left out") and said.count("Note:") == 1


def test_what_an_earlier_run_drew_is_not_judged(photos, capsys):
    for results, table in ((photos / "judged", "csv"), (photos, "jsonl")):
        write_image(results / "heatmaps/a/000.png")
        (results / f"predictions.{table}").write_text("")
    # Heatmaps of somebody else, beside no table of ours.
    write_image(photos / "b/heatmaps/000.png")
    assert names(photos) == ["a/000.PNG", "a/deep/000.pgm", "b/001.jpg", "b/heatmaps/000.png", "top.jfif"]
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2].partition(" of")[0] for line in said] == ["1 picture"] * 2
    assert names(photos / "judged/heatmaps/a/000.png") == ["000.png"], "a file that is named is judged"
    with pytest.raises(UsageError, match="holds no images"):
        names(photos / "judged")
    assert names(photos / "judged", photos / "top.jfif") == ["top.jfif"], "as photos/* names both"
    # A folder of that name below the one that is named is no earlier run's because of what lies above that one.
    (photos / "a/predictions.csv").write_text("")
    write_image(photos / "a/heatmaps/in/x.png")
    assert names(photos / "a/heatmaps/in") == ["x.png"]


def test_among_files_that_are_named_what_is_no_image_is_left_out(photos, capsys):
    (photos / "Thumbs.db").write_text("")
    assert names(photos / "Thumbs.db", photos / "top.jfif") == ["top.jfif"]
    assert "Thumbs.db' is no image, and left out" in capsys.readouterr().err
    with pytest.raises(UsageError, match=r"Thumbs.db' is no image"):
        names(photos / "Thumbs.db")
    for words, problem in (
        ((), "no images named"), ((photos / "none.png",), "there is no file"), (("n" * 300,), "there is no file"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=problem):
            names(*words)


def test_a_folder_that_cannot_be_listed_is_an_error(photos, monkeypatch):
    def refuse(folder, onerror):
        onerror(PermissionError(13, "Permission denied", str(photos / "a")))
        return iter(())

    monkeypatch.setattr("kdzoo.data.files.os.walk", refuse)
    with pytest.raises(DatasetError, match=r"cannot list .*a: Permission denied"):
        names(photos)


def test_pictures_are_called_as_their_images_with_the_sub_folder():
    def called(*given):
        return [name.as_posix() for name in _picture_names([NamedImage(path=None, name=PurePath(n)) for n in given])]

    assert called("scratch/000.png", "stain/000.png", "top.jpg") == ["scratch/000.png", "stain/000.png", "top.png"]
    assert called("a/0.png", "a/0.jpg", "a/0.png", "A/0.PNG") == [
        "a/0.png",
        "a/0.jpg.png",
        "a/0.png.png",
        "A/3-0.PNG.png",
    ]
    assert called("0.png", "2-0.png.png", "0.png", "0.png") == ["0.png", "2-0.png.png", "0.png.png", "3-0.png.png"]
    assert called("a.jpg", "a.png/b.jpg") == ["a.jpg.png", "a.png/b.png"], "a folder is called like a picture"
    wide = called("𠀀" * 60 + ".png")
    assert len(wide[0].encode()) < 100
    assert called("a b/c:d.png", "..x/.y.png") == ["a_b/c_d.png", "x/y.png"]
    assert len(called("n" * 300 + ".png")[0]) < 100
