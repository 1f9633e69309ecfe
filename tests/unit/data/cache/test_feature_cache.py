import json
import logging
import multiprocessing
import os
import shutil
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.layouts import write_image

from kdzoo.data.cache import features as feature_cache
from kdzoo.data.cache.decoded import decode
from kdzoo.data.cache.features import FeatureCache, FeatureLabel
from kdzoo.data.cache.store import in_use, stored_entries, unfinished_bytes
from kdzoo.data.samples import Sample

KEY, OTHER = "a" * 64, "b" * 64
SHAPES = [(4, 4, 2), (2, 2, 3)]
COUNT = 5
BYTES = 4 * COUNT * (4 * 4 * 2 + 2 * 2 * 3)
ROOM = BYTES + 2000
"""With headers and index."""


def values(seed=0, count=COUNT):
    generator = np.random.default_rng(seed)
    return [generator.random((count, *shape), dtype=np.float32) for shape in SHAPES]


def blocks(levels, size=2):
    for start in range(0, len(levels[0]), size):
        yield [level[start : start + size] for level in levels]


def label(**changes):
    return FeatureLabel(
        **{"name": "parts/nut", "part": "train, tiny", "images": COUNT, "side": 16, "layout": "hwc"} | changes
    )


def kept(tmp_path, key=KEY, *, limit=10**9, seed=0, **changes):
    return FeatureCache(tmp_path, limit).keep(key, label(**changes), blocks(values(seed)))


def entries(tmp_path):
    return {entry.folder.name for entry in stored_entries(tmp_path / "features")}


def test_what_is_kept_comes_back_to_the_bit(tmp_path):
    first = kept(tmp_path)
    again = FeatureCache(tmp_path, 10**9).open(KEY, COUNT)
    for found in (first, again):
        assert found.layout == "hwc" and found.folder == tmp_path / "features" / KEY
        for level, expected in zip(found.levels, values(), strict=True):
            assert level.dtype == np.float32 and not level.flags.writeable
            assert np.array_equal(level, expected)
    (entry,) = stored_entries(tmp_path / "features")
    assert (entry.name, entry.part, entry.images, entry.side) == ("parts/nut", "train, tiny", COUNT, 16)
    assert BYTES < entry.size < ROOM and in_use(entry)
    del first, again, found, level
    assert not in_use(entry)


def test_nothing_is_computed_twice(tmp_path):
    def never():
        raise AssertionError("computed again")
        yield

    kept(tmp_path)
    found = FeatureCache(tmp_path, None).keep(KEY, label(), never())
    assert np.array_equal(found.levels[1], values()[1])


def test_unknown_keys_and_other_counts_are_not_there(tmp_path):
    kept(tmp_path)
    assert FeatureCache(tmp_path, None).open(OTHER, COUNT) is None
    assert FeatureCache(tmp_path, None).open(KEY, COUNT + 1) is None
    assert FeatureCache(tmp_path / "none", None).open(KEY, COUNT) is None


def test_zero_keeps_nothing(tmp_path):
    cache = FeatureCache(tmp_path, 0)
    assert cache.off and kept(tmp_path, limit=0) is None and cache.open(KEY, COUNT) is None
    assert not (tmp_path / "features").exists()


def cut(folder):
    os.truncate(folder / "level2.npy", 130)


def other_type(folder):
    path = folder / "level1.npy"
    path.write_bytes(path.read_bytes().replace(b"<f4", b"<i4"))


def lost(folder):
    (folder / "level1.npy").unlink()


def unread(folder):
    (folder / "index.json").write_text("{")


def other_shape(folder):
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"levels": [[4, 4, 2], [-2, 2, 3]]}))


@pytest.mark.parametrize("damage", [cut, other_type, lost, unread, other_shape])
def test_what_is_damaged_is_not_there_and_made_anew(tmp_path, damage):
    folder = kept(tmp_path).folder
    damage(folder)
    assert FeatureCache(tmp_path, None).open(KEY, COUNT) is None
    again = kept(tmp_path)
    assert np.array_equal(again.levels[0], values()[0]) and np.array_equal(again.levels[1], values()[1])
    assert entries(tmp_path) == {KEY}


def test_what_fails_on_the_way_leaves_nothing(tmp_path):
    def failing():
        yield from list(blocks(values()))[:2]
        raise RuntimeError("no more memory")

    with pytest.raises(RuntimeError, match="no more memory"):
        FeatureCache(tmp_path, 10**9).keep(KEY, label(), failing())
    assert entries(tmp_path) == set() and unfinished_bytes(tmp_path / "features") == 0


def test_a_disk_that_takes_nothing_is_only_warned_of(tmp_path, monkeypatch, caplog):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(feature_cache, "_write", full)
    assert kept(tmp_path) is None and "not kept" in caplog.text
    assert entries(tmp_path) == set() and unfinished_bytes(tmp_path / "features") == 0


class TestRoom:
    def test_there_is_none_under_the_limit(self, tmp_path, caplog):
        with caplog.at_level(logging.INFO):
            assert kept(tmp_path, limit=BYTES - 1) is None
        assert "no room" in caplog.text and list((tmp_path / "features").glob(".a*")) == []

    def test_what_was_used_longest_ago_goes_first(self, tmp_path):
        for age, key in enumerate((KEY, OTHER)):
            folder = kept(tmp_path, key).folder
            os.utime(folder / "index.json", (age + 1, age + 1))
        kept(tmp_path, "c" * 64, limit=taken(tmp_path) + BYTES - 1)
        assert entries(tmp_path) == {OTHER, "c" * 64}

    def test_what_is_in_use_stays(self, tmp_path):
        held = kept(tmp_path)
        assert kept(tmp_path, OTHER, limit=taken(tmp_path) + BYTES - 1) is None and entries(tmp_path) == {KEY}
        assert np.array_equal(held.levels[0], values()[0])

    def test_a_trials_own_go_as_soon_as_it_has_ended(self, tmp_path):
        running = kept(tmp_path, "d" * 64, passing=True)
        kept(tmp_path, passing=True)
        kept(tmp_path, OTHER)
        assert entries(tmp_path) == {running.folder.name, OTHER}

    def test_nothing_goes_in_vain(self, tmp_path):
        kept(tmp_path)
        assert kept(tmp_path, OTHER, limit=BYTES // 2) is None and entries(tmp_path) == {KEY}

    def test_images_keep_their_place_and_count(self, tmp_path):
        image = decoded_image(tmp_path)
        taken = stored_entries(tmp_path / "decoded")[0].size
        assert kept(tmp_path, limit=taken + BYTES - 1) is None and image.exists()
        assert kept(tmp_path, limit=taken + ROOM) is not None

    def test_features_make_room_for_images(self, tmp_path):
        folder = kept(tmp_path).folder
        image = decoded_image(tmp_path, limit=1000)
        assert image.exists() and not folder.exists()

    def test_a_full_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        assert kept(tmp_path) is None

    def test_what_is_being_written_counts(self, tmp_path):
        def during():
            first, *others = blocks(values())
            yield first
            for block in others:
                # The whole of what is to come, not what has been written so far.
                other.append(kept(tmp_path, OTHER, limit=2 * BYTES))
                yield block

        other = []
        assert FeatureCache(tmp_path, 10**9).keep(KEY, label(), during()) is not None
        assert other == [None, None]


def taken(tmp_path):
    return sum(entry.size for entry in stored_entries(tmp_path / "features"))


def decoded_image(tmp_path, **options):
    path = tmp_path / "data/parts/nut/train/good/a.png"
    write_image(path)
    sample = Sample(id="train/good/a.png", path=path, split="train", defect_type="good")
    return decode([sample], size=16, cache_dir=tmp_path, masks=False, **options).folder


def slow(levels, told, seconds):
    for block in blocks(levels, size=1):
        told.put(os.getpid())
        time.sleep(seconds)
        yield block


def keep_slowly(folder, told, seconds):
    found = FeatureCache(folder, 10**9).keep(KEY, label(), slow(values(), told, seconds))
    told.put(bytes(found.levels[0].tobytes()))


@pytest.fixture
def processes():
    context = multiprocessing.get_context("fork")
    started = []

    def start(*arguments):
        started.append(context.Process(target=keep_slowly, args=arguments))
        started[-1].start()
        return started[-1]

    yield context.Queue, start
    for process in started:
        process.kill()
        process.join()


def test_of_two_processes_one_computes(tmp_path, processes):
    queue, start = processes
    told = queue()
    both = [start(tmp_path, told, 0.05) for _ in range(2)]
    seen = [told.get(timeout=120) for _ in range(COUNT + 2)]
    for process in both:
        process.join(120)
        assert process.exitcode == 0
    computed = [each for each in seen if isinstance(each, int)]
    assert len(computed) == COUNT and len(set(computed)) == 1
    assert [each for each in seen if isinstance(each, bytes)] == [values()[0].tobytes()] * 2


def test_a_killed_writer_leaves_nothing_that_is_read(tmp_path, processes):
    queue, start = processes
    told = queue()
    writer = start(tmp_path, told, 30)
    assert told.get(timeout=120) == writer.pid
    os.kill(writer.pid, signal.SIGKILL)
    writer.join(120)
    assert FeatureCache(tmp_path, None).open(KEY, COUNT) is None and entries(tmp_path) == set()
    assert np.array_equal(kept(tmp_path).levels[1], values()[1])


def test_who_waits_for_too_long_computes_for_itself(tmp_path, processes, monkeypatch):
    queue, start = processes
    told = queue()
    writer = start(tmp_path, told, 30)
    assert told.get(timeout=120) == writer.pid
    monkeypatch.setattr(feature_cache, "_PATIENCE_S", 0.2)
    assert kept(tmp_path) is None
