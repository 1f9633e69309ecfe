"""From an archive to its place: whole or not at all, once, checked, whatever stood in the way."""

import hashlib
import json
import os
import re
import threading
import time
from collections import namedtuple

import pytest
from helpers.archives import FILE, Recorder, contents, good_tar, make_archive, tar_bytes
from helpers.file_server import Fault

from kdzoo.data.download.fetch import FetchPolicy
from kdzoo.data.download.install import digest_of, install
from kdzoo.data.download.place import RECORD, Place
from kdzoo.data.download.unpack import UnpackLimits
from kdzoo.data.file_lock import advisory_lock
from kdzoo.errors import ArchiveError, DatasetError, DownloadError, StorageError

QUICK = FetchPolicy(attempts=2, first_attempts=2, first_wait_s=0.0, timeout_s=5.0)
GOOD = good_tar(top="Parts/")
FILES = {"LICENSE-DATASET", "bolt/train/good/000.png", "bolt/train/good/001.png"}


@pytest.fixture(autouse=True)
def given_out(web):
    web.give("parts.tar", GOOD)


@pytest.fixture
def place(web, tmp_path):
    return place_of(web, tmp_path, GOOD)


def place_of(web, tmp_path, content, packing="tar", **changes):
    url = f"{web.url}/parts.{packing}"
    return Place(archive=make_archive(url, content, packing, **changes), data=tmp_path / "data", url=url)


def run(place, watcher=None, **options):
    return install(place, watcher or Recorder(), policy=QUICK, **options)


def nothing_unpacked(place):
    left = {path.name for path in place.data.iterdir()} if place.data.exists() else set()
    assert left <= {"downloads"}
    return {path.name for path in place.downloads.iterdir()} if left else set()


@pytest.mark.parametrize(("packing", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tar.xz", "w:xz")])
def test_a_data_set_comes_to_its_place(web, tmp_path, packing, mode):
    content = good_tar(mode, top="Parts/")
    web.give(f"parts.{packing}", content)
    place, watcher = place_of(web, tmp_path, content, packing), Recorder()
    done = run(place, watcher)
    assert (done.root, done.fresh, done.archive) == (tmp_path / "data" / "parts", True, None)
    assert done.licence_files == (done.root / "LICENSE-DATASET",)
    assert set(contents(done.root)) == {*FILES, RECORD}
    assert watcher.stages == [(label, len(content)) for label in ("Downloading", "Checking", "Unpacking")]
    assert {path.name for path in place.downloads.iterdir()} == {"parts.lock"}
    assert {path.name for path in place.data.iterdir()} == {"downloads", "parts"}


def test_the_record_says_where_it_came_from(place):
    record = json.loads((run(place).root / RECORD).read_text())
    assert record["url"] == place.url
    assert record["sha256"] == hashlib.sha256(GOOD).hexdigest()
    assert (record["licence"], record["files"], record["archive_bytes"]) == ("CC0", 3, len(GOOD))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", record["date"])


def test_an_md5_is_checked_too(web, tmp_path):
    known = {"digest_kind": "md5", "digest": hashlib.md5(GOOD).hexdigest()}
    assert run(place_of(web, tmp_path, GOOD, **known)).fresh
    known["digest"] = "0" * 32
    with pytest.raises(DownloadError, match="its md5 is"):
        run(place_of(web, tmp_path / "other", GOOD, **known))


def test_what_is_there_is_not_fetched_again(place, web):
    run(place)
    web.requests.clear()
    done = run(place, offline=True)
    assert (done.fresh, web.requests) == (False, [])


def test_what_a_person_unpacked_is_left_as_it_is(place, web):
    (place.root / "bolt").mkdir(parents=True)
    assert not run(place).fresh
    assert contents(place.root) == {}
    assert not web.requests


def test_an_empty_folder_is_no_data_set(place):
    place.root.mkdir(parents=True)
    assert run(place).fresh


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_something_else_in_the_way(place, kind):
    place.data.mkdir()
    if kind == "folder":
        (place.root / "other").mkdir(parents=True)
    elif kind == "file":
        place.root.write_bytes(b"mine")
    else:
        place.root.symlink_to(place.data / "gone")
    with pytest.raises(DatasetError, match="in the way") as raised:
        run(place)
    assert "move it away" in raised.value.hint


def test_a_wrong_archive_is_set_aside(place, web):
    web.files["/parts.tar"] = GOOD[:-1] + b"x"
    with pytest.raises(DownloadError, match=f"not the known archive of 'parts': its sha256 is .*{len(GOOD)}") as raised:
        run(place)
    assert nothing_unpacked(place) == {"parts.lock", "parts.tar.rejected"}
    assert str(place.rejected) in raised.value.hint
    web.files["/parts.tar"] = GOOD
    assert run(place).fresh


def test_every_failure_says_the_steps_by_hand(place, web):
    web.files.clear()
    with pytest.raises(DownloadError, match="404") as raised:
        run(place)
    for said in (place.url, str(place.file), place.archive.digest, "sha256", "kdzoo data download parts", "data add"):
        assert said in raised.value.hint
    assert "is kept" not in raised.value.hint
    web.give("parts.tar", GOOD)
    web.faults.append(Fault(send=700, times=9))
    with pytest.raises(DownloadError, match="tries") as raised:
        run(place)
    assert "what has come is kept" in raised.value.hint
    assert nothing_unpacked(place) == {"parts.lock", "parts.tar.part", "parts.tar.part.json"}


def test_a_later_run_goes_on(place, web):
    web.faults.append(Fault(send=700, times=2))
    with pytest.raises(DownloadError):
        run(place)
    assert run(place).fresh
    assert web.asked_ranges()[-1] == "bytes=1400-"


def test_an_archive_put_there_by_hand_is_used_and_kept(place, web):
    place.downloads.mkdir(parents=True)
    place.file.write_bytes(GOOD)
    watcher = Recorder()
    done = run(place, watcher, offline=True)
    assert (done.fresh, done.archive, web.requests) == (True, place.file, [])
    assert str(place.file) in watcher.notes[0]


def test_a_wrong_archive_put_there_by_hand_is_not_touched(place, web):
    place.downloads.mkdir(parents=True)
    place.file.write_bytes(b"something")
    with pytest.raises(DownloadError, match=r"parts.tar is not the known archive .*\(9 bytes\)") as raised:
        run(place)
    assert "delete it" in raised.value.hint
    assert nothing_unpacked(place) == {"parts.lock", "parts.tar"}
    assert place.file.read_bytes() == b"something"
    assert not web.requests


def test_offline_refuses_at_once(place, web):
    with pytest.raises(DownloadError, match="KDZOO_OFFLINE") as raised:
        run(place, offline=True)
    assert str(place.file) in raised.value.hint
    assert not web.requests
    assert not place.data.exists()


def test_the_archive_can_be_kept(place):
    assert run(place, keep_archive=True).archive == place.file
    assert place.file.read_bytes() == GOOD


def test_the_command_in_the_steps_fits_a_folder_of_ones_own(place):
    assert place.command == "kdzoo data download parts"
    elsewhere = Place(archive=place.archive, data=place.data / "my disk", url=place.url, default=False)
    assert elsewhere.command == f"kdzoo data download parts --root '{place.data}/my disk'"


@pytest.mark.parametrize("bad", ["../escaped", "bolt/x"])
def test_a_bad_archive_leaves_nothing(web, tmp_path, bad):
    content = tar_bytes(("bolt/x", FILE, b"1"), (bad, FILE, b"2"))
    web.give("parts.tar", content)
    place = place_of(web, tmp_path, content)
    with pytest.raises(ArchiveError, match="'parts' was not unpacked") as raised:
        run(place)
    assert nothing_unpacked(place) == {"parts.lock", "parts.tar"}
    assert str(place.file) in raised.value.hint
    assert not (tmp_path / "escaped").exists()


def test_an_archive_of_something_else(web, tmp_path):
    place = place_of(web, tmp_path, GOOD, holds=("nut",))
    with pytest.raises(ArchiveError, match="no nut beside each other"):
        run(place)
    nothing_unpacked(place)


def test_limits_of_unpacking_are_kept(place):
    with pytest.raises(ArchiveError, match="more than 2 members"):
        run(place, limits=UnpackLimits(members=2))
    nothing_unpacked(place)


Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "stage"), [(0, "before"), (70_000_000, "after the announcement")])
def test_too_small_a_disk_is_found_first(web, tmp_path, monkeypatch, free, stage):
    about = 4_000_000 if stage == "before" else None
    place = place_of(web, tmp_path, GOOD, about_bytes=about, expansion=1000.0)
    monkeypatch.setattr("kdzoo.data.download.install.shutil.disk_usage", lambda _: Usage(1, 1, free))
    with pytest.raises(StorageError, match=r"needs about .* GB more in .*, which has 0\.\d GB free"):
        run(place)
    assert len(web.requests) == (0 if stage == "before" else 1)
    assert not place.file.exists()


def test_a_folder_that_takes_nothing(place, web):
    place.data.parent.joinpath("data").write_bytes(b"a file")
    with pytest.raises((StorageError, DatasetError), match="data"):
        run(place)
    assert not web.requests


def test_what_a_killed_run_left_is_removed(place):
    left = place.data / f"{place.scratch_prefix}abc"
    (left / "unpacked" / "bolt").mkdir(parents=True)
    place.downloads.mkdir()
    place.part.with_name(f"{place.part.name}-0123").write_bytes(b"x")
    assert run(place).fresh
    assert {path.name for path in place.data.iterdir()} == {"downloads", "parts"}
    assert {path.name for path in place.downloads.iterdir()} == {"parts.lock"}


def test_a_process_waits_for_another_with_the_same_set(place, web):
    watcher, ended = Recorder(), []
    place.downloads.mkdir(parents=True)
    with advisory_lock(place.lock, patience_s=1) as held:
        assert held
        waiting = threading.Thread(target=lambda: ended.append(run(place, watcher)))
        waiting.start()
        deadline = time.monotonic() + 120
        while not watcher.notes and time.monotonic() < deadline:
            time.sleep(0.01)
        assert watcher.notes == ["another process downloads 'parts'; waiting for it"]
        assert not web.requests
    waiting.join(120)
    assert ended[0].fresh


def test_several_at_once_fetch_it_once(place, web):
    ended = []
    threads = [threading.Thread(target=lambda: ended.append(run(place).fresh)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(ended) == [False, False, False, True]
    assert len(web.requests) == 1


def test_without_working_locks_two_do_not_write_one_part(place, web, monkeypatch):
    def broken(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", broken)
    place.downloads.mkdir(parents=True)
    place.part.write_bytes(b"of another process")
    fresh = place.data / f"{place.scratch_prefix}abc"
    fresh.mkdir()
    assert run(place).fresh
    assert place.part.read_bytes() == b"of another process"
    assert fresh.is_dir(), "it may belong to a process at work"
    assert {path.name for path in place.downloads.iterdir()} == {"parts.lock", "parts.tar.part"}


def test_two_without_locks_end_with_one(place, monkeypatch):
    theirs = place.root

    def first(*_):
        (theirs / "bolt").mkdir(parents=True)

    monkeypatch.setattr("kdzoo.data.download.install.os.sync", first)
    assert run(place).root == theirs
    assert contents(theirs) == {}
    assert {path.name for path in place.data.iterdir()} == {"downloads", "parts"}


def test_the_digest_of_a_file(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    seen = []
    assert digest_of(tmp_path / "x", "md5", seen.append) == "900150983cd24fb0d6963f7d28e17f72"
    assert seen == [3]
    assert digest_of(tmp_path / "x", "sha256").startswith("ba7816bf")


def test_files_have_the_rights_that_a_person_gave(place):
    before = os.umask(0o027)
    try:
        root = run(place).root
    finally:
        os.umask(before)
    assert root.stat().st_mode & 0o777 == 0o750
    assert (root / "LICENSE-DATASET").stat().st_mode & 0o777 == 0o640
