"""Who measures a category, and what is left of it when the training ends; how it comes back."""

from types import SimpleNamespace

import pytest

from kdzoo.errors import StorageError
from kdzoo.search.record.folder import SweepFolder
from kdzoo.search.run.measurements import Measurements
from kdzoo.search.workers.finished import Finished
from kdzoo.zoo import PICTURE, TEACHER, WEIGHTS

CHECKPOINT = SimpleNamespace(path="/sweep/trials/bottle-0003/checkpoint_000001")


class Tasks:
    """Measures what it is given when it is asked for it."""

    def __init__(self):
        self.given, self.trouble = [], ""

    def submit(self, asked):
        self.given.append(asked)

    def collect(self, *, wait=False):
        given, self.given = self.given, []
        for asked in given if not self.trouble else ():
            leave(asked)
        return [(asked, self.trouble) for asked in given]

    @property
    def busy(self):
        return bool(self.given)


def leave(asked, **given):
    files = {WEIGHTS: b"w", PICTURE: b"p"}
    Finished(**{"document": {"a": 1}, "metrics": {"val_x": 0.5}, "files": files, **given}).leave(asked_folder(asked))


def asked_folder(asked):
    from pathlib import Path

    return Path(asked.folder)


@pytest.fixture
def tasks():
    return Tasks()


@pytest.fixture
def line(tmp_path, tasks):
    return Measurements(SweepFolder(tmp_path / "sweep"), tasks, b"t")


def test_workers_measure_while_there_is_training_in_the_order_of_asking(line, tasks):
    for category in ("bottle", "cable"):
        line.submit(category, {"method": "rd"}, CHECKPOINT)
    first = line.hand_out()
    assert (first.category, first.state) == ("bottle", f"{CHECKPOINT.path}/state.pt")
    assert line.hand_out().category == "cable"
    assert line.hand_out() is None
    assert line.busy and line.collect() == []
    leave(first)
    line.measured("bottle")
    ((category, finished),) = line.collect()
    assert (category, finished.metrics, finished.failure) == ("bottle", {"val_x": 0.5}, "")
    assert dict(finished.files) == {WEIGHTS: b"w", PICTURE: b"p", TEACHER: b"t"}
    line.failed("cable", "its worker died")
    assert [found.failure for _, found in line.collect()] == ["it could not be measured: its worker died"]
    assert not line.busy and not tasks.given


def test_what_waits_or_is_under_way_when_the_training_ends_is_left_to_tasks(line, tasks):
    for category in ("bottle", "cable"):
        line.submit(category, {}, CHECKPOINT)
    line.hand_out()
    line.end_training()
    line.submit("screw", {}, CHECKPOINT)
    assert [asked.category for asked in tasks.given] == ["bottle", "cable", "screw"]
    assert line.hand_out() is None and line.busy
    assert [category for category, _ in line.collect(wait=True)] == ["bottle", "cable", "screw"]
    line.submit("screw", {}, CHECKPOINT)
    tasks.trouble = "no node is left"
    assert [found.failure for _, found in line.collect()] == ["no node is left"]


def test_what_a_worker_left_and_the_driver_does_not_see_is_a_failure(line):
    line.submit("bottle", {}, CHECKPOINT)
    line.hand_out()
    line.measured("bottle")
    ((_, finished),) = line.collect()
    assert "measured.json" in finished.failure


def test_files_are_read_when_they_are_asked_for_and_go_when_they_are_published(tmp_path):
    folder = tmp_path / "bottle"
    Finished(document={}, metrics={}, files={WEIGHTS: b"old", TEACHER: b"own"}).leave(folder)
    Finished(document={"d": 1}, metrics={"m": 1.0}, files={WEIGHTS: b"new"}, unreported="why").leave(folder)
    taken = Finished.taken(folder, b"driver's")
    assert (taken.document, taken.metrics, taken.unreported) == ({"d": 1}, {"m": 1.0}, "why")
    assert dict(taken.files) == {WEIGHTS: b"new", TEACHER: b"driver's"} and len(taken.files) == 2
    Finished(document={}, metrics={}, files={WEIGHTS: b"new", TEACHER: b"own"}).leave(folder)
    assert Finished.taken(folder, b"driver's").files[TEACHER] == b"own"
    for file in folder.rglob("weights.safetensors"):
        file.unlink()
    with pytest.raises(StorageError, match="a measured detector"):
        _ = taken.files[WEIGHTS]
    taken.forget()
    assert not folder.exists()
    Finished.failed("nothing").forget()


def test_a_failure_has_no_files(tmp_path):
    Finished.failed("NaN").leave(tmp_path / "bottle")
    taken = Finished.taken(tmp_path / "bottle", b"t")
    assert (taken.failure, dict(taken.files)) == ("NaN", {})


def test_two_tries_at_once_leave_each_its_own_and_the_later_answer_counts(tmp_path):
    """One was taken for lost and is not: its files never mix with the other's."""
    folder = tmp_path / "bottle"
    Finished(document={"n": 1}, metrics={}, files={WEIGHTS: b"first"}).leave(folder)
    early = Finished.taken(folder, b"t")
    Finished(document={"n": 2}, metrics={}, files={WEIGHTS: b"second"}).leave(folder)
    late = Finished.taken(folder, b"t")
    assert (early.document, early.files[WEIGHTS]) == ({"n": 1}, b"first")
    assert (late.document, late.files[WEIGHTS]) == ({"n": 2}, b"second")


@pytest.mark.parametrize("how", ["gone", "changed", "unknown field", "no object", "cut off"])
def test_what_is_not_whole_is_one_categorys_failure(line, tmp_path, how):
    line.submit("bottle", {"method": "rd"}, CHECKPOINT)
    asked = line.hand_out()
    leave(asked)
    answer = asked_folder(asked) / "measured.json"
    (weights,) = asked_folder(asked).rglob("weights.safetensors")
    if how == "gone":
        weights.unlink()
    elif how == "changed":
        weights.write_bytes(b"x")
    elif how == "unknown field":
        answer.write_text(answer.read_text().replace('"metrics"', '"newer"'))
    else:
        answer.write_text("[]" if how == "no object" else answer.read_text()[:-5])
    line.measured("bottle")
    ((category, finished),) = line.collect()
    assert category == "bottle" and finished.failure and not line.busy
    # Tune may tell of the same try twice.
    line.measured("bottle")
    line.failed("cable", "why")
