"""No path and no link leads out of a folder."""

import pytest
from helpers.layouts import write_image

from kdzoo.data.inside import Inside


@pytest.fixture
def inside(tmp_path):
    write_image(tmp_path / "photos" / "a.png")
    write_image(tmp_path / "photos" / "line 3" / "b.JPG")
    write_image(tmp_path / "secret.png")
    (tmp_path / "photos" / "notes.txt").touch()
    (tmp_path / "photos" / "folder.png").mkdir()
    return Inside(tmp_path / "photos")


@pytest.mark.parametrize("text", ["a.png", "./a.png", "line 3/b.JPG"])
def test_what_lies_there_may_be_used(inside, text):
    assert inside.why_not(inside.relative(text)) == ""
    whole = inside.relative(str(inside.root / text))
    assert whole == inside.relative(text) and inside.why_not(whole) == ""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no file"),
        (".", "names no file"),
        ("../secret.png", "leads out"),
        ("line 3/../../secret.png", "leads out"),
        ("line 3/../a.png", "leads out"),
        ("/etc/passwd", "leads out"),
        ("C:/a.png", "leads out"),
        ("line 3\\b.JPG", "has a backslash"),
        ("a.png\0", "control characters"),
        ("a\n.png", "control characters"),
        ("notes.txt", "is not an image's name"),
        ("folder.png", "is not a file"),
        ("none.png", "is not there"),
        ("nowhere/none.png", "is not there"),
    ],
)
def test_what_may_not(inside, text, why):
    assert why in inside.why_not(inside.relative(text))


def test_links(inside, tmp_path):
    root = inside.root
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "up").symlink_to(tmp_path)
    (root / "within.png").symlink_to(root / "line 3" / "b.JPG")
    (root / "loop.png").symlink_to(root / "loop.png")
    (root / "gone.png").symlink_to(root / "none.png")
    assert "leads out" in inside.why_not("out.png") and "leads out" in inside.why_not("up/secret.png")
    assert inside.why_not("within.png") == ""
    assert inside.why_not("loop.png") == "is a link that leads nowhere"
    assert "is not there" in inside.why_not("gone.png")


def test_the_folder_itself_may_be_a_link(inside, tmp_path):
    (tmp_path / "short").symlink_to(inside.root)
    assert Inside(tmp_path / "short").why_not("line 3/b.JPG") == ""
