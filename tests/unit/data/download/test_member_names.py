"""Names in archives: none leads out, none meets another."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.data.download.member_names import TakenNames, safe_parts
from kdzoo.errors import ArchiveError


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a/b.png", ("a", "b.png")),
        ("./a//b.png", ("a", "b.png")),
        ("a/", ("a",)),
        ("./", ()),
        ("train/10301 (copy).png", ("train", "10301 (copy).png")),
        ("..a/b..", ("..a", "b..")),
        ("größe/日.png", ("größe", "日.png")),
    ],
)
def test_harmless_names(name, parts):
    assert safe_parts(name) == parts


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("../x", "leads out"),
        ("a/../../x", "leads out"),
        ("a/..", "leads out"),
        ("C:/x", "drive"),
        ("c:x", "drive"),
        ("..\\x", "backslash"),
        ("a\x00.png", "control"),
        ("a\n.png", "control"),
        ("a\x1b[2J", "control"),
        ("\udcff.png", "not UTF-8"),
        ("a" * 256, "too long"),
        ("ü" * 128, "too long"),
        ("a/" * 600, "too long"),
    ],
)
def test_harmful_names(name, why):
    with pytest.raises(ArchiveError, match=why) as raised:
        safe_parts(name)
    assert str(raised.value).isprintable()


_PIECE = st.sampled_from(["..", ".", "", "a", "B", "/", "\\", "C:", "~", "\x00", "é", "..a", "a ", "/..", "../"])


@settings(deadline=None)
@given(st.lists(_PIECE | st.text(max_size=4), max_size=6), st.sampled_from(["/", "", "\\"]))
def test_no_name_leaves_the_folder(pieces, separator):
    name = separator.join(pieces)
    try:
        parts = safe_parts(name)
    except ArchiveError:
        return
    folder = Path("/folder")
    assert Path(os.path.normpath(folder.joinpath(*parts))) == folder.joinpath(*parts)
    assert folder.joinpath(*parts).parts[:2] == ("/", "folder")
    assert len(folder.joinpath(*parts).parts) == 2 + len(parts)


def taken(*names):
    made = TakenNames()
    for name, kind in names:
        made.take(tuple(name.split("/")), kind)
    return made


def test_folders_may_be_named_again_and_files_not():
    made = taken(("a", "folder"), ("a/b", "file"), ("a", "folder"), ("a/c", "file"))
    assert made.is_file(("a", "b"))
    assert not made.is_file(("a",))
    assert not made.is_file(("A", "b"))
    with pytest.raises(ArchiveError, match="twice"):
        made.take(("a", "b"), "file")


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (("a/B.png", "file"), ("a/b.png", "file"), "one name"),
        (("A/x", "file"), ("a/y", "file"), "one name"),
        (("STRASSE", "file"), ("straße", "folder"), "one name"),
        (("é", "file"), (unicodedata.normalize("NFD", "é"), "file"), "one name"),
        (("a", "file"), ("a/b", "file"), "as a file and as a folder"),
        (("a/b", "file"), ("a", "file"), "as a file and as a folder"),
    ],
)
def test_names_that_meet(first, second, why):
    with pytest.raises(ArchiveError, match=why):
        taken(first, second)
