"""What is decoded before training begins, what beside it, and what becomes of an image that cannot be read."""

import time

import pytest
from helpers.layouts import make_dataset
from helpers.sweeps import small_plan

from kdzoo.data.cache.store import stored_entries
from kdzoo.errors import ConfigError, DatasetError, ImageError, StorageError
from kdzoo.search.run.preparation import Preparation

CATEGORIES = ("bottle", "cable", "screw")


@pytest.fixture
def plan(tmp_path):
    make_dataset(tmp_path / "parts", CATEGORIES)
    return small_plan(tmp_path, name="ready", trials=1)


def decoded(plan):
    return {entry.name for entry in stored_entries(plan.settings.cache / "decoded")}


def wait_for(holds):
    deadline = time.monotonic() + 120
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert holds()


def test_a_small_data_set_is_ready_before_the_sweep_begins(plan):
    told = []
    preparation = Preparation(plan)
    assert decoded(plan) == set() and preparation.digests.keys() == set(CATEGORIES)
    assert preparation.begin(lambda *each: told.append(each)) == 0
    assert told == [("bottle", 0, 3), ("cable", 1, 3), ("screw", 2, 3), ("", 3, 3)]
    assert decoded(plan) == {f"parts/{name}" for name in CATEGORIES}
    preparation.check()


def test_of_a_large_one_the_rest_is_decoded_while_training_begins(plan):
    preparation = Preparation(plan, seconds=0.0)
    assert preparation.begin() == 3
    wait_for(lambda: decoded(plan) == {f"parts/{name}" for name in CATEGORIES})
    preparation.check()


def damage(tmp_path, category):
    image = tmp_path / "parts" / category / "train" / "good" / "002.png"
    image.write_bytes(image.read_bytes()[:-30])


def test_an_image_that_cannot_be_read_ends_its_category_and_no_other(plan, tmp_path):
    damage(tmp_path, "bottle")
    preparation = Preparation(plan, seconds=0.0)
    assert preparation.begin() == 3
    wait_for(lambda: decoded(plan) >= {"parts/cable", "parts/screw"})
    (trouble,) = preparation.troubles().values()
    assert isinstance(trouble, ImageError) and "bottle/train/good/002.png" in str(trouble)
    preparation.check()


def test_where_no_category_can_be_read_the_sweep_ends_although_it_has_begun(plan, tmp_path):
    for category in CATEGORIES:
        damage(tmp_path, category)
    preparation = Preparation(plan, seconds=0.0)
    assert preparation.begin() == 3
    wait_for(lambda: preparation.troubles().keys() == set(CATEGORIES))
    with pytest.raises(ImageError, match=r"bottle/train/good/002\.png"):
        preparation.check()


@pytest.mark.parametrize(
    ("error", "ends"), [(StorageError("disk full"), True), (ZeroDivisionError("who knows"), False)]
)
def test_a_disk_that_gives_up_ends_it_and_what_nobody_foresaw_does_not(plan, monkeypatch, caplog, error, ends):
    def broken(self):
        if self._left[0].index.category == "cable":
            raise error
        real(self)

    real = Preparation._make_next_ready
    monkeypatch.setattr(Preparation, "_make_next_ready", broken)
    preparation = Preparation(plan, seconds=0.0)
    preparation.begin()
    if ends:
        wait_for(lambda: preparation._end is not None)
        with pytest.raises(StorageError, match="disk full"):
            preparation.check()
        return
    wait_for(lambda: decoded(plan) == {"parts/bottle", "parts/screw"})
    preparation.check()
    assert preparation.troubles() == {} and "who knows" in caplog.text


def test_what_cannot_be_split_or_measured_is_found_before_anything_is_decoded(plan, tmp_path):
    (tmp_path / "parts" / "cable" / "test").rename(tmp_path / "away")
    with pytest.raises((ConfigError, DatasetError)):
        Preparation(plan, seconds=0.0)
    assert decoded(plan) == set()


def test_nothing_more_is_begun_once_the_sweep_is_over(plan):
    preparation = Preparation(plan, seconds=0.0)
    preparation.end()
    preparation.begin()
    time.sleep(0.3)
    assert decoded(plan) == set()
