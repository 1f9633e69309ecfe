"""Names: what is accepted, what is refused, and what a folder's name becomes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo_registry.errors import NameInvalidError
from zoo_registry.format.layout import alias_key, blob_key, manifest_key, parse_alias_key, parse_manifest_key
from zoo_registry.format.names import EntryName, check_alias, check_part, slug
from zoo_registry.store.protocol import check_key


def test_parse_and_back():
    name = EntryName.parse("aand/visa/pcb1")
    assert name == EntryName("aand", "visa", "pcb1")
    assert (name.method, name.dataset, name.category, str(name)) == ("aand", "visa", "pcb1", "aand/visa/pcb1")


@pytest.mark.parametrize(
    "text",
    ["", "a", "a/b", "a/b/c/d", "/a/b/c", "a/b/", "a//c", "A/b/c", "a/../c", "a/b/.", "a/b/..", "a/b/c\n", "a/b/é"],
)
def test_bad_shapes_and_letters_are_refused(text):
    with pytest.raises(NameInvalidError) as error:
        EntryName.parse(text)
    assert error.value.hint


@pytest.mark.parametrize(
    "text",
    ["a/b/c d", "a/b/c\\d", "a/b/con", "a/nul.x/c", "com1/b/c", "a/b/" + "c" * 65, "a/b/c.", "a/b/-c", "a/b/c\0"],
)
def test_names_that_no_folder_can_have_everywhere_are_refused(text):
    with pytest.raises(NameInvalidError) as error:
        EntryName.parse(text)
    assert error.value.hint


@pytest.mark.parametrize("text", ["a", "0", "a" * 64, "metal_nut", "v1.2-rc", "a..b", "com0", "console", "com10"])
def test_good_parts(text):
    assert check_part(text, "category") == check_alias(text) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("Metal Nut", "metal-nut"),
        ("metal_nut", "metal_nut"),
        ("Schraube Größe 5", "schraube-groe-5"),
        ("  ..hidden..  ", "hidden"),
        ("CON", "x-con"),
        ("aux.old", "x-aux.old"),
        ("a/b\\c", "a-b-c"),
        ("日本", "x-" + hashlib.sha256("日本".encode()).hexdigest()[:8]),
    ],
)
def test_slug(text, part):
    assert slug(text) == part


@given(st.text(st.characters(), max_size=200))
def test_slug_is_always_valid_and_settled(text):
    part = slug(text)
    assert check_part(part, "category") == part
    assert slug(part) == part


@given(st.text(max_size=80))
def test_any_text_is_a_name_or_a_name_error(text):
    try:
        name = EntryName.parse(text)
    except NameInvalidError:
        return
    assert str(name) == text
    assert parse_manifest_key(check_key(manifest_key(name, 12))) == (name, 12)


def test_layout():
    name = EntryName("aand", "visa", "candle")
    assert manifest_key(name, 3) == "entries/aand/visa/candle/releases/000003.json"
    assert alias_key(name, "champion") == "entries/aand/visa/candle/aliases/champion.json"
    assert blob_key("ab" + "0" * 62) == "blobs/sha256/ab/ab" + "0" * 62
    assert parse_alias_key(alias_key(name, "champion")) == "champion"


@pytest.mark.parametrize(
    "key",
    [
        "entries/a/b/c/releases/000000.json",
        "entries/a/b/c/releases/3.json",
        "entries/a/b/releases/000003.json",
        "entries/a/b/c/releases/000003.json.bak",
        "entries/A/b/c/releases/000003.json",
        "blobs/sha256/ab/abc",
    ],
)
def test_foreign_keys_are_no_manifests(key):
    assert parse_manifest_key(key) is None
    assert parse_alias_key(key) is None
