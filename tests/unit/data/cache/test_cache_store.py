import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.layouts import write_image
from PIL import Image

from kdzoo.data import file_lock
from kdzoo.data.cache import store as cache_store
from kdzoo.data.cache.array_file import ArrayWriter
from kdzoo.data.cache.decoded import decode
from kdzoo.data.cache.store import in_use, remove, remove_unfinished, size_limit, stored_entries, unfinished_bytes
from kdzoo.data.samples import Sample
from kdzoo.errors import StorageError

DAY = 86400
SIZE = 16
ONE = SIZE * SIZE * 3  # bytes that one image needs, less headers

HOLD = """
import sys, time
from pathlib import Path
from kdzoo.data.cache.decoded import decode
from kdzoo.data.samples import Sample

path = Path(sys.argv[1])
sample = Sample(id=f"train/good/{path.name}", path=path, split="train", defect_type="good")
view = decode([sample], size=16, cache_dir=Path(sys.argv[2]), masks=True).images[0, 3:]
print("open", flush=True)
time.sleep(60)
"""


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def no_locks(monkeypatch):
    def unsupported(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)


def sample_of(tmp_path, name):
    path = tmp_path / "data/parts/nut/train/good" / f"{name}.png"
    if not path.exists():
        write_image(path)
    return Sample(id=f"train/good/{name}.png", path=path, split="train", defect_type="good")


def decoded(tmp_path, cache, image, **options):
    return decode([sample_of(tmp_path, image)], **{"size": SIZE, "cache_dir": cache, "masks": True, **options})


def made(tmp_path, cache, name, *, days=0.0, **options):
    """An entry that nobody has open, last used some days ago; returns its folder."""
    folder = decoded(tmp_path, cache, name, **options).folder
    os.utime(folder / "index.json", (time.time() - days * DAY,) * 2)
    return folder


def folders(cache):
    return {entry.folder for entry in stored_entries(cache / "decoded")}


def test_an_entry_says_what_it_is(tmp_path, cache):
    before = time.time()
    folder = decoded(tmp_path, cache, "a").folder
    (entry,) = stored_entries(cache / "decoded")
    assert (entry.folder, entry.name, entry.part, entry.images, entry.side) == (folder, "parts/nut", "train", 1, SIZE)
    assert entry.size == sum(path.stat().st_size for path in folder.iterdir()) and entry.used >= before - 1
    assert entry.is_of("parts") and entry.is_of("parts/nut")
    assert not entry.is_of("part") and not entry.is_of("parts/nu")


def test_names_that_are_given_are_kept(tmp_path, cache):
    decoded(tmp_path, cache, "a", name="shop/bolt", part="selection")
    (entry,) = stored_entries(cache / "decoded")
    assert (entry.name, entry.part) == ("shop/bolt", "selection")


def test_images_that_lie_elsewhere_give_no_name(tmp_path, cache):
    sample = Sample(id="other/a.png", path=write_image(tmp_path / "b.png"), split="test", defect_type="good")
    decode([sample], size=SIZE, cache_dir=cache, masks=False)
    (entry,) = stored_entries(cache / "decoded")
    assert (entry.name, entry.part) == ("", "test")


def test_no_cache_yet(cache):
    assert stored_entries(cache / "decoded") == [] and unfinished_bytes(cache / "decoded") == 0
    assert size_limit(cache / "decoded", None, 0) > 0


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"name": 7, "count": "x"}', b"[" * 100_000])
def test_a_damaged_entry_is_listed_and_can_go(tmp_path, cache, content):
    folder = decoded(tmp_path, cache, "a").folder
    (folder / "index.json").write_bytes(content)
    (entry,) = stored_entries(cache / "decoded")
    assert (entry.name, entry.images) == ("", 0)
    assert remove(entry) and not folder.exists()


class TestLimit:
    def test_what_was_used_longest_ago_goes_first(self, tmp_path, cache):
        old, older, oldest = (made(tmp_path, cache, name, days=days) for name, days in (("c", 1), ("b", 2), ("a", 3)))
        taken = sum(entry.size for entry in stored_entries(cache / "decoded"))
        new = made(tmp_path, cache, "d", limit=taken)
        assert folders(cache) == {old, older, new} and not oldest.exists()

    def test_opening_counts_as_use(self, tmp_path, cache):
        first, second = made(tmp_path, cache, "a", days=2), made(tmp_path, cache, "b", days=1)
        decoded(tmp_path, cache, "a")
        new = made(tmp_path, cache, "c", limit=2 * first_size(cache))
        assert folders(cache) == {first, new} and not second.exists()

    def test_nothing_goes_while_there_is_room(self, tmp_path, cache):
        for name in "abc":
            made(tmp_path, cache, name, days=1, limit=10**9)
        assert len(folders(cache)) == 3

    def test_the_environment_sets_it(self, tmp_path, cache, monkeypatch):
        old = made(tmp_path, cache, "a", days=1)
        monkeypatch.setenv("KDZOO_CACHE_LIMIT", f"{ONE + 200}")
        made(tmp_path, cache, "b")
        assert not old.exists() and len(folders(cache)) == 1

    def test_one_entry_over_the_limit_is_built_with_a_warning(self, tmp_path, cache, caplog):
        with caplog.at_level(logging.WARNING):
            part = decoded(tmp_path, cache, "a", limit=10)
        assert part.images.shape == (1, SIZE, SIZE, 3) and "over its limit of 10" in caplog.text

    def test_nothing_goes_in_vain(self, tmp_path, cache, monkeypatch):
        old = made(tmp_path, cache, "a", days=1)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(StorageError, match="not enough space"):
            made(tmp_path, cache, "b")
        assert old.exists()

    def test_the_default_is_half_of_what_could_be_had(self, cache, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=700))
        assert size_limit(cache, None, 300) == 500 and size_limit(cache, 20, 300) == 20

    def test_a_full_disk_takes_entries_under_the_limit_too(self, tmp_path, cache, monkeypatch):
        old = made(tmp_path, cache, "a", days=1)
        freed = []

        def usage(path):
            gone = not old.exists()
            freed.append(gone)
            return SimpleNamespace(free=2**30 if gone else cache_store.SPARE_BYTES)

        monkeypatch.setattr(shutil, "disk_usage", usage)
        made(tmp_path, cache, "b", limit=10**9)
        assert not old.exists() and freed[0] is False and freed[-1] is True


def first_size(cache):
    return stored_entries(cache / "decoded")[0].size + 100


class TestInUse:
    def test_a_view_of_this_process_keeps_it(self, tmp_path, cache):
        view = decoded(tmp_path, cache, "a").images[0, 3:]
        (entry,) = stored_entries(cache / "decoded")
        assert in_use(entry) and not remove(entry) and entry.folder.is_dir()
        del view
        assert not in_use(entry) and remove(entry) and not entry.folder.exists()

    def test_another_process_keeps_it_until_it_is_killed(self, tmp_path, cache, caplog):
        path = sample_of(tmp_path, "a").path
        package = str(Path(file_lock.__file__).parents[2])
        command = [sys.executable, "-c", HOLD, str(path), str(cache)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=package) as process:
            assert process.stdout.readline() == b"open\n"
            (entry,) = stored_entries(cache / "decoded")
            os.utime(entry.folder / "index.json", (0, 0))
            assert in_use(entry) and not remove(entry)
            made(tmp_path, cache, "b", limit=ONE)
            assert entry.folder.is_dir() and "over its limit" in caplog.text
            process.send_signal(signal.SIGKILL)
        assert not in_use(entry)
        made(tmp_path, cache, "c", limit=ONE)
        assert not entry.folder.exists()

    def test_one_that_is_being_built_again_is_not_touched(self, tmp_path, cache):
        made(tmp_path, cache, "a")
        (entry,) = stored_entries(cache / "decoded")
        with cache_store.lock_entry(entry.folder, patience_s=1) as held:
            assert held and in_use(entry) and not remove(entry)

    def test_removed_means_nothing_is_left(self, tmp_path, cache):
        made(tmp_path, cache, "a")
        (entry,) = stored_entries(cache / "decoded")
        assert remove(entry) and list((cache / "decoded").iterdir()) == []
        assert remove(entry)  # another process may have been quicker

    @pytest.mark.parametrize(("days", "kept"), [(2.9, True), (3.1, False)])
    def test_without_locks_what_was_opened_lately_is_kept(self, tmp_path, cache, no_locks, days, kept):
        folder = made(tmp_path, cache, "a", days=days)
        made(tmp_path, cache, "b", limit=ONE)
        assert folder.exists() is kept

    def test_one_that_is_not_ours_counts_as_in_use(self, tmp_path, cache, monkeypatch):
        made(tmp_path, cache, "a")
        (entry,) = stored_entries(cache / "decoded")
        forbid(monkeypatch, errno.EACCES)
        assert in_use(entry)
        with pytest.raises(StorageError, match="cannot delete"):
            remove(entry)

    def test_pixels_stay_when_the_entry_goes_all_the_same(self, tmp_path, cache):
        part = decoded(tmp_path, cache, "a")
        before = np.array(part.images)
        shutil.rmtree(part.folder)
        assert np.array_equal(part.images, before)
        assert np.array_equal(decoded(tmp_path, cache, "a").images, before)


def forbid(monkeypatch, number):
    real = os.open

    def refuse(path, flags, *rest, **options):
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)


class TestReadOnly:
    @pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
    def test_what_is_there_can_be_read(self, tmp_path, cache, monkeypatch, number):
        folder = made(tmp_path, cache, "a")

        def refuse(*_, **__):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "utime", refuse)
        forbid(monkeypatch, number)
        assert decoded(tmp_path, cache, "a").folder == folder
        with pytest.raises(StorageError, match="cannot use the cache") as caught:
            decoded(tmp_path, cache, "b")
        assert "KDZOO_CACHE" in caught.value.hint


class TestUnfinished:
    def unfinished(self, cache, age):
        folder = cache / "decoded" / ".a.0.tmp"
        folder.mkdir(parents=True)
        (folder / "images.npy").write_bytes(b"x" * 50)
        self.age(folder, age)
        return folder

    def age(self, folder, seconds=2 * DAY):
        for path in (folder / "images.npy", folder):
            os.utime(path, (time.time() - seconds,) * 2)

    @pytest.mark.parametrize(("age", "kept"), [(590, True), (610, False)])
    def test_one_whose_process_is_gone(self, cache, age, kept):
        folder = self.unfinished(cache, age)
        assert unfinished_bytes(cache / "decoded") == 50
        assert remove_unfinished(cache / "decoded") == (0 if kept else 50)
        assert folder.exists() is kept

    @pytest.mark.parametrize(("age", "kept"), [(610, True), (23 * 3600, True), (25 * 3600, False)])
    def test_where_locks_do_not_work(self, cache, no_locks, age, kept):
        folder = self.unfinished(cache, age)
        remove_unfinished(cache / "decoded")
        assert folder.exists() is kept

    def test_one_that_is_being_written(self, cache):
        folder = cache / "decoded" / ".a.0.tmp"
        folder.mkdir(parents=True)
        with ArrayWriter(folder / "images.npy", (2,)) as writer:
            writer.append(np.zeros(2, np.uint8))
            self.age(folder)
            assert remove_unfinished(cache / "decoded") == 0 and folder.exists()
        self.age(folder)
        assert remove_unfinished(cache / "decoded") > 0 and not folder.exists()

    def test_links_are_not_followed(self, tmp_path, cache):
        precious = tmp_path / "precious"
        precious.mkdir()
        (precious / "images.npy").write_bytes(b"x")
        (cache / "decoded").mkdir(parents=True)
        (cache / "decoded" / ".a.0.tmp").symlink_to(precious)
        (cache / "decoded" / "entry").symlink_to(precious)
        assert remove_unfinished(cache / "decoded") == 0 and stored_entries(cache / "decoded") == []
        assert (precious / "images.npy").exists()


class TestDarkImages:
    def sample(self, tmp_path, name, peak, split="train"):
        path = tmp_path / f"data/parts/nut/{split}/good/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[0, peak], [peak // 2, 1]], np.uint16)).save(path)
        return Sample(id=f"{split}/good/{name}.png", path=path, split=split, defect_type="good")

    def said(self, caplog, samples, cache):
        caplog.clear()
        decode(samples, size=2, cache_dir=cache, masks=False)
        return caplog.text

    def test_a_12_bit_camera_is_told_of_every_time(self, tmp_path, cache, caplog):
        samples = [self.sample(tmp_path, "a", 4095), self.sample(tmp_path, "b", 300)]
        for _ in range(2):
            said = self.said(caplog, samples, cache)
            assert "parts/nut" in said and "up to 4095 of 65535" in said and "--intensity 0,4095" in said

    @pytest.mark.parametrize("peak", [8192, 65535])
    def test_bright_enough(self, tmp_path, cache, caplog, peak):
        assert self.said(caplog, [self.sample(tmp_path, "a", peak), self.sample(tmp_path, "b", 9)], cache) == ""

    def test_test_images_have_no_say(self, tmp_path, cache, caplog):
        assert self.said(caplog, [self.sample(tmp_path, "a", 100, "test")], cache) == ""

    def test_dark_images_of_8_bits_are_no_mistake(self, tmp_path, cache, caplog):
        assert self.said(caplog, [sample_of(tmp_path, "a")], cache) == ""
