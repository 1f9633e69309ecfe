import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.layouts import HEIGHT, WIDTH, make_category, write_image, write_mask

from kdzoo.data import file_lock
from kdzoo.data.cache import entry as cache_entry
from kdzoo.data.cache.decoded import DECODER_VERSION, MASK_VERSION, decode
from kdzoo.data.images import read_rgb
from kdzoo.data.layouts.mvtec import read_category
from kdzoo.data.mask_files import read_mask
from kdzoo.data.samples import Sample
from kdzoo.errors import ConfigError, ImageError, StorageError

SIZE = 8


@pytest.fixture
def samples(tmp_path):
    return read_samples(make_category(tmp_path / "data"))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def read_samples(root):
    return read_category("parts", "nut", root).samples


def decoded(samples, cache, **options):
    return decode(samples, **{"size": SIZE, "cache_dir": cache, "masks": True, **options})


def entries(cache):
    return sorted(path.name for path in (cache / "decoded").iterdir() if not path.name.startswith("."))


def leftovers(cache):
    return list((cache / "decoded").glob(".*.tmp"))


def assert_right(part, samples):
    assert part.samples == tuple(samples) and part.skipped == ()
    assert np.array_equal(part.images, np.stack([read_rgb(sample.path, SIZE) for sample in samples]))
    masks = [read_mask(s.mask_path, SIZE) if s.label else np.zeros((SIZE, SIZE), np.uint8) for s in samples]
    assert np.array_equal(part.masks, np.stack(masks))
    assert part.labels.tolist() == [sample.label for sample in samples] and part.labels.dtype == np.int64


@pytest.fixture
def no_decoding(monkeypatch):
    """Fails the test when an image or a mask is opened."""

    def forbidden(path, *_, **__):
        raise AssertionError(f"{path} was opened")

    def forbid():
        monkeypatch.setattr(cache_entry, "read_with_peak", forbidden)
        monkeypatch.setattr(cache_entry, "read_mask", forbidden)

    return forbid


class TestWhatComesOut:
    def test_images_masks_and_labels(self, samples, cache):
        part = decoded(samples, cache)
        assert_right(part, samples)
        assert 0 < part.masks.sum() < part.masks.size
        assert isinstance(part.images, np.memmap) and isinstance(part.masks, np.memmap)
        assert not part.images.flags.writeable and not part.masks.flags.writeable
        assert part.images.shape == (len(samples), SIZE, SIZE, 3)

    def test_the_files_are_ordinary_numpy_files(self, samples, cache):
        part = decoded(samples, cache)
        assert np.array_equal(np.load(part.folder / "images.npy"), part.images)
        assert np.array_equal(np.load(part.folder / "masks.npy"), part.masks)

    def test_the_order_given_is_kept_with_many_workers(self, samples, cache):
        shuffled = [samples[i] for i in np.random.default_rng(0).permutation(len(samples))] * 5
        assert_right(decoded(shuffled, cache, workers=7), shuffled)
        assert_right(decoded(shuffled, cache / "one", workers=1), shuffled)

    def test_masks_not_asked_for_are_not_opened(self, samples, cache):
        for sample in samples:
            if sample.mask_path:
                sample.mask_path.write_bytes(b"no mask")
        assert decoded(samples, cache, masks=False).masks is None

    def test_no_masks_when_one_defective_image_has_none(self, tmp_path, samples, cache):
        path = write_image(tmp_path / "dent.png")
        bare = Sample(id="test/dent/0.png", path=path, split="test", defect_type="dent")
        part = decoded([*samples, bare], cache)
        assert part.masks is None and len(part.images) == len(samples) + 1

    def test_nothing_to_decode(self, cache):
        for _ in range(2):
            part = decoded([], cache)
            assert part.images.shape == (0, SIZE, SIZE, 3) and part.masks.shape == (0, SIZE, SIZE)
            assert part.samples == ()

    def test_progress(self, samples, cache):
        seen = []
        for _ in range(2):
            decoded(samples, cache, progress=lambda done, total: seen.append((done, total)))
        assert seen == [(done, len(samples)) for done in range(1, len(samples) + 1)]

    @pytest.mark.parametrize("wrong", [{"size": 0}, {"workers": 0}])
    def test_wrong_arguments(self, samples, cache, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            decoded(samples, cache, **wrong)


class TestDecodedOnce:
    def test_the_second_time_opens_no_image(self, samples, cache, no_decoding):
        first = decoded(samples, cache)
        no_decoding()
        again = decoded(samples, cache)
        assert again.folder == first.folder and np.array_equal(again.images, first.images)

    @pytest.mark.parametrize("changed", ["pixels", "time", "mask"])
    def test_a_changed_file_is_decoded_again(self, samples, cache, changed):
        decoded(samples, cache)
        sample = next(sample for sample in samples if sample.label)
        if changed == "pixels":
            write_image(sample.path, (9, 8, 7))
        elif changed == "time":
            os.utime(sample.path, ns=(1, 1))
        else:
            write_mask(sample.mask_path, (WIDTH, HEIGHT)).touch()
        assert_right(decoded(samples, cache), samples)
        assert len(entries(cache)) == 2

    def test_the_same_size_and_time_with_other_pixels(self, tmp_path, cache):
        path = write_image(tmp_path / "a.bmp", (1, 2, 3))
        status = path.stat()
        sample = Sample(id="train/good/a.bmp", path=path, split="train", defect_type="good")
        decoded([sample], cache)
        write_image(path, (4, 5, 6))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert decoded([sample], cache).images[0, 0, 0].tolist() == [4, 5, 6]

    def test_two_categories_whose_files_look_the_same_from_outside(self, tmp_path, cache):
        colours = {"nut": (1, 1, 1), "bolt": (2, 2, 2)}
        for category, colour in colours.items():
            path = write_image(tmp_path / category / "train/good/0.bmp", colour)
            os.utime(path, ns=(0, 0))
            sample = Sample(id="train/good/0.bmp", path=path, split="train", defect_type="good")
            assert decoded([sample], cache).images[0, 0, 0].tolist() == list(colour)

    def test_whatever_changes_the_pixels_is_an_entry_of_its_own(self, samples, cache):
        for options in ({}, {"size": 5}, {"masks": False}, {"skip_unreadable": True}):
            decoded(samples, cache, **options)
        decoded(samples[:-1], cache)
        decoded(samples[::-1], cache)
        assert len(entries(cache)) == 6


class TestUnreadable:
    @pytest.fixture
    def bad(self, samples):
        """Seven images that cannot be used, for different reasons."""
        chosen = [sample for sample in samples if not sample.label][:7]
        chosen[0].path.write_bytes(b"")
        chosen[1].path.write_bytes(chosen[1].path.read_bytes()[:45])
        chosen[2].path.write_text("Dear all")
        chosen[3].path.unlink()
        chosen[4].path.unlink()
        chosen[4].path.symlink_to(chosen[4].path)
        for sample in chosen[5:]:
            sample.path.write_bytes(b"\x89PNG\r\n\x1a\n")
        return chosen

    def test_one_error_names_the_first_few_and_counts(self, samples, bad, cache):
        with pytest.raises(ImageError) as caught:
            decoded(samples, cache)
        message = str(caught.value)
        assert f"7 of {len(samples)} images" in message and "and 2 more" in message
        assert sum(str(sample.path) in message for sample in bad) == 5
        assert "--skip-unreadable" in caught.value.hint
        assert entries(cache) == [] and leftovers(cache) == []

    def test_skipped_when_asked(self, samples, bad, cache, no_decoding):
        kept = [sample for sample in samples if sample not in bad]
        part = decoded(samples, cache, skip_unreadable=True)
        assert [path for path, _ in part.skipped] == [sample.path for sample in samples if sample in bad]
        reasons = {path.name + path.parent.parent.name: reason for path, reason in part.skipped}
        assert "0 bytes" in reasons[bad[0].path.name + bad[0].path.parent.parent.name]
        assert part.samples == tuple(kept) and len(part.images) == len(part.masks) == len(kept)
        assert np.array_equal(part.images, np.stack([read_rgb(sample.path, SIZE) for sample in kept]))
        no_decoding()
        again = decoded(samples, cache, skip_unreadable=True)
        assert again.skipped == part.skipped and np.array_equal(again.masks, part.masks)

    def test_a_repaired_image_is_read_again(self, samples, bad, cache):
        decoded(samples, cache, skip_unreadable=True)
        bad[4].path.unlink()
        for sample in bad:
            write_image(sample.path)
        assert_right(decoded(samples, cache, skip_unreadable=True), samples)

    def test_none_can_be_used(self, samples, bad, cache):
        with pytest.raises(ImageError, match="7 of 7") as caught:
            decoded(bad, cache, skip_unreadable=True)
        assert "--skip" not in caught.value.hint

    def test_a_mask_of_another_size(self, samples, cache):
        defective = next(sample for sample in samples if sample.label)
        write_mask(defective.mask_path, (HEIGHT, WIDTH))
        with pytest.raises(ImageError, match=f"{HEIGHT}x{WIDTH} pixels") as caught:
            decoded(samples, cache)
        assert str(defective.mask_path) in str(caught.value) and str(defective.path) in str(caught.value)


class TestDamagedEntries:
    def damage(self, folder, how):
        images, index = folder / "images.npy", folder / "index.json"
        if how == "truncated":
            os.truncate(images, images.stat().st_size - 1)
        elif how == "longer":
            images.write_bytes(images.read_bytes() + b"\0")
        elif how == "header":
            images.write_bytes(b"\x92" + images.read_bytes()[1:])
        elif how == "empty index":
            index.write_bytes(b"")
        elif how == "no index":
            index.unlink()
        elif how == "no masks":
            (folder / "masks.npy").unlink()
        elif how == "empty folder":
            shutil.rmtree(folder)
            folder.mkdir()
        else:
            index.write_text(json.dumps({**json.loads(index.read_text()), **how}))

    @pytest.mark.parametrize(
        "how",
        [
            *("truncated", "longer", "header", "empty index", "no index", "no masks", "empty folder"),
            *({"count": 3}, {"size": 9}, {"skipped": [[0, "x"]]}, {"skipped": [[99, "x"]]}, {"skipped": 1}),
            *({"skipped": [["0", "x"]]}, {"masks": None}),
        ],
        ids=str,
    )
    def test_rebuilt(self, samples, cache, how):
        first = decoded(samples, cache)
        held = np.array(first.images)
        self.damage(first.folder, how)
        again = decoded(samples, cache)
        assert_right(again, samples)
        assert again.folder == first.folder and leftovers(cache) == []
        assert how in ("truncated", "longer", "header") or np.array_equal(first.images, held)

    @pytest.mark.parametrize("content", [b"[]", b"{", b"\xff\xfe", b"[" * 100_000, b"null"])
    def test_index_that_is_something_else(self, samples, cache, content):
        folder = decoded(samples, cache).folder
        (folder / "index.json").write_bytes(content)
        assert_right(decoded(samples, cache), samples)


class TestStorage:
    def test_too_little_space_is_seen_before_writing(self, samples, cache, monkeypatch):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(StorageError) as caught:
            decoded(samples, cache)
        needed = len(samples) * SIZE * SIZE * 4
        assert f"{needed:,} bytes" in str(caught.value) and str(cache) in str(caught.value)
        assert "KDZOO_CACHE" in caught.value.hint
        assert entries(cache) == [] and leftovers(cache) == []

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
    def test_a_disk_that_fills_while_writing(self, samples, cache, monkeypatch, number):
        real = os.fsync

        def full(descriptor):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="not enough space"):
            decoded(samples, cache)
        assert entries(cache) == [] and leftovers(cache) == []
        monkeypatch.setattr(os, "fsync", real)
        assert_right(decoded(samples, cache), samples)

    def test_a_cache_that_cannot_be_a_folder(self, samples, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(StorageError, match="cannot use the cache") as caught:
            decoded(samples, tmp_path / "file")
        assert "KDZOO_CACHE" in caught.value.hint

    def test_old_leftovers_are_removed_and_new_ones_kept(self, samples, cache):
        for name, age in ((".a.0.tmp", 3 * 86400), (".b.0.tmp", 60)):
            folder = cache / "decoded" / name
            folder.mkdir(parents=True)
            (folder / "images.npy").write_bytes(b"x")
            for path in (folder / "images.npy", folder):
                os.utime(path, (time.time() - age,) * 2)
        decoded(samples, cache)
        assert [path.name for path in leftovers(cache)] == [".b.0.tmp"]


def build_in_process(root, cache, barrier, results):
    calls = []
    samples = read_samples(root)
    barrier.wait()
    part = decoded(samples, cache, progress=lambda done, total: (calls.append(done), time.sleep(0.01)))
    results.put((len(calls), np.array(part.images).tobytes(), part.folder.name))


class TestManyAtOnce:
    def test_two_processes_build_once(self, samples, cache, tmp_path):
        context = multiprocessing.get_context("fork")
        barrier, results = context.Barrier(2), context.Queue()
        arguments = (tmp_path / "data", cache, barrier, results)
        processes = [context.Process(target=build_in_process, args=arguments) for _ in range(2)]
        for process in processes:
            process.start()
        outcomes = [results.get(timeout=120) for _ in processes]
        for process in processes:
            process.join(120)
            assert process.exitcode == 0
        assert sorted(calls for calls, _, _ in outcomes) == [0, len(samples)]
        assert outcomes[0][1:] == outcomes[1][1:]
        assert_right(decoded(samples, cache), samples)

    @pytest.mark.parametrize("damaged_before", [False, True])
    def test_without_locks_all_end_right(self, samples, cache, monkeypatch, damaged_before):
        if damaged_before:
            (decoded(samples, cache).folder / "index.json").write_text("{")

        def unsupported(descriptor, operation):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr("fcntl.flock", unsupported)
        started = threading.Barrier(4)
        builds = []

        def build_together(done, total):
            if done == total:  # all have built, none has renamed
                builds.append(threading.get_ident())
                started.wait(timeout=120)

        with ThreadPoolExecutor(4) as pool:
            parts = list(pool.map(lambda _: decoded(samples, cache, progress=build_together), range(4)))
        assert len(builds) == 4
        for part in parts:
            assert_right(part, samples)
        assert len(entries(cache)) == 1 and leftovers(cache) == []

    def test_an_entry_that_is_taken_away_at_once_can_be_read(self, samples, cache, monkeypatch):
        def install(temporary, folder, is_whole):
            cache_entry.install(temporary, folder, is_whole)
            shutil.rmtree(folder)

        monkeypatch.setattr("kdzoo.data.cache.decoded.install", install)
        part = decoded(samples, cache)
        assert_right(part, samples)
        assert part.folder.parent == cache / "decoded" and entries(cache) == leftovers(cache) == []

    def test_a_stuck_holder_is_not_waited_for_for_ever(self, samples, cache, monkeypatch):
        monkeypatch.setattr("kdzoo.data.cache.decoded._PATIENCE_S", 0.2)
        folder = decoded(samples, cache).folder
        shutil.rmtree(folder)
        with file_lock.advisory_lock(folder.parent / f".{folder.name}.lock", patience_s=1) as held:
            assert held
            assert_right(decoded(samples, cache), samples)

    def test_killed_while_building(self, samples, cache, tmp_path):
        script = """
import sys, time
from pathlib import Path
from kdzoo.data.cache.decoded import decode
from kdzoo.data.layouts.mvtec import read_category

def progress(done, total):
    if done == total - 1:
        print("building", flush=True)
        time.sleep(60)

samples = read_category("parts", "nut", Path(sys.argv[1])).samples
decode(samples, size=8, cache_dir=Path(sys.argv[2]), masks=True, progress=progress)
"""
        command = [sys.executable, "-c", script, str(tmp_path / "data"), str(cache)]
        package = str(Path(file_lock.__file__).parents[2])
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=package) as process:
            assert process.stdout.readline() == b"building\n"
            process.send_signal(signal.SIGKILL)
        assert entries(cache) == [] and len(leftovers(cache)) == 1
        assert_right(decoded(samples, cache), samples)
        assert len(entries(cache)) == 1


class TestShapes:
    """Images that keep the ratio of their sides: where each lies is for its own shape to say."""

    def test_the_shapes_are_remembered(self, tmp_path, samples, cache, no_decoding):
        path = write_image(tmp_path / "tall.png", size=(3, 9))
        mixed = [samples[0], Sample(id="train/good/tall.png", path=path, split="train", defect_type="good"), samples[1]]
        part = decoded(mixed, cache, resize="pad")
        assert part.shapes.tolist() == [[HEIGHT, WIDTH], [9, 3], [HEIGHT, WIDTH]]
        assert np.array_equal(part.images, np.stack([read_rgb(one.path, SIZE, resize="pad") for one in mixed]))
        no_decoding()
        assert np.array_equal(decoded(mixed, cache, resize="pad").shapes, part.shapes)

    def test_masks_lie_as_the_images_do(self, samples, cache):
        part = decoded(samples, cache, resize="pad")
        for sample, mask in zip(samples, part.masks, strict=True):
            expected = read_mask(sample.mask_path, SIZE, resize="pad") if sample.label else np.zeros((SIZE, SIZE))
            assert np.array_equal(mask, expected)
        assert not part.masks[:, :1].any() and not part.masks[:, 6:].any()  # 8 * 8 / 12 = 5 rows, 1 above, 2 below

    def test_of_images_that_were_left_out_there_is_no_shape(self, samples, cache):
        samples[1].path.write_bytes(b"")
        part = decoded(samples, cache, resize="pad", skip_unreadable=True)
        assert part.shapes.tolist() == [[HEIGHT, WIDTH]] * (len(samples) - 1)

    def test_stretched_images_have_the_entry_that_they_always_had(self, samples, cache):
        part = decoded(samples, cache, resize="stretch")
        assert part.shapes is None
        digest = hashlib.sha256(json.dumps([DECODER_VERSION, SIZE, True, False, {"masks": MASK_VERSION}]).encode())
        for sample in samples:
            files = [sample.path, sample.mask_path] if sample.label else [sample.path]
            told = [file.stat() for file in files]
            states = [(str(file), one.st_size, one.st_mtime_ns, one.st_ctime_ns) for file, one in zip(files, told)]
            digest.update(b"\n" + json.dumps([sample.id, sample.defect_type, *states]).encode())
        assert part.folder.name == digest.hexdigest()
        assert "shapes" not in json.loads((part.folder / "index.json").read_text())
        assert decoded(samples, cache, resize="pad").folder != part.folder

    @pytest.mark.parametrize("row", [None, 8, ["8", 12], [0, 12], [8, 12, 3]], ids=str)
    @pytest.mark.parametrize("whole", [False, True])
    def test_an_index_that_does_not_tell_them_is_rebuilt(self, samples, cache, row, whole):
        index = decoded(samples, cache, resize="pad").folder / "index.json"
        content = json.loads(index.read_text())
        shapes = content["shapes"]
        told = row if whole else [*shapes[:-1], *([] if row is None else [row])]
        index.write_text(json.dumps(content | {"shapes": told}))
        assert decoded(samples, cache, resize="pad").shapes.tolist() == shapes
        assert json.loads(index.read_text())["shapes"] == shapes
