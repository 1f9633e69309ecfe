"""What is known of the archives, and where a mirror has them."""

import pytest
from helpers.archives import make_archive

from kdzoo.data.catalog import CATALOG
from kdzoo.data.download.archives import ARCHIVES, address, find_archive
from kdzoo.data.texture_sets import TEXTURE_SETS
from kdzoo.errors import UnknownNameError, UsageError
from kdzoo.settings import Settings


def test_the_table_is_of_known_data_sets_under_their_own_names():
    assert all(known.name == name for name, known in ARCHIVES.items())
    assert set(ARCHIVES) <= set(CATALOG) | set(TEXTURE_SETS)
    assert len({known.file_name for known in ARCHIVES.values()}) == len(ARCHIVES)
    assert all(known.url.startswith("https://") for known in ARCHIVES.values())
    assert {name for name, known in ARCHIVES.items() if known.digest_kind == "md5"} == {"mvtec3d", "ksdd2"}


@pytest.mark.parametrize("name", sorted(ARCHIVES))
def test_the_packing_is_the_file_names(name):
    known = ARCHIVES[name]
    assert known.file_name.endswith(f".{known.packing}")


def test_a_name_that_is_not_known():
    with pytest.raises(UnknownNameError, match="did you mean 'mvtec3d'"):
        find_archive("mvtec-3d")
    with pytest.raises(UsageError, match="needs no download"):
        find_archive("demo")


@pytest.mark.parametrize(
    "bad",
    [
        {"digest": "abc"},
        {"digest": "A" * 64},
        {"digest_kind": "md5"},
        {"url": "file:///etc/passwd"},
        {"url": "https://host/"},
        {"holds": ()},
        {"about_bytes": 0},
        {"expansion": 0.0},
    ],
)
def test_facts_that_cannot_be(bad):
    with pytest.raises(ValueError, match="parts"):
        make_archive("http://host/parts.tar", b"", **bad) if "url" not in bad else make_archive(bad["url"], b"")


def test_a_mirror_has_the_file_under_its_own_name():
    known = find_archive("ksdd2")
    assert address(known, None) == known.url
    assert address(known, "http://files.example:8080/data/") == "http://files.example:8080/data/KolektorSDD2.zip"


@pytest.mark.parametrize(
    "mirror",
    ["files.example", "file:///mnt", "https://", "https://[", "https://host:port/", "https://a b/", "s3://bucket"],
)
def test_a_mirror_that_is_no_address(mirror):
    with pytest.raises(UsageError, match="KDZOO_DATA_MIRROR"):
        address(find_archive("ksdd2"), mirror)


@pytest.mark.parametrize("mirror", ["https://user:geheim@host/", "https://host/?token=geheim", "https://host/#geheim"])
def test_a_mirror_with_a_secret_is_refused_and_not_repeated(mirror):
    with pytest.raises(UsageError, match="must hold no user") as raised:
        address(find_archive("ksdd2"), mirror)
    assert "geheim" not in f"{raised.value} {raised.value.hint}"


def test_the_mirror_is_a_setting():
    assert Settings.from_environment({"KDZOO_DATA_MIRROR": "https://m/x"}).data_mirror == "https://m/x"
    assert Settings.from_environment({}).data_mirror is None
