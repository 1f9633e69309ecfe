"""Frozen features: the same numbers whether they were kept or not, and kept only where they can be of use."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.trials import CPU, SIZE, TEACHER, small_config, small_trial

from kdzoo.data.cache.features import FeatureCache
from kdzoo.data.cache.store import stored_entries
from kdzoo.methods.registry import build_method
from kdzoo.teachers.backbone import load_teacher
from kdzoo.training import features as kept_features
from kdzoo.training.features import BLOCK, FeaturePart, FeatureSource, feature_key, in_blocks
from kdzoo.training.images import ImageSource, digest_of_pixels

COUNT = 10


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def teacher():
    return load_teacher(TEACHER).to(memory_format=torch.channels_last)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


def method_of(teacher, name="rd", **changes):
    torch.manual_seed(0)
    method = build_method(name, small_config(name, **changes), teacher).to(memory_format=torch.channels_last)
    return method.eval().requires_grad_(False)


def part_of(images):
    return FeaturePart(
        source=ImageSource(images, CPU), pixels=lambda: digest_of_pixels(images), name="toy/bottle", part="train"
    )


@pytest.fixture
def sources(tmp_path, teacher, images):
    """One that keeps and one that computes, of a method's features."""

    def make(name="rd", *, passes=2, limit=10**9, seen=images):
        method = method_of(teacher, name)
        pair = [FeatureSource(method.frozen(), method, part_of(seen)) for _ in range(2)]
        pair[0].keep(FeatureCache(tmp_path, limit), passes=passes)
        return pair

    return make


def batch(source, indices, images, teacher):
    indices = np.array(indices)
    return source.batch(indices, teacher.normalise(ImageSource(images, CPU).batch(indices)))


def same(one, other):
    return all(a.stride() == b.stride() and torch.equal(a, b) for a, b in zip(one, other, strict=True))


def entries(folder: Path):
    return stored_entries(folder / "features")


@pytest.mark.parametrize("name", ["rd", "aand"])
@pytest.mark.parametrize("indices", [[3], [9, 0], [1, 2, 3, 4], [7, 7, 0, 5, 9, 8, 2], list(range(COUNT))])
def test_kept_and_computed_are_the_same_to_the_bit(sources, images, teacher, name, indices):
    keeping, computing = sources(name)
    assert keeping.kept and not computing.kept
    assert same(batch(keeping, indices, images, teacher), batch(computing, indices, images, teacher))


def test_blocks_are_the_features(images, teacher):
    """Of a whole block to the bit; of one that is filled up as closely as kernels for other sizes come."""
    method = method_of(teacher)
    normalised = teacher.normalise(ImageSource(images, CPU).batch(np.arange(COUNT)))
    found = in_blocks(method.frozen(), normalised)
    for level, whole in zip(found, teacher(normalised), strict=True):
        torch.testing.assert_close(level, whole, rtol=1e-4, atol=1e-4)
        assert level.stride() == whole.stride()
    for level, block in zip(found, teacher(normalised[:BLOCK]), strict=True):
        assert torch.equal(level[:BLOCK], block)


def test_in_the_memory_of_a_gpu_they_are_the_same(sources, images, teacher, monkeypatch):
    """The way to the GPU's memory, taken in that of the CPU."""
    keeping, computing = sources()
    keeping.close()
    monkeypatch.setattr(kept_features, "free_memory", lambda device: 10**9)
    keeping._resident = keeping._in_memory()
    assert keeping.kept
    for indices in ([3], [9, 0, 4], list(range(COUNT))):
        assert same(batch(keeping, indices, images, teacher), batch(computing, indices, images, teacher))
    assert keeping.give_up() and not keeping.kept and not keeping.give_up()
    monkeypatch.setattr(kept_features, "free_memory", lambda device: 10**5)
    assert keeping._in_memory() == []


class TestWhatIsKept:
    def test_the_teachers_stay_for_other_trials(self, sources, tmp_path):
        keeping, _ = sources("rd")
        keeping.close()
        (entry,) = entries(tmp_path)
        assert (entry.name, entry.images, entry.side, entry.passing) == ("toy/bottle", COUNT, SIZE, False)
        assert entry.part == f"train, {TEACHER}"

    def test_of_all_methods_they_are_one_entry(self, sources, tmp_path):
        open_sources = [sources(name)[0] for name in ("rd", "mrkd", "adps")]
        assert all(source.kept for source in open_sources) and len(entries(tmp_path)) == 1

    def test_amplified_ones_go_with_their_trial(self, sources, tmp_path):
        keeping, _ = sources("aand")
        (entry,) = entries(tmp_path)
        assert entry.passing and entry.part == f"train, {TEACHER} amplified"
        keeping.close()
        assert entries(tmp_path) == [] and not keeping.kept

    def test_what_is_asked_for_once_more_is_not_kept_for_one_trial(self, sources, tmp_path):
        assert not sources("aand", passes=1)[0].kept
        assert sources("rd", passes=1)[0].kept and len(entries(tmp_path)) == 1

    def test_without_a_pass_to_come_what_is_there_is_opened(self, sources, tmp_path):
        assert not sources("rd", passes=0)[0].kept and entries(tmp_path) == []
        sources("rd")
        assert sources("rd", passes=0)[0].kept

    @pytest.mark.parametrize("limit", [0, 1000])
    def test_without_room_they_are_computed(self, sources, images, teacher, limit):
        keeping, computing = sources("rd", limit=limit)
        assert not keeping.kept
        assert same(batch(keeping, [2, 5], images, teacher), batch(computing, [2, 5], images, teacher))

    def test_modules_that_train_give_none(self, tmp_path, teacher, images):
        method = method_of(teacher, "aand")
        method.amplifiers.requires_grad_(True)
        source = FeatureSource(method.frozen(), method, part_of(images))
        source.keep(FeatureCache(tmp_path, 10**9), passes=5)
        assert not source.kept


def flip(folder):
    """One bit of every level's every value."""
    for path in folder.glob("level*.npy"):
        raw = np.fromfile(path, np.uint8)
        raw[128::4] ^= 1
        raw.tofile(path)


def test_values_that_rotted_are_noticed_and_made_anew(sources, images, teacher, tmp_path, caplog):
    sources("rd")[0].close()
    flip(entries(tmp_path)[0].folder)
    keeping, computing = sources("rd")
    assert "not those that are computed here" in caplog.text and keeping.kept
    assert same(batch(keeping, [2, 5], images, teacher), batch(computing, [2, 5], images, teacher))


def test_a_cut_file_is_noticed(sources, images, teacher, tmp_path):
    sources("rd")[0].close()
    os.truncate(entries(tmp_path)[0].folder / "level3.npy", 500)
    keeping, computing = sources("rd")
    assert keeping.kept
    assert same(batch(keeping, [0, 9], images, teacher), batch(computing, [0, 9], images, teacher))


class TestKey:
    def test_it_is_the_same_for_the_same(self, teacher, images):
        one, other = method_of(teacher), method_of(load_teacher(TEACHER), width=0.5)
        assert feature_key(one.frozen(), one, part_of(images)) == feature_key(other.frozen(), other, part_of(images))

    def test_pixels(self, teacher, images):
        changed = images.copy()
        changed[-1, -1, -1, -1] ^= 1
        method = method_of(teacher)
        keys = {feature_key(method.frozen(), method, part_of(seen)) for seen in (images, changed, images[:-1])}
        assert len(keys) == 3

    def test_weights_of_all_that_takes_part(self, images):
        method = method_of(load_teacher(TEACHER), "aand")
        keys = {feature_key(method.frozen(), method, part_of(images))}
        for module in (method.teacher, method.amplifiers):
            with torch.no_grad():
                next(module.parameters())[0] += 1e-3
            keys.add(feature_key(method.frozen(), method, part_of(images)))
        assert len(keys) == 3

    def test_input_range_threads_and_software(self, images, monkeypatch):
        method = method_of(load_teacher(TEACHER))
        keys = {feature_key(method.frozen(), method, part_of(images))}
        method.teacher.mean = (0.25, 0.25, 0.25)
        keys.add(feature_key(method.frozen(), method, part_of(images)))
        monkeypatch.setattr(kept_features.metadata, "version", lambda name: "0")
        keys.add(feature_key(method.frozen(), method, part_of(images)))
        monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
        keys.add(feature_key(method.frozen(), method, part_of(images)))
        assert len(keys) == 4


class TestTrial:
    def test_two_trials_share_what_the_first_has_kept(self, tmp_path, teacher):
        small_trial(tmp_path, "rd", teacher=teacher).run()
        there = {entry.folder: entry.folder.stat().st_ctime_ns for entry in entries(tmp_path / "cache")}
        assert {entry.part.split(",")[0] for entry in entries(tmp_path / "cache")} == {"train", "selection"}
        small_trial(tmp_path, "mrkd", teacher=teacher, seed=1).run()
        assert {entry.folder: entry.folder.stat().st_ctime_ns for entry in entries(tmp_path / "cache")} == there

    def test_a_trial_that_is_stopped_early_leaves_nothing_of_its_own(self, tmp_path, teacher):
        trainer = small_trial(tmp_path, "aand", teacher=teacher, epochs=4)
        for _ in range(5):
            trainer.step()
        assert [entry.passing for entry in entries(tmp_path / "cache")] == [True, True]
        trainer.close()
        assert entries(tmp_path / "cache") == []
        trainer.step()  # harmless at any time
        assert trainer.epoch == 6

    def test_the_index_says_how_features_lie_in_memory(self, tmp_path):
        teacher = load_teacher("random-resnet18").to(memory_format=torch.channels_last)
        small_trial(tmp_path, "rd", teacher=teacher).run()
        index = json.loads((entries(tmp_path / "cache")[0].folder / "index.json").read_text())
        assert json.loads(index["layout"]) == [[2, 3, 1]] * 3
        assert index["levels"] == [[16, 16, 64], [8, 8, 128], [4, 4, 256]]
