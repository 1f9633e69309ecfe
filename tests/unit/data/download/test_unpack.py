"""Unpacking: what is good arrives, what is bad leaves nothing outside the folder."""

import gzip
import lzma
import os
import random
import stat
import struct
import tarfile

import pytest
from helpers.archives import DEVICE, FILE, FOLDER, HARDLINK, PIPE, SYMLINK, contents, good_tar, tar_bytes, zip_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from kdzoo.data.download.members import unpacked_bytes
from kdzoo.data.download.unpack import UnpackLimits, find_root, unpack
from kdzoo.errors import ArchiveError, StorageError

KIB = 1024


@pytest.fixture
def place(tmp_path):
    """An archive's file, a folder to unpack into, and a witness beside it."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "witness").write_bytes(b"as it was")
    return tmp_path


def unpack_bytes(place, content, packing="tar", **limits):
    (place / "archive").write_bytes(content)
    return unpack(place / "archive", packing, place / "folder", limits=UnpackLimits(**limits))


def refused(place, content, why, packing="tar", **limits):
    with pytest.raises(ArchiveError, match=why):
        unpack_bytes(place, content, packing, **limits)
    assert {path.name for path in place.iterdir()} == {"archive", "folder", "witness"}
    assert (place / "witness").read_bytes() == b"as it was"
    contents(place / "folder")


@pytest.mark.parametrize(("packing", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")])
def test_a_tar_arrives(place, packing, mode):
    done = unpack_bytes(place, good_tar(mode), packing)
    assert contents(place / "folder") == {
        "LICENSE-DATASET": b"Use it well.\n\x1b[31mred",
        "bolt/train/good/000.png": b"one",
        "bolt/train/good/001.png": b"two",
    }
    assert (done.files, done.size) == (3, 3 + 3 + 21)


def test_a_zip_arrives_without_what_finder_adds(place):
    content = zip_bytes(("bolt/", 0, b""), ("bolt/1.png", stat.S_IFREG, b"one"), ("__MACOSX/._1.png", 0, b"noise"))
    unpack_bytes(place, content, "zip")
    assert contents(place / "folder") == {"bolt/1.png": b"one"}


def test_progress_goes_up_to_the_archives_size(place):
    (place / "archive").write_bytes(good_tar())
    seen = []
    unpack(place / "archive", "tar", place / "folder", limits=UnpackLimits(), progress=seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[-1] <= (place / "archive").stat().st_size


@pytest.mark.parametrize("name", ["/tmp/x", "../witness", "a/../../witness", "C:/x", "..\\x", "a\n"])
def test_names_that_lead_out_are_refused(place, name):
    refused(place, tar_bytes((name, FILE, b"bad")), "the archive holds")


@pytest.mark.parametrize("name", ["/tmp/x", "../witness", "a/../../witness", "C:/x", "..\\x", "good\x00/../../x"])
def test_names_in_a_zip_that_lead_out_are_refused(place, name):
    content = zip_bytes((name.replace("\x00", "!"), 0, b"bad")).replace(b"!", b"\x00")
    refused(place, content, "the archive holds", "zip")


@pytest.mark.parametrize("kind", [SYMLINK, HARDLINK], ids=["symlink", "hard link"])
@pytest.mark.parametrize("target", ["/etc/passwd", "../witness", "../../witness", "missing", "folder", "later"])
def test_links_that_lead_elsewhere_are_refused(place, kind, target):
    content = tar_bytes(("folder", FOLDER, None), ("link", kind, target), ("later", FILE, b"x"))
    refused(place, content, "the archive holds")


def test_writing_through_a_link_is_impossible(place):
    content = tar_bytes(("out", SYMLINK, ".."), ("out/witness", FILE, b"bad"))
    refused(place, content, "link")


def test_links_to_earlier_files_become_copies(place):
    content = tar_bytes(("a/1", FILE, b"one"), ("a/soft", SYMLINK, "../a/1"), ("hard", HARDLINK, "a/1"))
    unpack_bytes(place, content)
    assert contents(place / "folder") == {"a/1": b"one", "a/soft": b"one", "hard": b"one"}
    assert all((place / "folder" / name).lstat().st_nlink == 1 for name in ("a/1", "a/soft", "hard"))


def test_links_in_a_zip(place):
    refused(place, zip_bytes(("link", stat.S_IFLNK, b"../witness")), "leads out", "zip")
    unpack_bytes(place, zip_bytes(("1", 0, b"one"), ("2", stat.S_IFLNK, b"1")), "zip")
    assert contents(place / "folder") == {"1": b"one", "2": b"one"}


@pytest.mark.parametrize("kind", [PIPE, DEVICE, tarfile.BLKTYPE, tarfile.GNUTYPE_SPARSE, b"Z"])
def test_what_is_no_file_is_refused(place, kind):
    refused(place, tar_bytes(("x", kind, None)), "no file, folder or link")


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_what_is_no_file_in_a_zip_is_refused(place, kind):
    refused(place, zip_bytes(("x", kind, b"")), "no file, folder or link", "zip")


def test_names_that_meet_are_refused(place):
    refused(place, tar_bytes(("a/X.png", FILE, b"1"), ("A/x.png", FILE, b"2")), "one name on some disks")


def test_a_file_twice_is_refused(place):
    refused(place, tar_bytes(("x", FILE, b"1"), ("x", FILE, b"2")), "twice")


def test_a_file_for_the_folder_itself_is_refused(place):
    refused(place, tar_bytes(("./", FILE, b"1")), "without a name|twice|as a file")


def test_limits(place):
    two = tar_bytes(("a", FILE, b"x" * 600), ("b", FILE, b"x" * 600))
    refused(place, two, "more than 1 members", members=1)
    refused(make_empty(place), two, "'a' in the archive is larger than 500", member_bytes=500)
    refused(make_empty(place), two, "more than 1000 bytes at 'b'", total_bytes=1000)
    unpack_bytes(make_empty(place), two, members=2, member_bytes=600, total_bytes=1200)


def make_empty(place):
    for path in (place / "folder").iterdir():
        path.unlink()
    return place


@pytest.mark.parametrize("packing", ["tar.gz", "tar.xz", "zip"])
def test_bombs_are_stopped_while_they_grow(place, packing):
    zeros = b"\0" * (2048 * KIB)
    if packing == "zip":
        content = zip_bytes(("bomb", 0, zeros))
    else:
        content = tar_bytes(("bomb", FILE, zeros), mode=f"w:{packing[4:]}")
    assert len(content) < 8 * KIB
    refused(place, content, "grows to more than", packing, ratio=50, free_bytes=100 * KIB)
    assert sum(map(len, contents(place / "folder").values())) <= 1100 * KIB


def test_links_count_as_what_they_become(place):
    links = [(f"l{number}", HARDLINK, "a") for number in range(10)]
    refused(place, tar_bytes(("a", FILE, b"x" * 500), *links), "grows to more than 2000", total_bytes=2000)


def test_a_header_that_claims_gigabytes_takes_no_memory(place):
    entry = tarfile.TarInfo("pax")
    entry.type, entry.size = tarfile.XHDTYPE, 8 * 1024**3
    refused(place, entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10240, "a header of")


def test_a_chain_of_headers_ends_in_an_error(place):
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 2
    block = entry.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    refused(place, block * 5000, "damaged")


def test_an_encrypted_zip_is_refused(place):
    content = bytearray(zip_bytes(("x", 0, b"secret")))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    refused(place, bytes(content), "encrypted|password", "zip")


def test_a_zip_that_lies_about_sizes_is_found_out(place):
    content = bytearray(zip_bytes(("x", 0, b"a" * 5000)))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 10)
    refused(place, bytes(content), "damaged", "zip")


@pytest.mark.parametrize("packing", ["tar", "tar.gz", "tar.xz", "zip"])
def test_another_packing_than_said(place, packing):
    refused(place, b"<html>no archive at all</html>" * 100, "damaged", packing)


def test_damage_anywhere_ends_in_one_kind_of_error(place):
    draw = random.Random(3)
    good = {
        "tar": good_tar(),
        "tar.gz": good_tar("w:gz"),
        "tar.xz": good_tar("w:xz"),
        "zip": zip_bytes(("bolt/1", 0, b"one" * 50), ("bolt/2", stat.S_IFLNK, b"1")),
    }
    for number in range(200):
        packing = list(good)[number % 4]
        content = bytearray(good[packing])
        for _ in range(draw.randint(1, 8)):
            content[draw.randrange(len(content))] = draw.randrange(256)
        if number % 3 == 0:
            del content[draw.randrange(len(content)) :]
        folder = place / f"into{number}"
        folder.mkdir()
        (place / "archive").write_bytes(content)
        try:
            unpack(place / "archive", packing, folder, limits=UnpackLimits(total_bytes=100_000))
        except (ArchiveError, StorageError):
            continue
        contents(folder)
    assert (place / "witness").read_bytes() == b"as it was"


def test_a_truncated_archive_is_damaged(place):
    whole = tar_bytes(("a", FILE, os.urandom(5000)), ("b", FILE, b"x"))
    refused(place, lzma.compress(whole)[:3000], "damaged", "tar.xz")
    refused(make_empty(place), gzip.compress(whole)[:3000], "damaged", "tar.gz")
    refused(make_empty(place), whole[:3000], "damaged", "tar")


_NAME = st.lists(st.sampled_from(["..", ".", "a", "b", "A", "", "/", "C:", "\\", "folder", "witness"]), max_size=4)
_KIND = st.sampled_from([FILE, FILE, FOLDER, SYMLINK, HARDLINK, PIPE])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(_NAME, _KIND, _NAME), min_size=1, max_size=5))
def test_whatever_a_tar_holds_nothing_leaves_the_folder(tmp_path_factory, members):
    place = tmp_path_factory.mktemp("any")
    (place / "folder").mkdir()
    (place / "witness").write_bytes(b"as it was")
    content = tar_bytes(
        *(("/".join(name), kind, b"bad" if kind == FILE else "/".join(target)) for name, kind, target in members)
    )
    try:
        unpack_bytes(place, content)
    except ArchiveError as error:
        assert error.message
    assert {path.name for path in place.iterdir()} == {"archive", "folder", "witness"}
    assert (place / "witness").read_bytes() == b"as it was"
    assert set(contents(place / "folder").values()) <= {b"bad"}


def test_a_full_disk_is_a_clear_error(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(StorageError, match="No space left"):
        unpack_bytes(place, good_tar())


def test_unpacked_bytes(place):
    (place / "archive").write_bytes(zip_bytes(("a", 0, b"x" * 5000), ("b", 0, b"y")))
    assert unpacked_bytes(place / "archive", "zip", 9.0) == 5001
    (place / "archive").write_bytes(b"x" * 1000)
    assert unpacked_bytes(place / "archive", "tar", 9.0) == 1000
    assert unpacked_bytes(place / "archive", "tar.xz", 1.5) == 1500
    with pytest.raises(ArchiveError, match="damaged"):
        unpacked_bytes(place / "archive", "zip", 9.0)


@pytest.mark.parametrize("top", ["", "Parts/", "one/two/"])
def test_the_folder_around_a_data_set_is_seen_through(place, top):
    unpack_bytes(place, good_tar(top=top))
    assert find_root(place / "folder", ("bolt",)) == place / "folder" / top


def test_an_archive_of_something_else(place):
    unpack_bytes(place, good_tar())
    with pytest.raises(ArchiveError, match=r"no nut beside each other in it; it has LICENSE-DATASET, bolt"):
        find_root(place / "folder", ("nut",))


@pytest.mark.parametrize("field", ["members", "member_bytes", "total_bytes", "ratio", "free_bytes"])
def test_limits_must_be_positive(field):
    with pytest.raises(ValueError, match="positive"):
        UnpackLimits(**{field: 0})
