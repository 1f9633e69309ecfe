"""The board: what people read off a running sweep."""

import time

import pytest

from kdzoo.search.record.board import CategoryOutcome, SweepBoard, TrialRow


@pytest.fixture
def board():
    return SweepBoard(("bottle", "cable"), trials=4, objective="image_auroc")


def start(board, category, number, *, objective=None, epoch=0, total=10):
    row = TrialRow(f"{category}{number}", category, number, {}, epoch=epoch, total_epochs=total, objective=objective)
    board.start(row)
    return row


def concluded_as(category):
    return CategoryOutcome(category=category, best=None, metrics={}, published=None, seconds=1.0, gpu_seconds=0.0)


def test_counts(board):
    rows = [start(board, "bottle", number) for number in range(4)] + [start(board, "cable", 0)]
    for row, status in zip(rows, ("finished", "stopped_early", "failed"), strict=False):
        board.end(row, status)
    assert board.total == 8
    assert [board.count(status) for status in ("running", "finished", "stopped_early", "failed")] == [2, 1, 1, 1]
    assert [board.count("running", category) for category in board.categories] == [1, 1]
    assert (board.ended(), board.ended("bottle"), board.ended("cable")) == (3, 3, 0)
    assert board.of("bottle") == rows[:4]
    assert board.running() == rows[3:]
    assert list(board.rows) == ["bottle0", "bottle1", "bottle2", "bottle3", "cable0"]


def test_best_is_the_highest_that_ended_with_a_result(board):
    assert board.best("bottle") is None
    assert board.best_value("bottle") is None
    stopped, failed, running, unmeasured = (
        start(board, "bottle", number, objective=objective) for number, objective in enumerate((0.7, 0.9, 0.8, None))
    )
    other = start(board, "cable", 0, objective=0.95)
    assert board.best("bottle") is None
    for row, status in ((stopped, "stopped_early"), (failed, "failed"), (unmeasured, "finished"), (other, "finished")):
        board.end(row, status)
    assert board.best("bottle") is stopped
    assert board.best_value("bottle") == running.objective == 0.8
    board.end(running, "finished")
    assert board.best("bottle") is running


def test_the_earlier_of_equals_is_best(board):
    later, earlier = start(board, "bottle", 2, objective=0.5), start(board, "bottle", 1, objective=0.5)
    board.end(later, "finished")
    board.end(earlier, "finished")
    assert board.best("bottle") is earlier


def test_of_equal_objectives_the_better_pixel_ap_is_best_whenever_it_came(board):
    rows = [start(board, "bottle", number, objective=1.0) for number in range(3)]
    for row, tie in zip(rows, (0.4, 0.6, 0.6), strict=True):
        row.tie = tie
        board.end(row, "finished")
    better = start(board, "bottle", 3, objective=1.0 - 1e-9)
    better.tie = 0.9
    board.end(better, "finished")
    assert [row.number for row in board.ranked("bottle")] == [1, 2, 0, 3]
    outcome = rows[1].as_outcome()
    assert TrialRow.from_outcome("t", "bottle", 1, {}, outcome).tie == 0.6
    assert TrialRow.from_outcome("t", "bottle", 1, {}, {"objective": 1.0}).tie == 0.0


def test_time_left_follows_the_pace_so_far(board, monkeypatch):
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    board.started = now - 30
    half = start(board, "bottle", 0, epoch=5)
    start(board, "bottle", 1, epoch=0, total=0)
    assert board.time_left() is None
    for number in (2, 3):
        board.end(start(board, "bottle", number), "finished")
    # 2 trials and a half took 30 s, 5.5 of 8 are left.
    assert board.elapsed() == pytest.approx(30)
    assert board.time_left() == pytest.approx(30 / 2.5 * 5.5)
    half.epoch = 20
    assert board.time_left() == pytest.approx(30 / 3 * 5)


def test_nothing_is_left_when_all_have_ended(board):
    for category in board.categories:
        for number in range(4):
            board.end(start(board, category, number), "failed")
    assert board.time_left() == 0


def test_time_left_counts_measuring_and_publishing_as_soon_as_it_is_known(board, monkeypatch):
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    board.started = now[0] - 80
    for category in board.categories:
        for number in range(4):
            board.end(start(board, category, number), "finished")
        board.concludes(category, "measuring")
    assert board.time_left() is None, "nobody knows how long measuring takes"
    now[0] += 6
    board.concludes("bottle", "publishing")
    now[0] += 2
    board.concluded(concluded_as("bottle"))
    assert board.phases == {"cable": "measuring"}
    now[0] += 3
    board.concluded(concluded_as("cable"))
    assert board.time_left() == 0
    assert board.outcomes.keys() == {"bottle", "cable"}


def test_what_is_still_to_be_measured_takes_as_long_as_what_was(board, monkeypatch):
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    board.started = now[0] - 80
    for number in range(4):
        board.end(start(board, "bottle", number), "finished")
    board.concludes("bottle", "measuring")
    running = start(board, "cable", 0, epoch=10)
    now[0] += 20
    board.concluded(concluded_as("bottle"))
    # 5 of 8 trials took 100 s, and measuring cable takes 20 s, with one trial at once.
    assert board.time_left() == pytest.approx(100 / 5 * 3 + 20)
    board.end(running, "finished")
    for number in (1, 2, 3):
        board.end(start(board, "cable", number), "finished")
    board.concludes("cable", "measuring")
    now[0] += 5
    assert board.time_left() == pytest.approx(15)
