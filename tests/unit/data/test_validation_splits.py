"""Splits of data sets that bring validation images of their own."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdzoo.data.samples import CategoryIndex, Sample
from kdzoo.data.splits import PROTOCOLS, split
from kdzoo.errors import ProtocolError


def make_index(counts, root="/data/nut"):
    """A category of so many images of each (split, defect type)."""
    samples = [
        Sample(id=f"{part}/{kind}/{n}.png", path=Path(root) / f"{part}/{kind}/{n}.png", split=part, defect_type=kind)
        for (part, kind), count in counts.items()
        for n in range(count)
    ]
    return CategoryIndex(dataset="parts", category="nut", root=Path(root), samples=tuple(samples))


def content(samples):
    return Counter((sample.split, sample.defect_type) for sample in samples)


def ids(samples):
    return [sample.id for sample in samples]


# As mvtec3d: normal ones only. As ksdd2: defective ones only.
NORMALS = {("train", "good"): 10, ("validation", "good"): 3, ("test", "good"): 5, ("test", "hole"): 4}
DEFECTS = {("train", "good"): 10, ("validation", "hole"): 3, ("test", "good"): 5, ("test", "hole"): 4}
BOTH = NORMALS | DEFECTS
HELD = ("train", "good")


@pytest.mark.parametrize(
    ("counts", "train", "select", "report"),
    [
        (
            NORMALS,
            {HELD: 10},
            {("validation", "good"): 3, ("test", "hole"): 2},
            {("test", "good"): 5, ("test", "hole"): 2},
        ),
        (DEFECTS, {HELD: 8}, {("validation", "hole"): 3, HELD: 2}, {("test", "good"): 5, ("test", "hole"): 4}),
        (
            BOTH,
            {HELD: 10},
            {("validation", "hole"): 3, ("validation", "good"): 3},
            {("test", "good"): 5, ("test", "hole"): 4},
        ),
    ],
)
def test_holdout(counts, train, select, report):
    parts = split(make_index(counts), "holdout")
    assert [content(part) for part in (parts.train, parts.select, parts.report)] == [train, select, report]
    assert len(parts.notes) == 1 and "own" in parts.notes[0]


def test_synthetic_plants_on_normal_validation_images_and_looks_at_no_defect():
    parts = split(make_index(BOTH), "synthetic")
    assert content(parts.train) == {HELD: 10} and content(parts.select) == {("validation", "good"): 3}
    assert parts.synthetic_select and any(note.startswith("3 validation images are not used") for note in parts.notes)
    held_out = split(make_index(DEFECTS), "synthetic")
    assert content(held_out.train) == {HELD: 8} and content(held_out.select) == {HELD: 2}


def test_the_papers_habit_leaves_validation_out():
    parts = split(make_index(BOTH), "test")
    assert content(parts.select) == content(parts.report) == {("test", "good"): 5, ("test", "hole"): 4}
    assert "6 validation images are not used by this protocol" in parts.notes


def test_without_test_defects_validation_defects_do_not_report():
    with pytest.raises(ProtocolError, match="no defective test images to report"):
        split(make_index(DEFECTS | {("test", "hole"): 0}), "holdout")
    with pytest.raises(ProtocolError, match="1 training image"):
        split(make_index(DEFECTS | {HELD: 1}), "holdout")


def test_defect_types_of_one_image_are_told():
    parts = split(make_index({HELD: 2, ("test", "good"): 4, ("test", "a"): 1, ("test", "b"): 1}), "holdout")
    assert parts.notes == ("one test image each, so that only one side has any: a, b",)


def test_the_split_of_a_category_without_validation_images_is_as_ever():
    """Digests stand in published manifests: a change of the rules must not change the splits that they name."""
    index = make_index({HELD: 10, ("test", "good"): 5, ("test", "a"): 3, ("test", "b"): 4})
    digests = {protocol: split(index, protocol, seed=7).digest[:16] for protocol in PROTOCOLS}
    assert digests == {"synthetic": "8ea9520c828745e5", "holdout": "5f394209ad3b531f", "test": "0a2825ab3111a873"}


counted = st.fixed_dictionaries(
    {
        HELD: st.integers(2, 20),
        ("validation", "good"): st.integers(0, 6),
        ("validation", "hole"): st.integers(0, 6),
        ("test", "good"): st.integers(2, 9),
        ("test", "hole"): st.integers(1, 9),
        ("test", "crack"): st.integers(1, 5),
    }
)


@given(counts=counted, seed=st.integers(0, 2**31), protocol=st.sampled_from(PROTOCOLS), data=st.data())
def test_no_image_serves_two_purposes_and_none_depends_on_order_or_place(counts, seed, protocol, data):
    index = make_index(counts)
    parts = split(index, protocol, seed=seed)
    train, select, report = (set(ids(part)) for part in (parts.train, parts.select, parts.report))
    assert not train & (select | report) and all(not sample.label for sample in parts.train)
    if protocol != "test":
        assert not select & report
        assert all(sample.split == "test" for sample in parts.report)
    if protocol == "holdout":
        unused = {sample.id for sample in index.samples} - train - select - report
        assert not unused
        for part in (parts.select, parts.report):
            assert {sample.label for sample in part} == {0, 1}
    moved = data.draw(st.permutations(make_index(counts, root="/renamed").samples))
    again = split(
        CategoryIndex(dataset="x", category="y", root=Path("/renamed"), samples=tuple(moved)), protocol, seed=seed
    )
    assert again.digest == parts.digest and ids(again.select) == ids(parts.select)
