import hashlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.data.samples import CategoryIndex, Sample
from kdzoo.data.splits import PROTOCOLS, fold_of, split
from kdzoo.errors import ConfigError, ProtocolError, UnknownNameError


def make_index(train=10, good=4, defects=None, root="/data/nut", reverse=False):
    root = Path(root)
    counts = {"scratch": 4} if defects is None else defects
    ids = [("train", "good", number) for number in range(train)]
    ids += [("test", "good", number) for number in range(good)]
    ids += [("test", defect, number) for defect, count in counts.items() for number in range(count)]
    samples = [
        Sample(
            id=f"{part}/{kind}/{number}.png", path=root / part / kind / f"{number}.png", split=part, defect_type=kind
        )
        for part, kind, number in ids
    ]
    return CategoryIndex(
        dataset="parts", category="nut", root=root, samples=tuple(reversed(samples) if reverse else samples)
    )


def ids(samples):
    return [sample.id for sample in samples]


def rank(seed, identity):
    return hashlib.sha256(f"{seed}\0{identity}".encode()).digest()


indexes = st.builds(
    make_index,
    train=st.integers(2, 40),
    good=st.integers(2, 12),
    defects=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 7), min_size=1).filter(
        lambda defects: sum(defects.values()) >= 2
    ),
)
seeds = st.integers(0, 2**31)


class TestSynthetic:
    @given(index=indexes, seed=seeds, fraction=st.floats(0.01, 0.99))
    def test_train_is_split_and_test_reports(self, index, seed, fraction):
        parts = split(index, "synthetic", seed=seed, holdout_fraction=fraction)
        train = index.of_split("train")
        assert set(parts.train) | set(parts.select) == set(train)
        assert not set(parts.train) & set(parts.select)
        assert len(parts.train) >= 1 and len(parts.select) >= 1
        assert abs(len(parts.select) - fraction * len(train)) <= 1
        assert set(parts.report) == set(index.of_split("test"))
        assert parts.synthetic_select

    def test_the_hash_chooses(self):
        index = make_index(train=10)
        expected = sorted(ids(index.of_split("train")), key=lambda identity: rank(7, identity))[:2]
        assert ids(split(index, "synthetic", seed=7).select) == sorted(expected)

    def test_without_test_images(self):
        parts = split(make_index(good=0, defects={}), "synthetic")
        assert parts.report == () and any("report" in note for note in parts.notes)

    def test_one_training_image_is_too_few(self):
        with pytest.raises(ProtocolError, match="2 are needed"):
            split(make_index(train=1), "synthetic")


class TestHoldout:
    @given(index=indexes, seed=seeds)
    def test_disjoint_complete_and_stratified(self, index, seed):
        parts = split(index, "holdout", seed=seed)
        test = index.of_split("test")
        assert sorted(ids(parts.select + parts.report)) == sorted(ids(test))
        assert ids(parts.train) == sorted(ids(index.of_split("train")))
        select, report = (Counter(s.defect_type for s in part) for part in (parts.select, parts.report))
        for defect_type in {sample.defect_type for sample in test}:
            assert abs(select[defect_type] - report[defect_type]) <= 1
        assert abs(len(parts.select) - len(parts.report)) <= 1
        assert abs(sum(s.label for s in parts.select) - sum(s.label for s in parts.report)) <= 1
        assert not parts.synthetic_select

    def test_single_images_of_many_defect_types_take_turns(self):
        parts = split(make_index(good=3, defects=dict.fromkeys("abcd", 1)), "holdout")
        assert [sum(sample.label for sample in part) for part in (parts.select, parts.report)] == [2, 2]

    def test_the_odd_normal_image_does_not_come_between_the_defects(self):
        parts = split(make_index(good=3, defects={"a": 1, "z": 1}), "holdout")
        assert [sum(sample.label for sample in part) for part in (parts.select, parts.report)] == [1, 1]

    def test_the_hash_chooses(self):
        index = make_index(good=4)
        good = [f"test/good/{number}.png" for number in range(4)]
        expected = sorted(good, key=lambda identity: rank(3, identity))[:2]
        select = split(index, "holdout", seed=3).select
        assert [identity for identity in ids(select) if "good" in identity] == sorted(expected)

    @pytest.mark.parametrize(
        ("good", "defects", "words"),
        [
            (0, {"a": 4}, "no normal test images to select"),
            (1, {"a": 4}, "no normal test images to select"),
            (4, {}, "no defective test images to select"),
            (4, {"a": 1}, "no defective test images to select"),
            (0, {}, "to select"),
        ],
    )
    def test_too_few_images(self, good, defects, words):
        with pytest.raises(ProtocolError, match=words) as caught:
            split(make_index(good=good, defects=defects), "holdout")
        assert "synthetic" in caught.value.hint


class TestTest:
    def test_selects_and_reports_on_everything(self):
        index = make_index()
        parts = split(index, "test")
        assert parts.select == parts.report and set(parts.select) == set(index.of_split("test"))
        assert parts.notes and not parts.synthetic_select

    def test_needs_both_labels(self):
        with pytest.raises(ProtocolError, match="no defective"):
            split(make_index(defects={}), "test")


class TestDigest:
    @given(index=indexes, seed=seeds, protocol=st.sampled_from(PROTOCOLS), data=st.data())
    def test_neither_order_nor_place_matters(self, index, seed, protocol, data):
        samples = data.draw(st.permutations(index.samples))
        moved = tuple(
            Sample(id=s.id, path=Path("/elsewhere") / s.id, split=s.split, defect_type=s.defect_type) for s in samples
        )
        other = CategoryIndex(dataset="x", category="y", root=Path("/elsewhere"), samples=moved)
        one, two = split(index, protocol, seed=seed), split(other, protocol, seed=seed)
        assert one.digest == two.digest
        for part in ("train", "select", "report"):
            assert ids(getattr(one, part)) == ids(getattr(two, part)) == sorted(ids(getattr(one, part)))

    def test_the_formula(self):
        index = make_index(train=1, good=1, defects={"a": 1})
        test = "test/a/0.png\ntest/good/0.png\n"
        text = f"test\x005\ntrain\x001\ntrain/good/0.png\nselect\x002\n{test}report\x002\n{test}"
        assert split(index, "test", seed=5).digest == hashlib.sha256(text.encode()).hexdigest()

    def test_protocol_seed_and_images_matter(self):
        digests = {split(make_index(), protocol, seed=seed).digest for protocol in PROTOCOLS for seed in (0, 1)}
        digests.add(split(make_index(train=11), "test").digest)
        assert len(digests) == 7


def test_seeds_give_other_splits():
    assert len({tuple(ids(split(make_index(), "holdout", seed=seed).select)) for seed in range(20)}) > 10


def test_an_anomalous_training_image_is_refused():
    bad = Sample(id="train/dent/0.png", path=Path("/0.png"), split="train", defect_type="dent")
    index = CategoryIndex(dataset="p", category="n", root=Path("/"), samples=(*make_index().samples, bad))
    for protocol in PROTOCOLS:
        with pytest.raises(ProtocolError, match=r"train/dent/0\.png"):
            split(index, protocol)


def test_no_training_images():
    with pytest.raises(ProtocolError, match="no training images"):
        split(make_index(train=0), "holdout")


def test_wrong_arguments():
    with pytest.raises(UnknownNameError, match="did you mean 'holdout'"):
        split(make_index(), "hold-out")
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(ConfigError, match="holdout_fraction"):
            split(make_index(), "synthetic", holdout_fraction=fraction)


@given(st.integers(2, 40).flatmap(lambda count: st.tuples(st.just(count), st.integers(2, count))), seeds)
def test_folds_part_the_train_images_alike(counts, seed):
    count, folds = counts
    train = make_index(train=count).of_split("train")
    parted = [fold_of(train, number, folds, seed=seed) for number in range(folds)]
    assert sorted(name for _, out in parted for name in ids(out)) == sorted(ids(train))
    for kept, out in parted:
        assert out and sorted(ids(kept) + ids(out)) == sorted(ids(train))
        assert ids(kept) == [name for name in ids(train) if name in ids(kept)], "in the order of the train part"
    sizes = {len(out) for _, out in parted}
    assert max(sizes) - min(sizes) <= 1
